use super::*;
use crate::sources::ContainerSource;

fn container(spec: &Value) -> Value {
    object(VERSION, "ContainerSource", spec)
}

fn base() -> Value {
    json!({"sink": sink(), "template": {"spec": {"containers": [{"image": "beats"}]}}})
}

fn pod(spec: &Value) -> Value {
    json!({"template": {"spec": spec}})
}

#[test]
fn each_rule_is_told_with_its_path() {
    let mut cases = source_rules();
    cases.extend([
        (json!({"template": {}}), "missing field(s): spec.template.spec.containers"),
        (json!({"template": null}), "missing field(s): spec.template.spec.containers"),
        (pod(&json!({"containers": []})), "missing field(s): spec.template.spec.containers"),
        (pod(&json!({"containers": [{"name": "a"}]})), "missing field(s): spec.template.spec.containers[0].image"),
        (
            pod(&json!({"containers": [{"image": "a"}, {"image": ""}]})),
            "missing field(s): spec.template.spec.containers[1].image",
        ),
        (
            pod(&json!({"containers": [{"image": "a"}], "initContainers": [{"name": "b"}]})),
            "missing field(s): spec.template.spec.initContainers[0].image",
        ),
        (
            pod(&json!({"containers": [{"image": "a"}], "initContainers": [{"image": "b"}]})),
            "missing field(s): spec.template.spec.initContainers[0].name",
        ),
        (pod(&json!({"containers": [{"image": 5}]})), "spec.template: Invalid value: "),
        (
            pod(&json!({"containers": [{"image": "a", "imagePolicy": "Always"}]})),
            "must not set the field(s): spec.template.spec.containers[0].imagePolicy: no such field",
        ),
    ]);
    assert_refused(container, &base(), &cases);

    let misplaced = container(&json!({"sink": sink(), "template": {"containers": []}}));
    let told = refused(misplaced, None);
    let expected = [
        "must not set the field(s): spec.template.containers: no such field",
        "missing field(s): spec.template.spec.containers",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn containers_get_names_and_the_template_stays_as_written() {
    let limits = json!({"cpu": 1, "memory": "64Mi"});
    let written = json!({
        "metadata": {"creationTimestamp": null, "labels": {"a": "b"}},
        "spec": {"containers": [
            {"image": "a", "resources": {"limits": limits}, "ports": [{"containerPort": 80}]},
            {"image": "b", "name": "own"},
            {"image": "c", "name": ""},
        ]},
    });
    let admitted = admitted(container(&json!({"sink": sink(), "template": written}))).object;
    let mut expected = written;
    expected["spec"]["containers"][0]["name"] = json!("x-0");
    expected["spec"]["containers"][2]["name"] = json!("x-2");
    assert_eq!(admitted["spec"]["template"], expected);

    let source: ContainerSource = serde_json::from_value(admitted).expect("a ContainerSource");
    let pod = source.spec.pod_template().expect("a template").spec.expect("a spec");
    let names: Vec<_> = pod.containers.iter().map(|container| container.name.as_str()).collect();
    assert_eq!(names, ["x-0", "own", "x-2"]);
}

#[test]
fn names_come_from_the_prefix_of_a_generated_name() {
    let mut object = container(&base());
    object["metadata"] = json!({"generateName": "beats-", "namespace": "shop"});
    assert_eq!(admitted(object).object["spec"]["template"]["spec"]["containers"][0]["name"], "beats-0");
}

#[test]
fn everything_may_change() {
    let old = admitted(container(&base())).object;
    let new =
        json!({"sink": {"uri": "http://other/"}, "template": {"spec": {"containers": [{"image": "b", "name": "b"}]}}});
    assert_eq!(updated(container(&new), &old)["spec"], new);
}
