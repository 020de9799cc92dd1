//! A "no" of admission: the metav1.Status that the client gets.

use apimachinery::value::{Map, Value, json};

/// A request refused, as the Status object that is sent. Webhooks may put anything into reason, details and metadata,
/// so it is held as JSON; the HTTP status is `code`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// The HTTP status, also `code` in the body.
    pub code: u16,
    /// The whole Status object.
    pub status: Value,
}

impl Rejection {
    /// A Status of this code, reason (left out when empty) and message, without details.
    pub fn new(code: u16, reason: &str, message: &str) -> Self {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "code": code,
        });
        if !reason.is_empty() {
            status["reason"] = reason.into();
        }
        Self { code, status }
    }

    /// The same with details.
    #[must_use]
    pub fn with_details(mut self, details: Map) -> Self {
        self.status["details"] = Value::Object(details);
        self
    }

    /// 500 InternalError: `Internal error occurred: <text>`, the bare text as the only cause.
    pub fn internal(text: &str) -> Self {
        let details = json!({ "causes": [{ "message": text }] });
        let mut rejection = Self::new(500, "InternalError", &format!("Internal error occurred: {text}"));
        rejection.status["details"] = details;
        rejection
    }

    /// 403 Forbidden: `<resource> "<name>" is forbidden: <why>`; `group_resource` is `pods` or `deployments.apps`.
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let qualified = qualified(group, resource);
        let message = match (resource.is_empty(), name.is_empty()) {
            (true, _) => format!("forbidden: {why}"),
            (_, true) => format!("{qualified} is forbidden: {why}"),
            _ => format!("{qualified} \"{name}\" is forbidden: {why}"),
        };
        Self::new(403, "Forbidden", &message).with_details(object_details(group, resource, name))
    }

    /// 404 NotFound: `<resource> "<name>" not found`.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", qualified(group, resource));
        Self::new(404, "NotFound", &message).with_details(object_details(group, resource, name))
    }

    /// 400 BadRequest with this message.
    pub fn bad_request(message: &str) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 500 without a reason: an error that the apiserver knows no Status for.
    pub fn unknown(message: &str) -> Self {
        Self::new(500, "", message)
    }

    /// The message.
    pub fn message(&self) -> &str {
        self.status["message"].as_str().unwrap_or_default()
    }

    /// Seconds of the `Retry-After` header, when details ask for one.
    pub fn retry_after(&self) -> Option<u64> {
        self.status["details"]["retryAfterSeconds"].as_u64().filter(|seconds| *seconds > 0)
    }
}

fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

fn object_details(group: &str, resource: &str, name: &str) -> Map {
    let mut details = Map::new();
    for (key, value) in [("name", name), ("group", group), ("kind", resource)] {
        if !value.is_empty() {
            details.insert(key.to_owned(), value.into());
        }
    }
    details
}
