use super::*;
use crate::sources::PingSource;

fn ping(spec: &Value) -> Value {
    object(VERSION, "PingSource", spec)
}

fn base() -> Value {
    json!({"sink": sink()})
}

#[test]
fn each_rule_is_told_with_its_path() {
    let json_type = "application/json";
    let mut cases = source_rules();
    cases.extend([
        (
            json!({"schedule": "* 25 * * *"}),
            "spec.schedule: Invalid value: \"* 25 * * *\": at character 3: hour: expected 0 to 23, got \"25\"",
        ),
        (json!({"timezone": "Mars/Olympus"}), "spec.timezone: Invalid value: \"Mars/Olympus\": expected an IANA time"),
        (
            json!({"timezone": "UTC", "schedule": "TZ=UTC @daily"}),
            "must not set the field(s): spec.timezone: the schedule names a time zone itself",
        ),
        (json!({"data": "a", "dataBase64": "YQ=="}), "expected exactly one, got both: spec.data, spec.dataBase64"),
        (json!({"dataBase64": "YQ"}), "spec.dataBase64: Invalid value: \"YQ\": expected standard base64 with padding"),
        (json!({"dataBase64": "_-8="}), "spec.dataBase64: Invalid value: \"_-8=\": expected standard base64"),
        (
            json!({"data": "[1]", "contentType": json_type}),
            "spec.data: Invalid value: \"[1]\": with contentType application/json expected a JSON object",
        ),
        (
            json!({"dataBase64": "WzFd", "contentType": json_type}),
            "spec.dataBase64: Invalid value: \"[1]\": with contentType application/json expected a JSON object",
        ),
        (
            json!({"data": "{\"a\":", "contentType": json_type}),
            "spec.data: Invalid value: \"{\\\"a\\\":\": with content",
        ),
    ]);
    assert_refused(ping, &base(), &cases);
    assert_refused(|spec| object("sources.knative.dev/v1beta2", "PingSource", spec), &base(), &cases);
}

#[test]
fn what_knative_takes_is_taken() {
    let json_type = "application/json";
    let cases = [
        json!({"schedule": "*/2 * * * *", "timezone": "Europe/Berlin", "data": "{}", "contentType": json_type}),
        json!({"schedule": "@every 30s"}),
        json!({"schedule": "CRON_TZ=Europe/Berlin 0 6 * * 1-5", "timezone": ""}),
        json!({"data": "[1]", "contentType": "application/json; charset=utf-8"}),
        json!({"data": "not json", "contentType": ""}),
        json!({"contentType": json_type}),
        json!({"data": "a", "dataBase64": ""}),
        json!({"dataBase64": "eyJhIjog\nMX0=\n", "contentType": json_type}),
        json!({"ceOverrides": {"extensions": {"Team1": "a"}}}),
    ];
    assert_admitted(ping, &base(), &cases);
}

#[test]
fn schedule_defaults_to_every_minute_and_the_sink_stays_as_written() {
    let sink = json!({"ref": {"kind": "Broker", "name": "default", "apiVersion": "eventing.knative.dev/v1"}});
    for version in [VERSION, "sources.knative.dev/v1beta2"] {
        let admitted = admitted(object(version, "PingSource", &json!({ "sink": sink }))).object;
        assert_eq!(admitted["spec"], json!({"sink": sink, "schedule": "* * * * *"}));
    }
}

#[test]
fn everything_may_change() {
    let old = admitted(ping(&base())).object;
    let new = json!({"sink": {"uri": "http://other/"}, "schedule": "@hourly", "data": "a"});
    assert_eq!(updated(ping(&new), &old)["spec"], new);
}

#[test]
fn payload_is_the_bytes_of_whichever_field_is_set() {
    let payload = |spec: Value| {
        let source: PingSource = serde_json::from_value(ping(&spec)).expect("a PingSource");
        source.spec.payload().expect("valid")
    };
    assert_eq!(payload(json!({})), None);
    assert_eq!(payload(json!({"data": "ä"})), Some("ä".as_bytes().to_vec()));
    assert_eq!(payload(json!({"dataBase64": "AP8=\n"})), Some(vec![0, 255]));
}

#[test]
fn long_data_is_not_repeated_in_full() {
    let long = "x".repeat(10_000);
    let told = refused(ping(&json!({"sink": sink(), "data": long, "contentType": "application/json"})), None);
    assert!(told.len() < 300, "{told}");
}
