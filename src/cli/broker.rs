//! Brokers as commands name them.

use serde_json::Value;
use url::Url;

use crate::client::{Client, Kind};
use crate::failure::{Exit, Failure, OrFail, Outcome};

/// `NAMESPACE/NAME`, or a name in the namespace of the command.
pub(super) fn parse(text: &str, namespace: &str) -> (String, String) {
    let (namespace, name) = text.split_once('/').unwrap_or((namespace, text));
    (namespace.to_owned(), name.to_owned())
}

/// The kind, without asking the server.
fn kind() -> Kind {
    Kind { namespaced: true, ..Kind::named("eventing.knative.dev", "v1", "Broker", "brokers") }
}

/// Where events for a Broker are posted.
pub(super) async fn url(client: &Client, namespace: &str, name: &str) -> Outcome<Url> {
    let broker = client.get(&kind().object_path(namespace, name)).await?;
    let Some(url) = broker.pointer("/status/address/url").and_then(Value::as_str) else {
        let conditions = broker["status"]["conditions"].as_array().into_iter().flatten();
        let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready");
        let reason = ready.and_then(|ready| ready["message"].as_str()).unwrap_or("it was not looked at yet");
        let text = format!("broker {namespace}/{name} has no address: {reason}");
        return Err(Failure::text(Exit::Unavailable, text)
            .next(format!("`weir wait broker/{name} --for=condition=Ready` waits for it")));
    };
    url.parse().or_fail(Exit::Failure, || format!("the address of broker {namespace}/{name} is no URL: {url:?}"))
}
