//! The `aws` block of an IntegrationSource.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::validation::{FieldError, Path, Problem, in_range, one_of, require};

/// Which service of AWS to read from, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Aws {
    /// S3 reads the objects of a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<AwsS3>,
    /// SQS reads the messages of a queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqs: Option<AwsSqs>,
    /// DDBStreams reads the changes of a DynamoDB table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ddb_streams: Option<AwsDdbStreams>,
    /// Auth says as whom; required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AwsAuth>,
}

/// As whom to access AWS: with the keys of a Secret, or as the service account the work runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsAuth {
    /// Secret that holds `aws.accessKey` and `aws.secretKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<AwsSecret>,
    /// ServiceAccountName of an account that AWS knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
}

/// Holds a reference to a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwsSecret {
    /// Ref to the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#ref: Option<AwsSecretRef>,
}

/// A Secret of the source's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwsSecretRef {
    /// Name of the Secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// What every service needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsCommon {
    /// Region of AWS, such as `eu-central-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// URIEndpointOverride is where to reach the service if not at AWS; used only with overrideEndpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri_endpoint_override: Option<String>,
    /// OverrideEndpoint switches uriEndpointOverride on; defaults to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_endpoint: Option<bool>,
}

/// An S3 bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsS3 {
    /// Region and endpoint.
    #[serde(flatten)]
    pub common: AwsCommon,
    /// Arn or name of the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// DeleteAfterRead deletes objects once they are sent; defaults to true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after_read: Option<bool>,
    /// MoveAfterRead moves objects to destinationBucket once they are sent; defaults to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub move_after_read: Option<bool>,
    /// DestinationBucket is where moveAfterRead moves objects to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_bucket: Option<String>,
    /// DestinationBucketPrefix is put before the keys of moved objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_bucket_prefix: Option<String>,
    /// DestinationBucketSuffix is put after the keys of moved objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_bucket_suffix: Option<String>,
    /// AutoCreateBucket creates the bucket if it does not exist; defaults to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_create_bucket: Option<bool>,
    /// Prefix limits the source to objects whose keys begin with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// IgnoreBody sends events without the content of the objects; defaults to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_body: Option<bool>,
    /// ForcePathStyle puts the bucket's name into the path of URLs; defaults to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_path_style: Option<bool>,
    /// Delay between polls in milliseconds; defaults to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<i64>,
    /// MaxMessagesPerPoll is how many objects one poll takes at most; 0 or less sets no limit. Defaults to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_messages_per_poll: Option<i64>,
}

/// An SQS queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsSqs {
    /// Region and endpoint.
    #[serde(flatten)]
    pub common: AwsCommon,
    /// Arn or name of the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// DeleteAfterRead deletes messages once they are sent; defaults to true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after_read: Option<bool>,
    /// AutoCreateQueue creates the queue if it does not exist; defaults to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_create_queue: Option<bool>,
    /// Host of AWS; defaults to `amazonaws.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Protocol is `https` (the default) or `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// QueueURL is the full URL of the queue, if it is not the one its name and region give.
    #[serde(default, rename = "queueURL", skip_serializing_if = "Option::is_none")]
    pub queue_url: Option<String>,
    /// Greedy polls again at once after a poll that found something; defaults to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greedy: Option<bool>,
    /// Delay between polls in milliseconds; defaults to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<i64>,
    /// MaxMessagesPerPoll is how many messages one poll takes, from 1 (the default) to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_messages_per_poll: Option<i64>,
    /// WaitTimeSeconds is how long a poll waits for a message, up to 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_time_seconds: Option<i64>,
    /// VisibilityTimeout is for how many seconds others do not see a message that was read, up to 43200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility_timeout: Option<i64>,
}

/// The stream of a DynamoDB table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsDdbStreams {
    /// Region and endpoint.
    #[serde(flatten)]
    pub common: AwsCommon,
    /// Table is the name of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// StreamIteratorType is where to begin: `FROM_LATEST` (the default) or `FROM_START`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_iterator_type: Option<String>,
    /// Delay between polls in milliseconds; defaults to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<i64>,
}

