use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::message::MESSAGES;
use super::table::Table;
use super::{MAGIC, MEDIA_TYPE, ProtobufError, decode};
use crate::api::registry::Registry;
use crate::api::{request, reviews};

/// What kubectl 1.33 sends, with the JSON that kubectl 1.31 sends for the same command. That does not send
/// `autoscaling/v2`: there it is the JSON that 1.33 prints.
const KUBECTL: &str = include_str!("testdata/kubectl.jsonl");
/// What `testdata/make.go` made.
const GO: &str = include_str!("testdata/go.jsonl");

/// Name, body and JSON form of every recorded object.
fn recorded() -> impl Iterator<Item = (String, Vec<u8>, Value)> {
    KUBECTL.lines().chain(GO.lines()).map(|line| {
        let mut case: Value = serde_json::from_str(line).unwrap();
        let body = BASE64_STANDARD.decode(case["protobuf"].as_str().unwrap()).unwrap();
        (case["name"].as_str().unwrap().to_owned(), body, case["json"].take())
    })
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A length-delimited field.
fn field(number: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [varint(number << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

/// A field with a number.
fn number(field: u64, value: i64) -> Vec<u8> {
    [varint(field << 3), varint(value as u64)].concat()
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let types = [field(1, api_version), field(2, kind)].concat();
    [MAGIC.to_vec(), field(1, types), field(2, raw)].concat()
}

fn refusal(body: &[u8]) -> String {
    decode(body).unwrap_err().to_string()
}

#[test]
fn a_body_reads_as_the_json_its_client_would_have_sent() {
    for (name, body, expected) in recorded() {
        assert_eq!(decode(&body).unwrap(), expected, "{name}");
    }
}

#[test]
fn every_kind_that_can_be_written_has_a_protobuf_form() {
    let registry = Registry::new(&[]);
    let stored = registry
        .kinds()
        .iter()
        .filter(|kind| kind.kind != "CustomResourceDefinition")
        .flat_map(|kind| kind.versions.iter().map(|version| (kind.api_version(&version.name), kind.kind.as_str())));
    let reviews = reviews::KINDS.iter().map(|review| (format!("{}/{}", review.group, review.version), review.kind));
    let others = [("autoscaling/v1".to_owned(), "Scale"), ("serving.knative.dev/v1".to_owned(), "DeleteOptions")];
    for (api_version, kind) in stored.chain(reviews).chain(others) {
        let expected = json!({"apiVersion": api_version, "kind": kind});
        assert_eq!(decode(&body(&api_version, kind, b"")), Ok(expected));
    }
}

#[test]
fn the_table_is_understood_sorted_and_small() {
    let text = include_str!("table.txt");
    assert!(text.len() < 60_000);
    let messages: Vec<&str> = text.lines().filter(|line| !line.contains(' ')).collect();
    assert!(messages.is_sorted());
    assert!(Table::embedded().unwrap().memory_bytes() < 100_000);
}

#[test]
fn a_damaged_table_is_refused_by_its_line() {
    let damaged = [
        "1 name string",
        "a.B\n1 name",
        "a.B\n1 name string extra",
        "a.B\n1 name text",
        "a.B\n1 name x",
        "a.B\nx name string",
        "a.B\n1 other a.C",
        "a.B\n= v1 B a.C",
    ];
    for text in damaged {
        assert_eq!(Table::parse(text).unwrap_err(), text.lines().count(), "{text}");
    }
}

#[test]
fn what_is_twice_counts_as_in_protobuf() {
    let name = |name: &str| field(1, field(1, name));
    let labels = |key: &str, value: &str| field(1, field(11, [field(1, key), field(2, value)].concat()));
    let deployment = |spec: &[u8]| body("apps/v1", "Deployment", &field(2, spec));
    let group = |groups: &[u8]| body("v1", "Pod", &field(2, field(14, groups)));
    let read = |body: &[u8], pointer: &str| decode(body).unwrap().pointer(pointer).cloned();
    let metadata = |parts: &[Vec<u8>]| read(&body("v1", "ConfigMap", &parts.concat()), "/metadata");

    assert_eq!(metadata(&[name("a"), name("b")]), Some(json!({"name": "b"})));
    assert_eq!(metadata(&[name("a"), name("")]), Some(json!({})));
    assert_eq!(metadata(&[name("a"), labels("k", "v")]), Some(json!({"name": "a", "labels": {"k": "v"}})));
    assert_eq!(metadata(&[labels("k", "v"), labels("k", "w")]), Some(json!({"labels": {"k": "w"}})));
    assert_eq!(read(&deployment(&[number(1, 1), number(1, 0)].concat()), "/spec/replicas"), Some(json!(0)));
    let groups = "/spec/securityContext/supplementalGroups";
    let packed = field(4, [varint(1), varint(300)].concat());
    assert_eq!(read(&group(&[number(4, 7), packed].concat()), groups), Some(json!([7, 1, 300])));
}

#[test]
fn what_the_table_does_not_know_is_passed_over() {
    let unknown = [field(90_000, "x"), number(91, 1), vec![0x31; 9], vec![0x35; 5], field(1, field(1, "n"))].concat();
    let expected = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n"}});
    assert_eq!(decode(&body("v1", "ConfigMap", &unknown)), Ok(expected));
}

#[test]
fn map_entries_without_key_or_value_are_empty() {
    let data = [field(2, b""), field(2, field(1, "k"))].concat();
    let expected = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"": "", "k": ""}});
    assert_eq!(decode(&body("v1", "ConfigMap", &data)), Ok(expected));
}

#[test]
fn times_are_those_of_go_or_refused() {
    let renewed = |seconds, nanos| {
        let time = [number(1, seconds), number(2, nanos)].concat();
        decode(&body("coordination.k8s.io/v1", "Lease", &field(2, field(4, time))))
            .map(|lease| lease["spec"].get("renewTime").cloned())
            .map_err(|error| error.to_string())
    };
    let refused = "the protobuf form of the object is damaged: spec.renewTime: not a time between the years 1 and 9999";
    assert_eq!(renewed(1, 1_999), Ok(Some(json!("1970-01-01T00:00:01.000001Z"))));
    assert_eq!(renewed(-62_135_596_800, 999), Ok(None));
    assert_eq!(renewed(-62_135_596_800, 1_000), Ok(Some(json!("0001-01-01T00:00:00.000001Z"))));
    assert_eq!(renewed(-62_135_596_801, 0), Err(refused.to_owned()));
    assert_eq!(renewed(i64::MAX, 0), Err(refused.to_owned()));
    assert_eq!(renewed(0, 1_000_000_000), Err(refused.to_owned()));
}

#[test]
fn damaged_bodies_are_refused_with_the_path() {
    let container = |content: &[u8]| {
        let pod = field(2, field(2, [field(1, "ok"), content.to_vec()].concat()));
        body("v1", "Pod", &[field(2, field(2, b"")), pod].concat())
    };
    let metadata = |content: &[u8]| body("v1", "Pod", &field(1, content));
    let port = [number(1, 2), number(2, 80)].concat();
    let rows = [
        (container(&field(1, [0xff])), "spec.containers[1].name: not UTF-8"),
        (container(&number(1, 1)), "spec.containers[1].name: of an unexpected wire type"),
        (
            container(&field(10, field(1, field(2, field(2, port))))),
            "spec.containers[1].livenessProbe.httpGet.port: \
          neither a number nor a text",
        ),
        (container(&field(6, field(2, [0x08; 3]))), "spec.containers[1].ports[0].hostPort: of an unexpected wire type"),
        (container(&[0x0a, 5, b'x']), "spec.containers[1]: it ends too early"),
        (
            container(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            "spec.containers[1]: it ends too early",
        ),
        (
            container(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]),
            "spec.containers[1]: a number is too long",
        ),
        (container(&[0xff; 11]), "spec.containers[1]: a number is too long"),
        (container(&[0x0b]), "spec.containers[1]: a field has an unknown wire type"),
        (container(&[0x02, 0]), "spec.containers[1]: a field has no valid number"),
        (metadata(&field(11, field(2, [0xc3]))), "metadata.labels[\"\"]: not UTF-8"),
        (metadata(&number(11, 1)), "metadata.labels: of an unexpected wire type"),
        (metadata(&field(17, field(7, field(1, "{")))), "metadata.managedFields[0].fieldsV1: not JSON"),
        ([MAGIC, &[0x0a]].concat(), "it ends too early"),
        ([MAGIC.to_vec(), field(1, field(2, [0xff]))].concat(), "kind: not UTF-8"),
        ([MAGIC.to_vec(), field(1, field(1, "x".repeat(254)))].concat(), "apiVersion: too long"),
        ([body("v1", "Pod", b""), field(3, "gzip")].concat(), "its content is encoded"),
        ([body("v1", "Pod", b""), field(4, "application/json")].concat(), "its content is of another media type"),
    ];
    for (body, reason) in rows {
        assert_eq!(refusal(&body), format!("the protobuf form of the object is damaged: {reason}"));
    }
}

#[test]
fn more_messages_than_memory_is_for_are_refused() {
    let pod = |containers: usize| decode(&body("v1", "Pod", &field(2, field(2, b"").repeat(containers))));
    // The object and its spec are two themselves.
    assert_eq!(pod(MESSAGES - 2).unwrap()["spec"]["containers"].as_array().unwrap().len(), MESSAGES - 2);
    assert!(matches!(pod(MESSAGES - 1), Err(ProtobufError::Malformed(_))));
}

#[test]
fn answers_tell_what_is_wrong_with_the_body() {
    let refused = |media_type: &str, body: &[u8]| {
        let failure = request::decode(media_type, body).unwrap_err();
        (failure.code, failure.message)
    };
    let accepted = "the body of the request was in an unknown format - accepted media types include";
    let unknown = (
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!(
            "{accepted}: application/json, application/yaml: the protobuf form of kind \"Broker\" in \
             \"eventing.knative.dev/v1\" is not known"
        ),
    );
    let foreign = "the body does not begin as the protobuf form of a Kubernetes object does";
    assert_eq!(refused(MEDIA_TYPE, &body("eventing.knative.dev/v1", "Broker", b"")), unknown);
    assert_eq!(refused(MEDIA_TYPE, b"{}"), (StatusCode::BAD_REQUEST, foreign.to_owned()));
    assert_eq!(
        refused("application/cbor", b""),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{accepted}: application/json, application/yaml, {MEDIA_TYPE}"))
    );
    let options = body("v1", "DeleteOptions", &field(4, "Orphan"));
    assert_eq!(request::decode(MEDIA_TYPE, &options).unwrap().object["propagationPolicy"], "Orphan");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
        let _ = decode(&[MAGIC, &bytes].concat());
        for kind in ["Pod", "Event", "Secret", "DeleteOptions"] {
            let _ = decode(&body("v1", kind, &bytes));
        }
    }

    #[test]
    fn damaged_recordings_never_panic(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let bodies: Vec<Vec<u8>> = recorded().map(|(_, body, _)| body).collect();
        let mut body = which.get(&bodies).clone();
        for (at, byte) in changes {
            *at.get_mut(&mut body) = byte;
        }
        let _ = decode(&body);
        let _ = decode(&body[..end.index(body.len())]);
    }
}
