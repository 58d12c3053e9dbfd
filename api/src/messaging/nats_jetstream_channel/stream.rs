//! The stream of a NatsJetStreamChannel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{validate_choice, validate_duration, validate_time};
use crate::validation::{FieldError, Path, in_range, require};

/// The stream that is made for a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    /// OverrideName is the stream's name; otherwise it is made of the channel's namespace and name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_name: Option<String>,
    /// Config of the stream; without it the server's defaults are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<StreamConfig>,
}

/// Settings of a stream. Zero, or nothing, leaves a number to the server's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamConfig {
    /// AdditionalSubjects are taken into the stream beside the channel's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_subjects: Vec<String>,
    /// Retention is `Limits`, `Interest` or `Work`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<String>,
    /// MaxConsumers of the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_consumers: Option<i32>,
    /// MaxMsgs is how many messages the stream keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_msgs: Option<i64>,
    /// MaxBytes is how many bytes the stream keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<i64>,
    /// Discard says which message goes at a limit: `Old` or `New`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discard: Option<String>,
    /// MaxAge of a message, as a Go duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// MaxMsgSize is how large a message may be, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_msg_size: Option<i32>,
    /// Storage is `File` or `Memory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Replicas of the stream in a cluster of servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// NoAck turns off the server's acknowledgement of messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_ack: Option<bool>,
    /// DuplicateWindow is how long the server tells duplicates by their id, as a Go duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_window: Option<String>,
    /// Placement says on which servers the stream is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<StreamPlacement>,
    /// Mirror makes the stream a copy of another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<StreamSource>,
    /// Sources are streams whose messages are taken into this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<StreamSource>,
}

/// On which servers a stream is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamPlacement {
    /// Cluster of servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Tags that a server has to have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// Another stream, and where to begin in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamSource {
    /// Name of the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// OptStartSeq is the first message's sequence number; it wins over optStartTime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opt_start_seq: Option<i64>,
    /// OptStartTime is the first message's time, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opt_start_time: Option<String>,
    /// FilterSubject takes only messages of this subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_subject: Option<String>,
}

impl StreamConfig {
    pub(super) fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        let Self { retention, discard, storage, max_age, duplicate_window, .. } = self;
        validate_choice(retention.as_ref(), &["Limits", "Interest", "Work"], &path.field("retention"), errors);
        validate_choice(discard.as_ref(), &["Old", "New"], &path.field("discard"), errors);
        validate_choice(storage.as_ref(), &["File", "Memory"], &path.field("storage"), errors);
        validate_duration(max_age.as_ref(), &path.field("maxAge"), errors);
        validate_duration(duplicate_window.as_ref(), &path.field("duplicateWindow"), errors);
        in_range(self.replicas, 0..=i64::MAX, &path.field("replicas"), errors);
        if let Some(mirror) = &self.mirror {
            mirror.validate(&path.field("mirror"), errors);
        }
        let sources = path.field("sources");
        for (index, source) in self.sources.iter().enumerate() {
            source.validate(&sources.index(index), errors);
        }
    }
}

impl StreamSource {
    /// A source without a name is left to the server by Knative; no server takes it.
    fn validate(&self, path: &Path, errors: &mut Vec<FieldError>) {
        require([("name", self.name.as_deref().unwrap_or_default())], path, errors);
        in_range(self.opt_start_seq, 0..=i64::MAX, &path.field("optStartSeq"), errors);
        validate_time(self.opt_start_time.as_ref(), &path.field("optStartTime"), errors);
    }
}
