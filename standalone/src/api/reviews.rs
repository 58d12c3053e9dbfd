//! Questions clients ask about themselves: who am I, and may I? Everybody who gets this far may do everything.

use serde_json::{Value, json};

use super::failure::Failure;
use super::request::User;

/// A kind that is never stored: posted, answered, forgotten.
pub(crate) struct Review {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) kind: &'static str,
}

const fn review(group: &'static str, plural: &'static str, kind: &'static str) -> Review {
    Review { group, version: "v1", plural, kind }
}

/// The reviews there are.
pub(crate) const KINDS: &[Review] = &[
    review("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"),
    review("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    review("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
];

/// The review posted at `path`.
pub(crate) fn find(path: &str) -> Option<&'static Review> {
    let mut segments = path.trim_matches('/').split('/');
    if segments.next() != Some("apis") {
        return None;
    }
    let (group, version, plural) = (segments.next()?, segments.next()?, segments.next()?);
    let found = |review: &&Review| (review.group, review.version, review.plural) == (group, version, plural);
    KINDS.iter().find(found).filter(|_| segments.next().is_none())
}

impl Review {
    /// Fills in the answer.
    pub(crate) fn answer(&self, mut body: Value, user: &User) -> Result<Value, Failure> {
        if !body.is_object() {
            return Err(Failure::bad_request("a review is a JSON object"));
        }
        body["apiVersion"] = json!(format!("{}/{}", self.group, self.version));
        body["kind"] = json!(self.kind);
        body["status"] = match self.kind {
            "SelfSubjectReview" => json!({"userInfo": {"username": &*user.0, "groups": ["system:masters"]}}),
            "SelfSubjectAccessReview" => json!({"allowed": true}),
            _ => json!({
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                "incomplete": false,
            }),
        };
        if body.get("metadata").is_none_or(Value::is_null) {
            body["metadata"] = json!({"creationTimestamp": null});
        }
        Ok(body)
    }
}
