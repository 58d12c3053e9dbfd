//! Manifests, and what happens to them.

use super::*;

pub(super) const CRON: (&str, &str) = ("sources.eventing.knative.dev/v1alpha1", "CronJobSource");
pub(super) const PING: (&str, &str) = ("sources.knative.dev/v1alpha2", "PingSource");
pub(super) const TRIGGER: (&str, &str) = ("eventing.knative.dev/v1alpha1", "Trigger");
pub(super) const SUBSCRIPTION: (&str, &str) = ("eventing.knative.dev/v1alpha1", "Subscription");
pub(super) const CHANNEL: (&str, &str) = ("eventing.knative.dev/v1alpha1", "Channel");
pub(super) const CONTAINER: (&str, &str) = ("sources.eventing.knative.dev/v1alpha1", "ContainerSource");
pub(super) const SERVICE: (&str, &str) = ("serving.knative.dev/v1alpha1", "Service");
pub(super) const BROKER: (&str, &str) = ("eventing.knative.dev/v1alpha1", "Broker");
pub(super) const EVENT_TYPE_KIND: (&str, &str) = ("eventing.knative.dev/v1alpha1", "EventType");
pub(super) const API_SERVER: (&str, &str) = ("sources.knative.dev/v1alpha1", "ApiServerSource");

fn flat(name: &str) -> Value {
    service(name)
}

fn channel() -> Value {
    json!({"apiVersion": "messaging.knative.dev/v1", "kind": "Channel", "name": "c"})
}

pub(super) struct Case {
    pub(super) form: (&'static str, &'static str),
    /// The manifest as first applied.
    pub(super) written: Value,
    /// What somebody merges into the current object then; `null` for nothing.
    pub(super) current_change: Value,
    /// What is merged into what the form shows.
    pub(super) patch: Value,
    /// The current spec after that: what of it matters.
    pub(super) expected: Value,
}

