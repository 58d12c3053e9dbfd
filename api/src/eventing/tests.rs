mod kinds;

use super::annotations::{Durability, LogOptions, TriggerOptions};
use crate::resources::{Order, Start};

fn annotations(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn trigger_annotations_become_options() {
    let mut errors = Vec::new();
    let options = TriggerOptions::read(
        &annotations(&[
            ("weir.dev/delivery-order", "ordered"),
            ("weir.dev/ordering-key", "customer"),
            ("weir.dev/max-in-flight", "8"),
            ("weir.dev/paused", "true"),
            ("weir.dev/start", "earliest"),
        ]),
        &mut errors,
    );
    assert_eq!(errors, []);
    let order = Order::ByKey { attribute: Some("customer".to_owned()) };
    assert_eq!(options, TriggerOptions { order, max_in_flight: Some(8), paused: true, start: Start::Earliest });
}

#[test]
fn our_name_for_the_order_wins_over_the_kafka_one() {
    let mut errors = Vec::new();
    let kafka = ("kafka.eventing.knative.dev/delivery.order", "ordered");
    let read = |pairs: &[_], errors: &mut _| TriggerOptions::read(&annotations(pairs), errors).order;
    assert_eq!(read(&[kafka], &mut errors), Order::ByKey { attribute: None });
    assert_eq!(read(&[kafka, ("weir.dev/delivery-order", "unordered")], &mut errors), Order::Unordered);
    assert_eq!(errors, []);
}

#[test]
fn broker_annotations_become_log_options() {
    let mut errors = Vec::new();
    assert_eq!(LogOptions::read(&annotations(&[]), &mut errors), LogOptions::default());
    let pairs = [("weir.dev/durability", "os"), ("weir.dev/retention", "P1D"), ("weir.dev/dedupe", "PT2M")];
    let options = LogOptions::read(&annotations(&pairs), &mut errors);
    assert_eq!(errors, []);
    assert_eq!(options.durability, Durability::Os);
    assert_eq!(options.retention.map(|kept| kept.as_secs()), Some(86_400));
    assert_eq!(options.dedupe.map(|window| window.as_secs()), Some(120));
}
