//! Other people's clients: CloudEvents SDKs from PyPI and npm post events, kubectl reads and writes resources.

use crate::support::{Answer, Subscriber, Weir, eventually, part, run};
use tokio::process::Command;

const PYTHON: &str = r#"
import sys, requests
from datetime import datetime, timezone
url = sys.argv[1]

from cloudevents.v1.http import CloudEvent, to_binary, to_structured
# Its binary mode encodes nothing: a header outside ASCII goes out as ISO 8859-1, which the binding rules out.
for name, encode, subject in (("py1-binary", to_binary, "x 100%"), ("py1-structured", to_structured, "café \"x\" 100%")):
    event = CloudEvent({"type": "com.example.python", "source": "/python", "id": name, "subject": subject}, {"n": 1})
    headers, body = encode(event)
    answer = requests.post(url, headers=headers, data=body)
    assert answer.status_code == 202, (name, answer.status_code, answer.text)

from cloudevents.core.v1.event import CloudEvent as CloudEventV2
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
for name, encode in (("py2-binary", to_binary_event), ("py2-structured", to_structured_event)):
    event = CloudEventV2({"type": "com.example.python", "source": "/python", "id": name, "specversion": "1.0",
        "time": datetime.now(timezone.utc), "subject": "café \"x\" 100%", "datacontenttype": "application/json"}, {"n": 1})
    message = encode(event)
    answer = requests.post(url, headers=message.headers, data=message.body)
    assert answer.status_code == 202, (name, answer.status_code, answer.text)
"#;

const JAVASCRIPT: &str = r#"
const { CloudEvent, HTTP, emitterFor, httpTransport, Mode } = require("cloudevents");
const url = process.argv[1];
const event = (id) => new CloudEvent({ id, type: "com.example.javascript", source: "/javascript", data: { n: 1 }, number: 7 });
(async () => {
  for (const [id, encode] of [["js-binary", HTTP.binary], ["js-structured", HTTP.structured]]) {
    const message = encode(event(id));
    const answer = await fetch(url, { method: "POST", headers: message.headers, body: message.body });
    if (answer.status !== 202) throw new Error(`${id}: ${answer.status} ${await answer.text()}`);
  }
  await emitterFor(httpTransport(url), { mode: Mode.BINARY })(event("js-emitter"));
})().catch((error) => { console.error(error); process.exit(1); });
"#;

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_python_sdk_arrive() {
    let Some(python) = part("WEIR_TEST_PYTHON", "the Python CloudEvents SDK") else { return };
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let subscriber = Subscriber::start().await;
    weir.trigger("all", "default", &subscriber.url, "", "").await;
    let output = run(Command::new(python).args(["-c", PYTHON, &url]), "").await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for received in subscriber.wait_for(4).await {
        let subject = received.header("ce-subject").to_owned();
        let decoded = subject.replace("%20", " ").replace("%22", "\"").replace("%25", "%").replace("%C3%A9", "é");
        let sent = if received.id() == "py1-binary" { "x 100%" } else { "café \"x\" 100%" };
        assert_eq!(decoded, sent, "{:?}", received.headers);
        let data: serde_json::Value = serde_json::from_slice(&received.body).expect("JSON data");
        assert_eq!(data, serde_json::json!({"n": 1}), "{}", received.id());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_javascript_sdk_arrive() {
    let Some(path) = part("WEIR_TEST_NODE_PATH", "the JavaScript CloudEvents SDK") else { return };
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let subscriber = Subscriber::start().await;
    weir.trigger("all", "default", &subscriber.url, "", "").await;
    let output = run(Command::new("node").env("NODE_PATH", path).args(["-e", JAVASCRIPT, &url]), "").await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for received in subscriber.wait_for(3).await {
        assert_eq!(received.header("ce-type"), "com.example.javascript");
        assert_eq!(received.header("ce-number"), "7");
        let data: serde_json::Value = serde_json::from_slice(&received.body).expect("JSON data");
        assert_eq!(data, serde_json::json!({"n": 1}), "{}", received.id());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_reads_what_is_delivered_and_its_reply_is_taken() {
    let Some(python) = part("WEIR_TEST_PYTHON", "the Python CloudEvents SDK") else { return };
    let script = r#"
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from cloudevents.v1.http import CloudEvent, from_http, to_structured
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        event = from_http(dict(self.headers), self.rfile.read(int(self.headers["content-length"])))
        headers, body = to_structured(CloudEvent({"type": "answer", "source": "/python"}, {"of": event["id"], "data": event.data}))
        self.send_response(200)
        for name, value in headers.items(): self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"#;
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let mut child = Command::new(python)
        .args(["-c", script])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("start python");
    let mut port = String::new();
    BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut port).await.expect("a port");
    let weir = Weir::start().await;
    let url = weir.broker("default").await;
    let reader = Subscriber::scripted(|_, _| Answer::status(202)).await;
    let python_url = format!("http://127.0.0.1:{}/", port.trim());
    weir.trigger("ask", "default", &python_url, "", "  filter: {attributes: {type: question}}\n").await;
    weir.trigger("read", "default", &reader.url, "", "  filter: {attributes: {type: answer}}\n").await;
    assert_eq!(
        crate::support::post(&crate::support::client(), &url, "q1", "question", "{\"n\":2}").await.expect("an answer"),
        202
    );
    let answer = reader.wait_for(1).await.remove(0);
    let data: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON data");
    assert_eq!(data, serde_json::json!({"of": "q1", "data": {"n": 2}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_reads_what_weir_wrote() {
    let Some(kubectl) = part("WEIR_TEST_KUBECTL", "kubectl") else { return };
    let weir = Weir::start().await;
    weir.broker("default").await;
    let kubectl = async |args: &[&str]| {
        let output = run(Command::new(&kubectl).arg("--kubeconfig").arg(&weir.kubeconfig).args(args), "").await;
        assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let ready = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
    assert_eq!(kubectl(&["get", "--raw", "/livez"]).await.trim(), "ok");
    eventually("kubectl sees the Broker Ready", async || {
        let status = kubectl(&["get", "broker", "default", "-o", ready]).await;
        if status == "True" { Ok(()) } else { Err(status) }
    })
    .await;
}
