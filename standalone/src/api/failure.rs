//! What a refused request is told: a Kubernetes `Status`.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::registry::Kind;
use super::store::Revision;

/// Why a request was not served, with everything its `Status` answer carries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) code: StatusCode,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// Fields of `details`; null when there is nothing to add.
    pub(crate) details: Value,
}

/// One entry of `details.causes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Cause {
    /// A value the schema or a rule does not allow.
    pub(crate) fn invalid(field: impl Into<String>, shown: &str, detail: &str) -> Self {
        Self { reason: "FieldValueInvalid", field: field.into(), message: format!("Invalid value: {shown}: {detail}") }
    }

    /// A field that has to be there.
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self { reason: "FieldValueRequired", field: field.into(), message }
    }

    /// A field or change that is not allowed here.
    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self { reason: "FieldValueForbidden", field: field.into(), message: format!("Forbidden: {detail}") }
    }

    fn to_json(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }
}

impl Failure {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    /// Adds the object the failure is about.
    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = json!({"name": name, "kind": kind.plural});
        if !kind.group.is_empty() {
            self.details["group"] = json!(kind.group);
        }
        self
    }

    fn with_causes(mut self, causes: &[Cause]) -> Self {
        if self.details.is_null() {
            self.details = json!({});
        }
        self.details["causes"] = causes.iter().map(Cause::to_json).collect();
        self
    }

    /// No such object.
    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("{} \"{name}\" not found", kind.qualified()))
            .about(kind, name)
    }

    /// No such path.
    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
    }

    /// The name is taken.
    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "AlreadyExists", format!("{} \"{name}\" already exists", kind.qualified()))
            .about(kind, name)
    }

    /// The object changed since the caller read it.
    pub(crate) fn stale(kind: &Kind, name: &str) -> Self {
        let detail = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, detail)
    }

    /// A precondition does not hold.
    pub(crate) fn conflict(kind: &Kind, name: &str, detail: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {detail}", kind.qualified());
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(kind, name)
    }

    /// Another manager owns what an apply wants to change. `causes` name manager and field.
    pub(crate) fn apply_conflict(causes: &[Cause]) -> Self {
        let conflicts = if causes.len() == 1 { "1 conflict".to_owned() } else { format!("{} conflicts", causes.len()) };
        // As in Kubernetes: one conflict on the line, several grouped below by manager.
        let message = match causes {
            [only] => format!("Apply failed with {conflicts}: {}: {}", only.message, only.field),
            _ => {
                let mut lines = String::new();
                let mut last = "";
                for cause in causes {
                    if cause.message != last {
                        lines.push_str(&format!("\n{}:", cause.message.replacen("conflict", "conflicts", 1)));
                        last = &cause.message;
                    }
                    lines.push_str(&format!("\n- {}", cause.field));
                }
                format!("Apply failed with {conflicts}: {}", lines.trim_start())
            }
        };
        Self::new(StatusCode::CONFLICT, "Conflict", message).with_causes(causes)
    }

    /// The object breaks its schema or a rule; `causes` name the fields.
    pub(crate) fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        let texts: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let list = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let group = if kind.group.is_empty() { String::new() } else { format!(".{}", kind.group) };
        let message = format!("{}{group} \"{name}\" is invalid: {list}", kind.kind);
        let mut failure = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).about(kind, name);
        failure.details["kind"] = json!(kind.kind);
        failure.with_causes(causes)
    }

    /// The request options break a rule, independent of any object.
    pub(crate) fn invalid_options(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
    }

    /// The request cannot be understood, or admission denied it.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// Nobody we know.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// The caller may not do this.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// What should be created in `namespace`, which does not exist.
    pub(crate) fn no_namespace(namespace: &str) -> Self {
        let mut failure = Self::new(StatusCode::NOT_FOUND, "NotFound", format!("namespaces \"{namespace}\" not found"));
        failure.details = json!({"name": namespace, "kind": "namespaces"});
        failure
    }

    /// Nothing is created in a namespace that is going away.
    pub(crate) fn terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let because = format!("namespace {namespace} is being terminated");
        let message = format!(
            "{} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being \
             terminated",
            kind.qualified()
        );
        let cause = Cause { reason: "NamespaceTerminating", field: "metadata.namespace".to_owned(), message: because };
        Self::forbidden(message).about(kind, name).with_causes(&[cause])
    }

    /// The revision is older than what the log still holds.
    pub(crate) fn expired(asked: Revision, compacted: Revision) -> Self {
        Self::gone(format!("too old resource version: {asked} ({compacted})"))
    }

    /// What was asked for existed once.
    pub(crate) fn gone(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// The revision has not been reached.
    pub(crate) fn too_large_revision(asked: Revision, current: Revision) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let cause = Cause {
            reason: "ResourceVersionTooLarge",
            field: String::new(),
            message: "Too large resource version".into(),
        };
        let mut failure =
            Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", format!("Timeout: {message}")).with_causes(&[cause]);
        failure.details["retryAfterSeconds"] = json!(1);
        failure
    }

    /// The verb is not served here.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    /// None of the media types in `Accept` can be served.
    pub(crate) fn not_acceptable() -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "NotAcceptable",
            "only the following media types are accepted: application/json",
        )
    }

    /// The body's media type is not understood.
    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}"),
        )
    }

    /// The body is larger than an object may be.
    pub(crate) fn too_large(limit_bytes: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {limit_bytes}"),
        )
    }

    /// The store cannot serve this now; trying again may help.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        let mut failure = Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message);
        failure.details = json!({"retryAfterSeconds": 1});
        failure
    }

    /// A defect or damaged data on our side.
    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", format!("Internal error occurred: {message}"))
    }

    /// The `Status` object.
    pub(crate) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code.as_u16(),
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.status().to_string()));
        *response.status_mut() = self.code;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.details.get("retryAfterSeconds").and_then(Value::as_u64) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