pub(super) fn cases() -> Vec<Case> {
    let case = |form, written, current_change, patch, expected| Case { form, written, current_change, patch, expected };
    let none = || json!(null);
    let uid = |spec: Value| json!({ "template": { "spec": spec } });
    vec![
        case(
            PING,
            json!({"schedule": "@daily", "jsonData": "a", "sink": flat("s")}),
            none(),
            json!({"sink": {"name": "t"}}),
            json!({"sink": {"ref": flat("t")}, "data": r#"{"body":"a"}"#}),
        ),
        case(
            PING,
            json!({"schedule": "@daily", "jsonData": "a", "sink": flat("s")}),
            none(),
            json!({"jsonData": "b"}),
            json!({"sink": {"ref": flat("s")}, "data": r#"{"body":"b"}"#}),
        ),
        // The flat sink meets the `ref` that the current form was changed to.
        case(
            PING,
            json!({"schedule": "@daily", "sink": flat("s")}),
            json!({"sink": {"ref": {"name": "other"}}}),
            json!({"sink": flat("t")}),
            json!({"sink": {"ref": flat("t")}}),
        ),
        case(
            PING,
            json!({"schedule": "@daily", "sink": flat("s")}),
            none(),
            json!({"sink": {"ref": flat("t")}}),
            json!({"sink": {"ref": flat("t")}}),
        ),
        case(
            PING,
            json!({"schedule": "@daily", "jsonData": "{}", "sink": flat("s")}),
            json!({"data": "raw", "contentType": "text/plain"}),
            json!({"jsonData": "b"}),
            json!({"data": r#"{"body":"b"}"#, "contentType": "application/json"}),
        ),
        case(
            PING,
            json!({"schedule": "@daily", "jsonData": "{}", "sink": flat("s")}),
            none(),
            json!({"data": "raw"}),
            json!({"data": "raw"}),
        ),
        case(
            CRON,
            json!({"schedule": "@daily", "data": "a", "sink": flat("s")}),
            json!({"timezone": "Europe/Berlin"}),
            json!({"data": "b"}),
            json!({"data": r#"{"body":"b"}"#, "timezone": "Europe/Berlin", "sink": {"ref": flat("s")}}),
        ),
        case(
            TRIGGER,
            json!({"filter": {"sourceAndType": {"type": "t"}}, "subscriber": {"uri": "http://s/"}}),
            none(),
            json!({"filter": {"sourceAndType": {"source": "s"}}}),
            json!({"filter": {"attributes": {"type": "t", "source": "s"}}, "broker": "default"}),
        ),
        case(
            TRIGGER,
            json!({"filter": {"sourceAndType": {"type": "t"}}, "subscriber": {"uri": "http://s/"}}),
            json!({"filter": {"attributes": {"type": "u"}}}),
            json!({"filter": {"sourceAndType": {"type": "v"}}}),
            json!({"filter": {"attributes": {"type": "v", "source": ""}}}),
        ),
        case(
            TRIGGER,
            json!({"filter": {"sourceAndType": {"type": "t"}}, "subscriber": {"uri": "http://s/"}}),
            json!({"delivery": {"retry": 3}}),
            json!({"subscriber": {"uri": "http://t/"}}),
            json!({"delivery": {"retry": 3}, "subscriber": {"uri": "http://t/"}}),
        ),
        case(
            SUBSCRIPTION,
            json!({"channel": channel(), "subscriber": {"dnsName": "s"}, "reply": {"channel": flat("c")}}),
            none(),
            json!({"subscriber": {"dnsName": "t"}, "reply": {"channel": {"name": "d"}}}),
            json!({"subscriber": {"uri": "http://t"}, "reply": {"ref": flat("d")}}),
        ),
        case(
            SUBSCRIPTION,
            json!({"channel": channel(), "subscriber": {"dnsName": "s"}, "reply": {"channel": flat("c")}}),
            json!({"subscriber": {"uri": "http://u"}}),
            json!({"subscriber": {"dnsName": "t"}}),
            json!({"subscriber": {"uri": "http://t"}, "reply": {"ref": flat("c")}}),
        ),
        case(
            SUBSCRIPTION,
            json!({"channel": channel(), "subscriber": {"uri": "http://s/"}, "reply": {"channel": flat("c")}}),
            none(),
            json!({"reply": {"ref": flat("d")}}),
            json!({"reply": {"ref": flat("d")}}),
        ),
        case(
            CHANNEL,
            json!({"channelTemplate": {"apiVersion": "messaging.knative.dev/v1alpha1", "kind": "InMemoryChannel"}}),
            json!({"delivery": {"retry": 1}}),
            json!({"channelTemplate": {"kind": "KafkaChannel", "apiVersion": "messaging.knative.dev/v1alpha1"}}),
            json!({"channelTemplate": {"kind": "KafkaChannel", "apiVersion": "messaging.knative.dev/v1"}}),
        ),
        case(
            CONTAINER,
            json!({"image": "a", "sink": flat("s")}),
            json!({"ceOverrides": {"extensions": {"a": "b"}}}),
            json!({"image": "b"}),
            json!({"ceOverrides": {"extensions": {"a": "b"}}, "sink": {"ref": flat("s")}}),
        ),
        case(
            SERVICE,
            json!({"runLatest": {"configuration": {"revisionTemplate": {"spec": {"container": {"image": "a"}}}}}}),
            json!({"template": {"spec": {"timeoutSeconds": 5}}}),
            json!({"runLatest": {"configuration": {"revisionTemplate": {"spec": {"container": {"image": "b"}}}}}}),
            uid(json!({"containers": [{"image": "b"}]})),
        ),
        case(
            BROKER,
            json!({"channelTemplateSpec": {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel"}}),
            json!({"delivery": {"retry": 1}}),
            json!({"channelTemplateSpec": {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel"}}),
            json!({"config": {"name": "x-channel-template"}, "delivery": {"retry": 1}}),
        ),
        case(
            EVENT_TYPE_KIND,
            json!({"type": "t", "broker": "b"}),
            json!({"description": "d"}),
            json!({"broker": "c"}),
            json!({"type": "t", "description": "d", "reference": {"name": "c", "kind": "Broker"}}),
        ),
        case(
            API_SERVER,
            json!({
                "mode": "Ref",
                "sink": flat("s"),
                "resources": [{"apiVersion": "v1", "kind": "Pod", "labelSelector": {"matchLabels": {"a": "b"}}}],
            }),
            none(),
            json!({"mode": "Resource"}),
            json!({"mode": "Resource"}),
        ),
    ]
}
