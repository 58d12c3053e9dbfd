//! Rules of volumes and mounts (resources.md 6.6).

use serde_json::{Value, json};

use super::super::config::{Feature, Features};
use super::{config, service, with};
use crate::admission::{Context, admit};
use crate::validation::{FieldErrors, Path};

const SECRET: &str = "spec.template.spec.volumes[0]";
const MOUNT: &str = "spec.template.spec.containers[0].volumeMounts[0]";

/// What is wrong with a Service that has this volume and this mount of it, with defaults.
fn told(volume: Value, mount: Value) -> String {
    let service = with(service(), "/spec/template/spec/volumes/0", volume);
    let service = with(service, "/spec/template/spec/containers/0/volumeMounts/0", mount);
    let outcome = admit(service, None, Context::default());
    outcome.err().map(|errors| errors.to_string()).unwrap_or_default()
}

fn mount() -> Value {
    json!({"name": "v", "mountPath": "/data"})
}

fn secret() -> Value {
    json!({"name": "v", "secret": {"secretName": "s"}})
}

#[track_caller]
fn check(told: &str, expected: &str) {
    assert!(told.starts_with(expected) && told.is_empty() == expected.is_empty() && !told.contains('\n'), "{told}");
}

#[test]
fn mounts() {
    let path = |path: &str| with(mount(), "/mountPath", json!(path));
    for (mount, expected) in [
        (mount(), String::new()),
        (with(mount(), "/subPath", json!("a")), String::new()),
        (path(""), format!("missing field(s): {MOUNT}.mountPath")),
        (path("data"), format!("{MOUNT}.mountPath: Invalid value: \"data\": expected an absolute path")),
        (path("/"), format!("{MOUNT}.mountPath: Invalid value: \"/\": a reserved path")),
        (path("//dev/"), format!("{MOUNT}.mountPath: Invalid value: \"//dev/\": a reserved path")),
        (path("/dev/./log"), format!("{MOUNT}.mountPath: Invalid value: \"/dev/./log\": a reserved path")),
        (path("/dev/logs"), String::new()),
        (
            with(mount(), "/mountPropagation", json!("None")),
            format!(
                "must not set the field(s): {MOUNT}.mountPropagation: the feature \
                     kubernetes.podspec-volumes-mount-propagation is off"
            ),
        ),
        (with(mount(), "/subPathExpr", json!("$(A)")), format!("must not set the field(s): {MOUNT}.subPathExpr: ")),
    ] {
        check(&told(secret(), mount), &expected);
    }
    let stray = with(service(), "/spec/template/spec/containers/0/volumeMounts", json!([mount()]));
    let expected = format!("{MOUNT}.name: Invalid value: \"v\": volumeMount has no matching volume");
    check(&super::refused(stray, None), &expected);
    let twice = with(service(), "/spec/template/spec/volumes", json!([secret()]));
    let mounts = json!([mount(), {"name": "v", "mountPath": "/data/../data/"}]);
    let twice = with(twice, "/spec/template/spec/containers/0/volumeMounts", mounts);
    let expected =
        "spec.template.spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/data/../data/\": another";
    check(&super::refused(twice, None), expected);
}

#[test]
fn volumes_have_one_source_that_may_be_used() {
    let volume = |source: &str, value: Value| with(json!({"name": "v"}), &format!("/{source}"), value);
    let items = json!([{"key": "k"}]);
    let off = |source: &str, key: &str| {
        format!("must not set the field(s): {SECRET}.{source}: the feature kubernetes.podspec-{key} is off")
    };
    for (volume, expected) in [
        (volume("secret", json!({"secretName": "s", "items": [{"key": "k", "path": "p"}]})), String::new()),
        (volume("configMap", json!({"name": "c"})), String::new()),
        (volume("emptyDir", json!({"medium": "Memory", "sizeLimit": "1Gi"})), String::new()),
        (volume("secret", json!({ "items": items })), format!("missing field(s): {SECRET}.secret.items[0].path")),
        (volume("configMap", json!({ "items": items })), format!("missing field(s): {SECRET}.configMap.items[0].path")),
        (
            volume("emptyDir", json!({"medium": "HugePages"})),
            format!("{SECRET}.emptyDir.medium: Invalid value: \"HugePages\": expected nothing or Memory"),
        ),
        (
            volume("emptyDir", json!({"sizeLimit": "-1"})),
            format!("{SECRET}.emptyDir.sizeLimit: Invalid value: \"-1\": expected a quantity of 0 or more"),
        ),
        (
            json!({"name": "v"}),
            format!("{SECRET}: Invalid value: []: expected exactly one of secret, configMap, projected, emptyDir"),
        ),
        (
            with(secret(), "/emptyDir", json!({})),
            format!("{SECRET}: Invalid value: [\"emptyDir\",\"secret\"]: expected exactly one of"),
        ),
        (volume("hostPath", json!({"path": "/"})), off("hostPath", "volumes-hostpath")),
        (volume("image", json!({"reference": "a"})), off("image", "volumes-image")),
        (volume("csi", json!({"driver": "d"})), off("csi", "volumes-csi")),
        (volume("nfs", json!({"path": "/", "server": "s"})), format!("must not set the field(s): {SECRET}.nfs: a Rev")),
        (volume("downwardAPI", json!({})), format!("must not set the field(s): {SECRET}.downwardAPI: a Revision")),
        (with(secret(), "/name", json!("")), format!("missing field(s): {SECRET}.name")),
        (with(secret(), "/name", json!("V")), format!("{SECRET}.name: Invalid value: \"V\": expected at most 63")),
    ] {
        // The mount is of the same volume, whatever its name, and where it can be written to it is not defaulted.
        let name = volume["name"].clone();
        check(&told(volume, json!({"name": name, "mountPath": "/data", "readOnly": true})), &expected);
    }
    let unmounted = with(service(), "/spec/template/spec/volumes", json!([secret()]));
    check(&super::refused(unmounted, None), &format!("{SECRET}.name: Invalid value: \"v\": no container mounts it"));
    let twice = with(service(), "/spec/template/spec/volumes", json!([secret(), secret()]));
    let twice = with(twice, "/spec/template/spec/containers/0/volumeMounts", json!([mount()]));
    let expected = "spec.template.spec.volumes[1].name: Invalid value: \"v\": another volume has this name";
    check(&super::refused(twice, None), expected);
}

