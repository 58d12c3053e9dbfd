use super::*;

fn integration(spec: &Value) -> Value {
    object("sources.knative.dev/v1alpha1", "IntegrationSource", spec)
}

fn base() -> Value {
    json!({"sink": sink(), "timer": {"message": "tick"}})
}

/// A base without a type, and with what AWS needs for `block`.
fn aws(block: &str, change: &Value) -> Value {
    let required = match block {
        "ddbStreams" => json!({"table": "t", "region": "eu-central-1"}),
        _ => json!({"arn": "a", "region": "eu-central-1"}),
    };
    json!({"timer": null, "aws": {block: with(&required, change), "auth": {"serviceAccountName": "aws"}}})
}

#[test]
fn each_rule_is_told_with_its_path() {
    let auth = |auth: Value| {
        let mut spec = aws("s3", &json!({}));
        spec["aws"]["auth"] = auth;
        spec
    };
    let no_auth = "expected at least one, got none: spec.aws.auth.secret.ref.name, spec.aws.auth.serviceAccountName";
    let mut cases = source_rules();
    cases.extend([
        (json!({"timer": null}), "spec: Invalid value: []: at least one source type must be specified: timer, aws.s3"),
        (
            json!({"timer": null, "aws": {"auth": {"serviceAccountName": "a"}}}),
            "spec: Invalid value: []: at least one source type must be specified",
        ),
        (
            with(&aws("s3", &json!({})), &json!({"timer": {}})),
            "spec: Invalid value: [\"timer\",\"aws.s3\"]: only one source type can be set: timer, aws.s3, aws.sqs or",
        ),
        (json!({"timer": {"period": 0}}), "spec.timer.period: Invalid value: 0: expected a whole number of 1 or more"),
        (json!({"timer": {"repeatCount": -1}}), "spec.timer.repeatCount: Invalid value: -1: must be 0 or more"),
        (auth(json!(null)), no_auth),
        (auth(json!({"secret": {"ref": {"name": ""}}})), no_auth),
        (aws("s3", &json!({"arn": null})), "missing field(s): spec.aws.s3.arn"),
        (aws("s3", &json!({"region": ""})), "missing field(s): spec.aws.s3.region"),
        (aws("s3", &json!({"delay": -1})), "spec.aws.s3.delay: Invalid value: -1: must be 0 or more"),
        (aws("s3", &json!({"overrideEndpoint": true})), "missing field(s): spec.aws.s3.uriEndpointOverride"),
        (aws("s3", &json!({"moveAfterRead": true})), "missing field(s): spec.aws.s3.destinationBucket"),
        (aws("sqs", &json!({"arn": ""})), "missing field(s): spec.aws.sqs.arn"),
        (aws("sqs", &json!({"region": null})), "missing field(s): spec.aws.sqs.region"),
        (
            aws("sqs", &json!({"protocol": "ftp"})),
            "spec.aws.sqs.protocol: Invalid value: \"ftp\": expected https or http",
        ),
        (aws("sqs", &json!({"delay": -1})), "spec.aws.sqs.delay: Invalid value: -1: must be 0 or more"),
        (
            aws("sqs", &json!({"maxMessagesPerPoll": 11})),
            "spec.aws.sqs.maxMessagesPerPoll: Invalid value: 11: expected a whole number from 1 to 10",
        ),
        (aws("sqs", &json!({"waitTimeSeconds": 21})), "spec.aws.sqs.waitTimeSeconds: Invalid value: 21: expected"),
        (aws("sqs", &json!({"visibilityTimeout": -1})), "spec.aws.sqs.visibilityTimeout: Invalid value: -1: expected"),
        (aws("ddbStreams", &json!({"table": null})), "missing field(s): spec.aws.ddbStreams.table"),
        (aws("ddbStreams", &json!({"region": null})), "missing field(s): spec.aws.ddbStreams.region"),
        (
            aws("ddbStreams", &json!({"streamIteratorType": "NOW"})),
            "spec.aws.ddbStreams.streamIteratorType: Invalid value: \"NOW\": expected FROM_LATEST or FROM_START",
        ),
        (aws("ddbStreams", &json!({"delay": -1})), "spec.aws.ddbStreams.delay: Invalid value: -1: must be 0 or more"),
        (json!({"template": {"sepc": {}}}), "must not set the field(s): spec.template.sepc: no such field"),
    ]);
    assert_refused(integration, &base(), &cases);
}

#[test]
fn what_knative_takes_is_taken() {
    let mut keys = aws("sqs", &json!({"waitTimeSeconds": 20, "visibilityTimeout": 43200, "protocol": "http"}));
    keys["aws"]["auth"] = json!({"secret": {"ref": {"name": "keys"}}});
    let unlimited =
        aws("s3", &json!({"maxMessagesPerPoll": -1, "overrideEndpoint": true, "uriEndpointOverride": "http://s3"}));
    assert_admitted(integration, &base(), &[keys, unlimited, json!({"timer": {"repeatCount": 0}})]);
}

#[test]
fn defaults_are_those_of_the_blocks() {
    let spec = |change: &Value| admitted(integration(&with(&base(), change))).object["spec"].clone();
    let timer = json!({"message": "tick", "period": 1000, "contentType": "text/plain"});
    assert_eq!(spec(&json!({}))["timer"], timer);
    let expected = json!({
        "arn": "a", "region": "eu-central-1", "overrideEndpoint": false, "deleteAfterRead": true,
        "moveAfterRead": false, "autoCreateBucket": false, "ignoreBody": false, "forcePathStyle": false,
        "delay": 500, "maxMessagesPerPoll": 10,
    });
    assert_eq!(spec(&aws("s3", &json!({})))["aws"]["s3"], expected);
    let expected = json!({
        "arn": "a", "region": "eu-central-1", "overrideEndpoint": false, "deleteAfterRead": true,
        "autoCreateQueue": false, "host": "amazonaws.com", "protocol": "https", "greedy": false, "delay": 500,
        "maxMessagesPerPoll": 1,
    });
    assert_eq!(spec(&aws("sqs", &json!({})))["aws"]["sqs"], expected);
    let expected = json!({
        "table": "t", "region": "eu-central-1", "overrideEndpoint": false, "streamIteratorType": "FROM_LATEST",
        "delay": 500,
    });
    assert_eq!(spec(&aws("ddbStreams", &json!({})))["aws"]["ddbStreams"], expected);
    let template = json!({"template": {"spec": {"containers": [{"image": "a"}]}}});
    assert_eq!(spec(&template)["template"]["spec"]["containers"][0]["name"], "x-0");
}

#[test]
fn what_has_no_effect_is_told() {
    let change = aws("s3", &json!({"uriEndpointOverride": "http://s3", "destinationBucket": "b"}));
    let pod = json!({"containers": [{"image": "a"}], "serviceAccountName": "b", "nodeName": "c"});
    let spec = with(&with(&base(), &change), &json!({"template": {"spec": pod}}));
    let expected = [
        "spec.aws.s3.uriEndpointOverride has no effect unless overrideEndpoint is true",
        "spec.aws.s3.destinationBucket has no effect unless moveAfterRead is true",
        "spec.template.spec.containers is overwritten by the source",
        "spec.template.spec.serviceAccountName is overwritten by the source",
    ];
    assert_eq!(admitted(integration(&spec)).warnings, expected);
    assert_eq!(admitted(integration(&base())).warnings, Vec::<String>::new());
}

#[test]
fn everything_may_change() {
    let old = admitted(integration(&base())).object;
    let new = admitted(integration(&with(&base(), &aws("sqs", &json!({}))))).object;
    assert_eq!(updated(new.clone(), &old), new);
}
