use super::*;

const LEGACY: &str = "sources.eventing.knative.dev/v1alpha1";
const V1ALPHA1: &str = "sources.knative.dev/v1alpha1";
const V1ALPHA2: &str = "sources.knative.dev/v1alpha2";
const V1BETA1: &str = "sources.knative.dev/v1beta1";
const V1BETA2: &str = "sources.knative.dev/v1beta2";

fn sink() -> Value {
    json!({"ref": service("s")})
}

#[test]
fn a_cron_job_source_with_a_template_becomes_a_container_source() {
    let template = json!({"spec": {"containers": [{"name": "c", "image": "i"}]}});
    becomes(
        V1ALPHA2,
        "CronJobSource",
        json!({"template": template, "sink": service("s")}),
        json!({"template": template, "sink": sink()}),
    );
    computed(
        V1ALPHA2,
        "CronJobSource",
        json!({"template": template, "sink": sink()}),
        json!({"template": template, "sink": sink()}),
    );
    let converted = converted(V1ALPHA2, "CronJobSource", json!({"template": template, "sink": sink()})).object;
    assert_eq!(converted["metadata"].get("annotations"), None, "its containers make the events");

    let schedule = "must not set the field(s): spec.schedule: in this version a CronJobSource runs the containers of \
                    spec.template; for events on a schedule write a PingSource of sources.knative.dev/v1";
    for (spec, error) in [
        (json!({"schedule": "@hourly", "sink": sink()}), schedule),
        (
            json!({"schedule": "@hourly", "template": template}),
            "expected exactly one, got both: spec.schedule, spec.template",
        ),
        (json!({"sink": sink()}), "missing field(s): spec.template"),
    ] {
        refused(V1ALPHA2, "CronJobSource", spec, error);
    }
}

#[test]
fn the_only_container_of_a_container_source_becomes_a_template() {
    let container = json!({
        "name": "source",
        "image": "i",
        "imagePullPolicy": "IfNotPresent",
        "args": ["--period=1"],
        "env": [{"name": "A", "value": "b"}],
    });
    becomes(
        V1ALPHA1,
        "ContainerSource",
        json!({
            "image": "i",
            "args": ["--period=1"],
            "env": [{"name": "A", "value": "b"}],
            "serviceAccountName": "a",
            "sink": sink(),
        }),
        json!({"template": {"spec": {"containers": [container], "serviceAccountName": "a"}}, "sink": sink()}),
    );
    let template = json!({"spec": {"containers": [{"image": "j"}]}});
    becomes_with_warnings(
        V1ALPHA1,
        "ContainerSource",
        json!({"image": "i", "args": [], "template": template, "sink": sink()}),
        json!({"template": template, "sink": sink()}),
        &["spec.args is not used: template is set beside it", "spec.image is not used: template is set beside it"],
    );
    for version in [V1ALPHA1, V1ALPHA2, V1BETA1, V1BETA2] {
        let spec = json!({"template": template, "sink": sink()});
        computed(version, "ContainerSource", spec.clone(), spec);
    }
}

#[test]
fn containers_of_the_first_generation_learn_their_sink_as_they_did() {
    let spec = |containers: Value, sink: Value| json!({"template": {"spec": {"containers": containers}}, "sink": sink});
    let env = |value: &str| json!([{"name": "SINK", "value": value}]);
    let own = json!([{"name": "SINK", "value": "mine"}]);
    let old = json!([
        {"image": "a"},
        {"image": "b", "args": ["--x"], "env": [{"name": "A", "value": "b"}]},
        {"image": "c", "args": ["--sink=http://own/"]},
        {"image": "d", "env": own},
    ]);
    let current = json!([
        {"image": "a", "args": ["--sink=$(K_SINK)"], "env": env("$(K_SINK)")},
        {
            "image": "b",
            "args": ["--x", "--sink=$(K_SINK)"],
            "env": [{"name": "A", "value": "b"}, {"name": "SINK", "value": "$(K_SINK)"}],
        },
        {"image": "c", "args": ["--sink=http://own/"], "env": env("http://own/")},
        {"image": "d", "args": ["--sink=$(K_SINK)"], "env": own},
    ]);
    computed(LEGACY, "ContainerSource", spec(current, sink()), spec(old, sink()));

    // The argument alone was enough.
    let without = json!({"image": "i", "args": ["--sink=http://own/"]});
    let container = json!({
        "name": "source",
        "image": "i",
        "imagePullPolicy": "IfNotPresent",
        "args": ["--sink=http://own/"],
        "env": env("http://own/"),
    });
    becomes(LEGACY, "ContainerSource", without, spec(json!([container]), json!({"uri": "http://own/"})));
}