#[test]
fn projected_volumes() {
    let source = |source: Value| json!({"name": "v", "projected": {"sources": [source]}});
    let at = format!("{SECRET}.projected.sources[0]");
    for (volume, expected) in [
        (source(json!({"secret": {"name": "s"}})), String::new()),
        (source(json!({"configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}})), String::new()),
        (source(json!({"serviceAccountToken": {"path": "token", "audience": "a"}})), String::new()),
        (source(json!({"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "a"}}]}})), String::new()),
        (source(json!({})), format!("{at}: Invalid value: []: expected exactly one of secret, configMap, serviceAcc")),
        (
            source(json!({"secret": {"name": "s"}, "configMap": {"name": "c"}})),
            format!("{at}: Invalid value: [\"secret\",\"configMap\"]: expected exactly one of"),
        ),
        (source(json!({"secret": {}})), format!("missing field(s): {at}.secret.name")),
        (source(json!({"configMap": {}})), format!("missing field(s): {at}.configMap.name")),
        (source(json!({"serviceAccountToken": {}})), format!("missing field(s): {at}.serviceAccountToken.path")),
        (
            source(json!({"downwardAPI": {"items": [{"path": "p"}]}})),
            format!("{at}.downwardAPI.items[0]: Invalid value: []: expected exactly one of fieldRef, resourceFieldRef"),
        ),
        (
            source(json!({"downwardAPI": {"items": [{"fieldRef": {"fieldPath": "a"}}]}})),
            format!("missing field(s): {at}.downwardAPI.items[0].path"),
        ),
    ] {
        check(&told(volume, mount()), &expected);
    }
}

#[test]
fn volumes_that_need_a_feature_can_be_written_to_as_it_says() {
    let told = |volume: Value, read_only: bool, features: Features| {
        let mount = with(mount(), "/readOnly", json!(read_only));
        let pod = json!({"containers": [{"image": "nginx", "volumeMounts": [mount]}], "volumes": [volume]});
        let pod = serde_json::from_value(pod).expect("PodSpec");
        let mut errors = Vec::new();
        super::super::pod::validate(&pod, &config(features), &Path::new("spec"), &mut errors);
        FieldErrors(errors).to_string()
    };
    let claim =
        |read_only: bool| json!({"name": "v", "persistentVolumeClaim": {"claimName": "c", "readOnly": read_only}});
    let on = || Features::default().with(Feature::PersistentVolumeClaim, true);
    let writing = || on().with(Feature::PersistentVolumeWrite, true);
    let ephemeral = json!({"name": "v", "ephemeral": {}});
    let read_only = "spec.containers[0].volumeMounts[0].readOnly: Invalid value: false: expected true";
    let write_off = "spec.volumes[0].persistentVolumeClaim.readOnly: Invalid value: false: expected true: the feature \
                     kubernetes.podspec-persistent-volume-write is off";
    for (told, expected) in [
        (
            told(claim(true), true, Features::default()),
            "must not set the field(s): spec.volumes[0].persistentVolumeClaim",
        ),
        (told(claim(true), true, on()), ""),
        (told(claim(true), false, on()), read_only),
        (told(claim(false), true, on()), write_off),
        (told(claim(false), false, writing()), ""),
        (told(claim(true), false, writing()), read_only),
        (told(ephemeral.clone(), false, Features::default().with(Feature::Ephemeral, true)), ""),
        (told(ephemeral, false, Features::default()), "must not set the field(s): spec.volumes[0].ephemeral"),
        (told(json!({"name": "v", "emptyDir": {}}), false, Features::default()), ""),
        (told(secret(), false, Features::default()), read_only),
    ] {
        let told = told.lines().next().unwrap_or_default();
        check(told, expected);
    }
    let off = Features::default().with(Feature::EmptyDir, false);
    let expected =
        "must not set the field(s): spec.volumes[0].emptyDir: the feature kubernetes.podspec-volumes-emptydir";
    check(&told(json!({"name": "v", "emptyDir": {}}), true, off), expected);
}