impl Aws {
    /// The services that are set.
    pub(super) fn types(&self) -> impl Iterator<Item = &'static str> {
        [("aws.s3", self.s3.is_some()), ("aws.sqs", self.sqs.is_some()), ("aws.ddbStreams", self.ddb_streams.is_some())]
            .into_iter()
            .filter_map(|(name, set)| set.then_some(name))
    }

    pub(super) fn set_defaults(&mut self) {
        if let Some(s3) = &mut self.s3 {
            s3.common.override_endpoint.get_or_insert(false);
            s3.delete_after_read.get_or_insert(true);
            s3.move_after_read.get_or_insert(false);
            s3.auto_create_bucket.get_or_insert(false);
            s3.ignore_body.get_or_insert(false);
            s3.force_path_style.get_or_insert(false);
            s3.delay.get_or_insert(500);
            s3.max_messages_per_poll.get_or_insert(10);
        }
        if let Some(sqs) = &mut self.sqs {
            sqs.common.override_endpoint.get_or_insert(false);
            sqs.delete_after_read.get_or_insert(true);
            sqs.auto_create_queue.get_or_insert(false);
            sqs.host.get_or_insert_with(|| "amazonaws.com".to_owned());
            sqs.protocol.get_or_insert_with(|| "https".to_owned());
            sqs.greedy.get_or_insert(false);
            sqs.delay.get_or_insert(500);
            sqs.max_messages_per_poll.get_or_insert(1);
        }
        if let Some(ddb) = &mut self.ddb_streams {
            ddb.common.override_endpoint.get_or_insert(false);
            ddb.stream_iterator_type.get_or_insert_with(|| "FROM_LATEST".to_owned());
            ddb.delay.get_or_insert(500);
        }
    }

    /// Adds every rule this block breaks. The ranges are those of the AWS API.
    pub(super) fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        if let Some(s3) = &self.s3 {
            s3.validate(&path.field("s3"), errors);
        }
        if let Some(sqs) = &self.sqs {
            sqs.validate(&path.field("sqs"), errors);
        }
        if let Some(ddb) = &self.ddb_streams {
            ddb.validate(&path.field("ddbStreams"), errors);
        }
        if self.types().next().is_some() && !self.auth.as_ref().is_some_and(AwsAuth::is_set) {
            let auth = path.field("auth");
            let problem = Problem::NoneOf(auth.field("serviceAccountName"));
            errors.push(FieldError { path: auth.field("secret").field("ref").field("name"), problem });
        }
    }

    /// What is set and has no effect.
    pub(super) fn warnings(&self, path: &str) -> Vec<String> {
        let endpoints = [
            ("s3", self.s3.as_ref().map(|s3| &s3.common)),
            ("sqs", self.sqs.as_ref().map(|sqs| &sqs.common)),
            ("ddbStreams", self.ddb_streams.as_ref().map(|ddb| &ddb.common)),
        ];
        let mut warnings = Vec::new();
        for (service, common) in endpoints {
            let unused =
                |common: &AwsCommon| is_set(&common.uri_endpoint_override) && common.override_endpoint != Some(true);
            if common.is_some_and(unused) {
                let field = format!("{path}.{service}.uriEndpointOverride");
                warnings.push(format!("{field} has no effect unless overrideEndpoint is true"));
            }
        }
        if self.s3.as_ref().is_some_and(|s3| is_set(&s3.destination_bucket) && s3.move_after_read != Some(true)) {
            warnings.push(format!("{path}.s3.destinationBucket has no effect unless moveAfterRead is true"));
        }
        warnings
    }
}

impl AwsAuth {
    fn is_set(&self) -> bool {
        let secret = self.secret.as_ref().and_then(|secret| secret.r#ref.as_ref());
        secret.is_some_and(|secret| !secret.name.is_empty()) || is_set(&self.service_account_name)
    }
}

impl AwsCommon {
    fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        require([("region", written(&self.region))], path, errors);
        if self.override_endpoint == Some(true) {
            require([("uriEndpointOverride", written(&self.uri_endpoint_override))], path, errors);
        }
    }
}

impl AwsS3 {
    fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        require([("arn", written(&self.arn))], path, errors);
        self.common.validate(path, errors);
        if self.move_after_read == Some(true) {
            require([("destinationBucket", written(&self.destination_bucket))], path, errors);
        }
        in_range(self.delay, 0..=i64::MAX, &path.field("delay"), errors);
    }
}

impl AwsSqs {
    fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        require([("arn", written(&self.arn))], path, errors);
        self.common.validate(path, errors);
        if let Some(protocol) = &self.protocol {
            one_of(protocol, &["https", "http"], &path.field("protocol"), errors);
        }
        in_range(self.delay, 0..=i64::MAX, &path.field("delay"), errors);
        in_range(self.max_messages_per_poll, 1..=10, &path.field("maxMessagesPerPoll"), errors);
        in_range(self.wait_time_seconds, 0..=20, &path.field("waitTimeSeconds"), errors);
        in_range(self.visibility_timeout, 0..=43_200, &path.field("visibilityTimeout"), errors);
    }
}

impl AwsDdbStreams {
    fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        require([("table", written(&self.table))], path, errors);
        self.common.validate(path, errors);
        if let Some(iterator) = &self.stream_iterator_type {
            one_of(iterator, &["FROM_LATEST", "FROM_START"], &path.field("streamIteratorType"), errors);
        }
        in_range(self.delay, 0..=i64::MAX, &path.field("delay"), errors);
    }
}

fn is_set(text: &Option<String>) -> bool {
    !written(text).is_empty()
}

fn written(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}
