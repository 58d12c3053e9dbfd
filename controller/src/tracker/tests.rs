use serde_json::json;

use super::*;
use crate::context::Queues;
use crate::tests::fake::Fake;

fn target(kind: &str, name: &str) -> Target {
    let (namespace, name) = ("team".to_owned(), name.to_owned());
    Target { api_version: "v1".to_owned(), kind: kind.to_owned(), namespace, name }
}

fn subject(name: &str) -> Subject {
    Subject::Trigger(ObjectRef::new(name).within("team"))
}

#[tokio::test]
async fn kind_is_watched_while_somebody_refers_to_it() {
    let api = Fake::new();
    api.apply(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}));
    let (queues, mut requests) = Queues::new();
    let tracker = Tracker::new(api.client(), queues);
    let watched = || tracker.state.lock().watches.len();

    tracker.track(&subject("one"), [target("Service", "a"), target("Service", "b")]);
    tracker.track(&subject("two"), [target("Service", "a")]);
    assert_eq!(watched(), 1, "one watch whatever the number of references");
    assert!(matches!(tracker.lookup(&target("Service", "a")).await, Lookup::Found(_)));
    assert!(matches!(tracker.lookup(&target("Service", "b")).await, Lookup::Absent));

    // The first list asks for both, once for the kind and once for the object; b is referred to by the first only.
    while requests.triggers.try_recv().is_ok() {}
    api.apply(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b"}}));
    assert_eq!(requests.triggers.recv().await.map(|trigger| trigger.name).as_deref(), Some("one"));
    assert!(requests.triggers.try_recv().is_err());

    tracker.track(&subject("one"), [target("ConfigMap", "c")]);
    assert_eq!(watched(), 2);
    tracker.track(&subject("two"), []);
    assert_eq!(watched(), 1);
    tracker.track(&subject("one"), []);
    assert_eq!((watched(), tracker.state.lock().targets.len()), (0, 0));
}
