//! Starting, stopping and configuring `weir run`, and every mistake a person can make doing so.

use std::process::Output;

use crate::support::{PATIENCE, Start, Subscriber, WEIR, Weir, client, eventually, post, run};
use tokio::process::Command;

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// One clear line: no panic, no backtrace, no wall of text.
fn assert_clear(output: &Output, code: i32, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    let line = text.lines().find(|line| line.starts_with("error")).unwrap_or_else(|| panic!("no error line in {text}"));
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in {line:?} of\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_weir_on_the_same_directory_is_refused() {
    let weir = Weir::start().await;
    let output = Start::on(weir.data_dir()).refused().await;
    assert_clear(&output, 4, &["in use", &weir.data_dir().display().to_string()]);
    let url = weir.broker("default").await;
    assert_eq!(post(&client(), &url, "1", "t", "{}").await.expect("an answer"), 202, "the first goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = taken.local_addr().expect("address").to_string();
    for flag in ["--listen", "--api-listen"] {
        let other = if flag == "--listen" { "--api-listen" } else { "--listen" };
        let data_dir = tempfile::tempdir().expect("temporary directory");
        let mut command = Command::new(WEIR);
        command.args(["run", flag, &address, other, "127.0.0.1:0", "--data-dir"]).arg(data_dir.path());
        let output = run(&mut command, "").await;
        assert_clear(&output, 1, &["in use", &address, flag]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_a_newer_or_damaged_weir_is_left_untouched() {
    let start = Start::fresh();
    let start = start.go().await.stop().await.1;
    let files = |dir: &std::path::Path| {
        let mut names: Vec<_> = std::fs::read_dir(dir)
            .expect("data dir")
            .map(|e| e.expect("entry").file_name().into_string().expect("name"))
            .collect();
        names.sort();
        names
    };
    let before = files(start.data_dir());
    let format = start.data_dir().join("format");
    assert!(format.exists(), "no format file among {before:?}");
    std::fs::write(&format, "99\n").expect("write");
    let output = start.refused().await;
    assert_clear(&output, 1, &["newer", "99"]);
    assert_eq!(files(start.data_dir()), before);
    std::fs::write(&format, "garbage").expect("write");
    assert_clear(&start.refused().await, 1, &["format"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_given_at_the_start_are_ready_when_the_ready_file_appears() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let subscriber = Subscriber::start().await;
    let manifest = |filter: &str| {
        format!(
            "apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {{name: default}}\n---\n\
             apiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata: {{name: t}}\n\
             spec:\n  broker: default\n  filter: {{attributes: {{type: {filter}}}}}\n  subscriber: {{uri: \"{}\"}}\n",
            subscriber.url
        )
    };
    let file = dir.path().join("all.yaml");
    std::fs::write(&file, manifest("one")).expect("write");
    let weir = Start::fresh().arg("-f").arg(dir.path().display().to_string()).go().await;
    let url = weir.broker_url("default").await;
    assert_eq!(post(&client(), &url, "1", "one", "{}").await.expect("an answer"), 202);
    subscriber.wait_for(1).await;

    // A changed file is applied; a broken one changes nothing and says why.
    std::fs::write(&file, manifest("two")).expect("write");
    eventually("the changed filter is in force", async || {
        let n = subscriber.count();
        assert_eq!(post(&client(), &url, &format!("two-{n}"), "two", "{}").await.expect("an answer"), 202);
        if subscriber.ids().iter().any(|id| id.starts_with("two-")) { Ok(()) } else { Err(subscriber.ids()) }
    })
    .await;
    std::fs::write(&file, "kind: [").expect("write");
    eventually("the broken file is reported", async || {
        let log = weir.log();
        if log.contains("all.yaml") { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(weir.cli(&["get", "trigger", "t", "-o", "jsonpath={.spec.filter.attributes.type}"]).await.trim(), "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_manifests_are_refused_with_file_line_and_path_and_nothing_is_applied() {
    let weir = Weir::start().await;
    let good = "apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {name: good}\n---\n";
    let trigger = |spec: &str| {
        format!("apiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata: {{name: t}}\nspec:\n  broker: b\n{spec}")
    };
    let uri = "  subscriber: {uri: \"http://127.0.0.1:1/\"}\n";
    let cases: Vec<(&str, String, Vec<&str>)> = vec![
        ("not YAML", "kind: [\n".into(), vec!["line"]),
        ("a key twice", trigger(&format!("{uri}  broker: other\n")), vec!["duplicate", "broker"]),
        ("no kind", "metadata: {name: x}\n".into(), vec!["kind"]),
        (
            "unknown kind",
            "apiVersion: eventing.knative.dev/v1\nkind: Brokre\nmetadata: {name: x}\n".into(),
            vec!["Brokre"],
        ),
        (
            "unknown version",
            "apiVersion: eventing.knative.dev/v9\nkind: Broker\nmetadata: {name: x}\n".into(),
            vec!["v9"],
        ),
        ("no name", "apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {}\n".into(), vec!["name"]),
        (
            "bad name",
            "apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {name: A_b}\n".into(),
            vec!["metadata.name"],
        ),
        ("unknown field", trigger(&format!("{uri}  bogus: 1\n")), vec!["spec.bogus"]),
        ("wrong type", trigger(&format!("{uri}  delivery: {{retry: many}}\n")), vec!["spec.delivery.retry"]),
        ("negative retry", trigger(&format!("{uri}  delivery: {{retry: -1}}\n")), vec!["spec.delivery.retry"]),
        (
            "bad duration",
            trigger(&format!("{uri}  delivery: {{backoffDelay: 5s}}\n")),
            vec!["spec.delivery.backoffDelay"],
        ),
        (
            "bad policy",
            trigger(&format!("{uri}  delivery: {{backoffPolicy: cubic}}\n")),
            vec!["spec.delivery.backoffPolicy"],
        ),
        ("no subscriber", trigger(""), vec!["spec.subscriber"]),
        ("relative uri", trigger("  subscriber: {uri: /x}\n"), vec!["spec.subscriber.uri"]),
        (
            "two dialects",
            trigger(&format!("{uri}  filters: [{{exact: {{type: a}}, prefix: {{type: b}}}}]\n")),
            vec!["spec.filters[0]"],
        ),
        (
            "bad attribute",
            trigger(&format!("{uri}  filters: [{{exact: {{Type: a}}}}]\n")),
            vec!["spec.filters[0].exact"],
        ),
    ];
    for (what, bad, words) in cases {
        let file = tempfile::Builder::new().suffix(".yaml").tempfile().expect("temporary file");
        std::fs::write(file.path(), format!("{good}{bad}")).expect("write");
        let path = file.path().display().to_string();
        let output = weir.cli_with(&["apply", "-f", &path], "").await;
        let text = stderr(&output);
        assert!(!output.status.success(), "{what} was accepted");
        assert!(text.contains(&path), "{what}: no file name in {text}");
        for word in words {
            assert!(text.contains(word), "{what}: {word:?} is missing in {text}");
        }
        let brokers = weir.cli(&["get", "brokers", "-o", "name"]).await;
        assert_eq!(brokers.trim(), "", "{what}: half applied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn send_shows_where_an_event_went() {
    let weir = Weir::start().await;
    weir.broker("default").await;
    let subscriber = Subscriber::start().await;
    let refusing = Subscriber::scripted(|_, _| crate::support::Answer::status(400)).await;
    weir.trigger("takes", "default", &subscriber.url, "", "  filter: {attributes: {type: a}}\n").await;
    let output = weir.cli_with(&["send", "default", "--type", "a", "--data", "{\"x\":1}", "--wait"], "").await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
    assert!(text.contains("takes") && text.contains("delivered"), "{text}");
    let received = subscriber.wait_for(1).await.remove(0);
    assert_eq!((received.header("ce-type"), received.body.as_ref()), ("a", &b"{\"x\":1}"[..]));

    weir.trigger("refuses", "default", &refusing.url, "", "  filter: {attributes: {type: b}}\n").await;
    let output = weir.cli_with(&["send", "default", "--type", "b", "--wait"], "").await;
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("refuses") && text.contains("dead"), "{text}");
    let output = weir.cli_with(&["send", "nowhere", "--type", "b"], "").await;
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_errors_exit_2_and_missing_things_exit_3() {
    let weir = Weir::start().await;
    for (args, code) in [
        (&["get", "broker", "none"][..], 3),
        (&["describe", "trigger", "none"], 3),
        (&["delete", "trigger", "none"], 3),
        (&["get", "nonsense"], 3),
        (&["frobnicate"], 2),
        (&["apply"], 2),
        (&["wait", "broker/none", "--for=condition=Ready", "--timeout=1s"], 3),
    ] {
        let output = weir.cli_with(args, "").await;
        assert_eq!(output.status.code(), Some(code), "weir {args:?}: {}", stderr(&output));
    }
    let mut command = Command::new(WEIR);
    let output = run(command.args(["get", "brokers", "--server", "http://127.0.0.1:1"]), "").await;
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_an_event_delivered() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut child = Command::new(WEIR)
        .args(["run", "--demo", "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("start weir");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let shown = tokio::time::timeout(PATIENCE, async {
        let mut seen = String::new();
        while let Some(line) = lines.next_line().await.expect("a line") {
            seen.push_str(&line);
            seen.push('\n');
            if seen.contains("specversion") && seen.contains("type") {
                return seen;
            }
        }
        panic!("the demo ended: {seen}");
    })
    .await;
    assert!(shown.is_ok(), "the demo shows no event");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_still_there_after_a_restart() {
    let weir = Weir::start().await;
    weir.broker("default").await;
    let subscriber = Subscriber::start().await;
    weir.trigger("t", "default", &subscriber.url, "", "").await;
    let yaml = |text: String| text.lines().filter(|line| !line.contains("url:")).collect::<Vec<_>>().join("\n");
    let spec = yaml(weir.cli(&["get", "trigger", "t", "-o", "jsonpath={.spec}"]).await);
    let (_, start) = weir.stop().await;
    let weir = start.go().await;
    weir.ready("trigger/t").await;
    assert_eq!(yaml(weir.cli(&["get", "trigger", "t", "-o", "jsonpath={.spec}"]).await), spec);
    let url = weir.broker_url("default").await;
    assert_eq!(post(&client(), &url, "1", "t", "{}").await.expect("an answer"), 202);
    subscriber.wait_for(1).await;
}
