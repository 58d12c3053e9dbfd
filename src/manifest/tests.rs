use kube::core::Status;
use kube::core::response::{StatusCause, StatusDetails};

use super::*;

const TWO: &str = "\
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: default
---
# a comment

apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: t
  annotations:
    eventing.knative.dev/x: y
spec:
  broker: default
  filters:
    - exact: {type: a}
    - prefix:
        type: b
      bogus:
        deep: 1
  subscriber: {uri: http://x}
";

fn documents(name: &str, text: &str) -> Vec<Document> {
    let (mut documents, mut problems) = (vec![], vec![]);
    parse(name.to_owned(), text.to_owned(), &mut documents, &mut problems);
    assert_eq!(problems, []);
    documents
}

fn problems(name: &str, text: &str) -> Vec<String> {
    let (mut documents, mut problems) = (vec![], vec![]);
    parse(name.to_owned(), text.to_owned(), &mut documents, &mut problems);
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn fields_are_found_by_line_in_their_own_document() {
    let documents = documents("a.yaml", TWO);
    let line = |path: &str| documents[1].problem(path, "wrong").line;
    assert_eq!(line(""), 8);
    assert_eq!(line("kind"), 9);
    assert_eq!(line("spec.broker"), 15);
    assert_eq!(line("spec.filters[0]"), 17);
    assert_eq!(line("spec.filters[0].exact.type"), 17);
    assert_eq!(line("spec.filters[1].prefix.type"), 19);
    assert_eq!(line("spec.filters[1].bogus"), 20);
    assert_eq!(line("spec.filters[1].bogus.deep"), 21);
    assert_eq!(line("metadata.annotations.eventing.knative.dev/x"), 13);
    assert_eq!(line("metadata.annotations[eventing.knative.dev/x]"), 13);
}

#[test]
fn a_missing_field_is_blamed_on_its_nearest_ancestor() {
    let documents = documents("a.yaml", TWO);
    assert_eq!(
        documents[1].problem("spec.subscriber.ref.kind", "missing").to_string(),
        "a.yaml:22: spec.subscriber.ref.kind: missing"
    );
    assert_eq!(documents[1].problem("status", "missing").line, 8);
}

#[test]
fn json_streams_and_lists_keep_their_lines() {
    let text = "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"a\"}}\n{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"List\",\n\t\"items\": [\n\t\t{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"b\"}},\n\t\t{\"apiVersion\": \"v1\",\n\t\t\"kind\": \"Secret\", \"metadata\": {\"name\": \"c\"}}]}\n";
    let documents = documents("-", text);
    let names: Vec<_> = documents.iter().map(|document| document.name()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(documents[2].problem("kind", "odd").to_string(), "-:8: kind: odd");
    assert_eq!(documents[1].problem("", "odd").line, 6);
}

#[test]
fn what_is_no_manifest_is_refused_with_its_line() {
    let one = |name, text| {
        let mut problems = problems(name, text);
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0)
    };
    let message = one("a.yaml", "apiVersion: v1\nkind: [\n");
    assert!(message.starts_with("a.yaml:") && message.contains("not valid YAML"), "{message}");
    let message = one("a.json", "{\"kind\":\n oops}");
    assert!(message.starts_with("a.json:2: not valid JSON"), "{message}");
    assert_eq!(one("a.yaml", "just text"), "a.yaml:1: not an object: expected apiVersion, kind, metadata");
    assert_eq!(one("a.yaml", "\nkind: Broker\nmetadata: {name: x}"), "a.yaml:2: apiVersion: missing");
    assert_eq!(
        one("a.yaml", "apiVersion: v1\nkind: Broker\nmetadata:\n  namespace: x"),
        "a.yaml:3: metadata.name: missing"
    );
    assert_eq!(
        one("a.yaml", "apiVersion: v1\nkind: 7\nmetadata: {name: x}"),
        "a.yaml:2: kind: expected a text, found 7"
    );
}

#[test]
fn empty_documents_are_nothing() {
    assert!(documents("a.yaml", "---\n---\n# only a comment\n").is_empty());
    assert!(documents("a.yaml", "").is_empty());
}

#[test]
fn every_file_is_read_before_anything_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
    write("b.yaml", "kind: [");
    write("a.yml", "kind: Broker");
    write("notes.txt", "kind: [");
    let failure = load(&[dir.path().to_owned()]).expect_err("refused");
    assert_eq!(failure.exit(), Exit::Usage);
    let message = failure.to_string();
    assert!(message.contains("a.yml:1: apiVersion: missing\n"), "{message}");
    assert!(message.contains("a.yml:1: metadata.name: missing\n"), "{message}");
    assert!(message.contains("b.yaml:") && message.ends_with("; nothing was applied"), "{message}");
    assert_eq!(load(&[dir.path().join("c.yaml")]).expect_err("not there").exit(), Exit::NotFound);
}

#[test]
fn namespaces_come_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = format!("{TWO}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n}}\n");
    std::fs::write(dir.path().join("a.yaml"), text).expect("written");
    let kinds: Vec<_> =
        load(&[dir.path().to_owned()]).expect("documents").iter().map(|d| d.kind().to_owned()).collect();
    assert_eq!(kinds, ["Namespace", "Broker", "Trigger"]);
}

#[test]
fn what_the_api_says_is_told_with_file_and_line() {
    let document = &documents("a.yaml", TWO)[1];
    let told = |status: &Status| document.blame(status).iter().map(Problem::to_string).collect::<Vec<_>>();
    let status = |message: &str| Status { message: message.to_owned(), ..Status::default() };
    assert_eq!(
        told(&status(
            "Trigger in version \"v1\" cannot be handled: strict decoding error: unknown field \"spec.filters[1].bogus\", unknown field \"spec.x\""
        )),
        ["a.yaml:20: spec.filters[1].bogus: unknown field", "a.yaml:14: spec.x: unknown field"]
    );
    assert_eq!(
        told(&status(
            "admission webhook \"v\" denied the request: validation failed: missing field(s): spec.subscriber.ref, spec.subscriber.uri"
        )),
        ["a.yaml:22: spec.subscriber.ref: missing field(s)", "a.yaml:22: spec.subscriber.uri: missing field(s)"]
    );
    assert_eq!(told(&status("no room")), ["a.yaml:8: no room"]);
    let cause =
        StatusCause { reason: "FieldValueInvalid".into(), message: "must be text".into(), field: "spec.broker".into() };
    let details = StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: vec![cause],
        retry_after_seconds: 0,
    };
    let invalid = Status { details: Some(details), ..status("Trigger \"t\" is invalid") };
    assert_eq!(told(&invalid), ["a.yaml:15: spec.broker: must be text"]);
}
