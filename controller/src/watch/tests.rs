use std::cell::RefCell;

use kube::runtime::watcher::Event;
use serde_json::json;
use weir_api::eventing::Broker;

use super::*;

fn broker(name: &str, version: u32) -> Broker {
    let metadata =
        json!({"name": name, "namespace": "n", "uid": format!("uid-{name}"), "resourceVersion": version.to_string()});
    serde_json::from_value(json!({"metadata": metadata, "spec": {}})).expect("Broker")
}

#[test]
fn only_what_differs_from_the_cache_is_told() {
    let (cache, mut filler) = cache::<Broker>();
    let told = RefCell::new(Vec::new());
    let mut feed = |events: Vec<Event<Broker>>| {
        for event in events {
            store(&mut filler.writer, event, (), &|key, change| told.borrow_mut().push((key.name.clone(), change)));
        }
        let mut told = told.take();
        told.sort_by(|a, b| a.0.cmp(&b.0));
        told
    };
    let entry = |name: &str, change| (name.to_owned(), change);
    let list = |objects: Vec<Broker>| {
        let items = objects.into_iter().map(Event::InitApply);
        [Event::Init].into_iter().chain(items).chain([Event::InitDone]).collect::<Vec<_>>()
    };
    let first = feed(list(vec![broker("a", 1), broker("b", 1), broker("c", 1)]));
    assert_eq!(first, ["a", "b", "c"].map(|name| entry(name, Change::Applied)));
    assert_eq!(feed(vec![Event::Apply(broker("a", 2))]), [entry("a", Change::Applied)]);
    // While the watch was away, b was deleted, c changed and d created.
    let again = feed(list(vec![broker("a", 2), broker("c", 3), broker("d", 4)]));
    assert_eq!(again, [entry("b", Change::Deleted), entry("c", Change::Applied), entry("d", Change::Applied)]);
    assert_eq!(feed(vec![Event::Delete(broker("a", 5))]), [entry("a", Change::Deleted)]);
    assert!(cache.get("n", "a").is_none() && cache.get("n", "d").is_some());
}

#[test]
fn object_created_again_under_the_same_name_is_told_by_its_new_uid() {
    let (_cache, mut filler) = cache::<Broker>();
    let told = RefCell::new(Vec::new());
    let mut again = broker("a", 2);
    again.metadata.uid = Some("other".to_owned());
    for event in [
        Event::Init,
        Event::InitApply(broker("a", 1)),
        Event::InitDone,
        Event::Init,
        Event::InitApply(again),
        Event::InitDone,
    ] {
        store(&mut filler.writer, event, (), &|key, change| told.borrow_mut().push((key.extra.uid.clone(), change)));
    }
    let uid = |uid: &str, change| (Some(uid.to_owned()), change);
    assert_eq!(
        told.take(),
        [uid("uid-a", Change::Applied), uid("uid-a", Change::Deleted), uid("other", Change::Applied)]
    );
}
