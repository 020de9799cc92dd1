//! `metav1.Status`, the apiserver's answer when there is no object to answer with, and the commonest refusals.

use serde::Serialize;

/// A failure or success as the API tells it. Serialises in the apiserver's field order, with `kind` and `apiVersion`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    kind: &'static str,
    api_version: &'static str,
    metadata: ListMeta,
    /// `Failure` or `Success`.
    pub status: &'static str,
    /// For people; empty is left out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// For programs, such as `NotFound`; empty is left out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What the failure is about; left out when there is nothing to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    /// The HTTP status; 0 is left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub code: u16,
}

/// `metadata` of a Status: empty, but for a list whose continue token has expired.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct ListMeta {
    #[serde(rename = "continue", skip_serializing_if = "String::is_empty")]
    continue_: String,
    #[serde(rename = "resourceVersion", skip_serializing_if = "String::is_empty")]
    resource_version: String,
}

/// `status.details`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// Name of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// API group of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The *resource* (`pods`) in most answers and the kind (`Pod`) in validation errors: the API's own ambiguity.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// UID of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Single causes of the failure.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Seconds after which to try again; also sent as `Retry-After`.
    #[serde(skip_serializing_if = "is_zero32")]
    pub retry_after_seconds: u32,
}

/// One entry of `status.details.causes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cause {
    /// Such as `FieldValueRequired`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Path of the field, such as `spec.containers[0].name`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(n: &u16) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero32(n: &u32) -> bool {
    *n == 0
}

/// What an answer is about: API group (empty for core), resource (`pods`) or kind, and name.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// API group, empty for core.
    pub group: &'a str,
    /// Resource or kind, as the answer names it.
    pub kind: &'a str,
    /// Name of the object, empty if it has none yet.
    pub name: &'a str,
}

impl<'a> Subject<'a> {
    /// The three parts as given.
    pub fn new(group: &'a str, kind: &'a str, name: &'a str) -> Self {
        Self { group, kind, name }
    }

    /// `deployments.apps`, or `pods` for the core group.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.kind.to_owned() } else { format!("{}.{}", self.kind, self.group) }
    }

    fn details(&self) -> Details {
        Details { name: self.name.into(), group: self.group.into(), kind: self.kind.into(), ..Details::default() }
    }
}

impl Status {
    /// A failure with a message, a reason (may be empty) and an HTTP status.
    pub fn failure(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self {
            kind: "Status",
            api_version: "v1",
            metadata: ListMeta::default(),
            status: "Failure",
            message: message.into(),
            reason: reason.to_owned(),
            details: None,
            code,
        }
    }

    /// `status: Success`, the answer to a DELETE that is done, with details about what was deleted.
    pub fn success(details: Option<Details>) -> Self {
        Self { status: "Success", details, ..Self::failure(0, "", "") }
    }

    /// The same with details.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.details = Some(details);
        self
    }

    /// The same with the continue token from which a list can be taken up again (410 Expired).
    #[must_use]
    pub fn with_continue(mut self, token: impl Into<String>) -> Self {
        self.metadata.continue_ = token.into();
        self
    }

    /// 404 `pods "web" not found`.
    pub fn not_found(of: Subject<'_>) -> Self {
        Self::failure(404, "NotFound", format!("{} \"{}\" not found", of.qualified(), of.name))
            .with_details(of.details())
    }

    /// 409 `pods "web" already exists`.
    pub fn already_exists(of: Subject<'_>) -> Self {
        Self::failure(409, "AlreadyExists", format!("{} \"{}\" already exists", of.qualified(), of.name))
            .with_details(of.details())
    }

    /// 409 `Operation cannot be fulfilled on configmaps "c": {why}`.
    pub fn conflict(of: Subject<'_>, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{}\": {why}", of.qualified(), of.name);
        Self::failure(409, "Conflict", message).with_details(of.details())
    }

    /// 403 `pods "web" is forbidden: {why}`, or without a name `pods is forbidden: {why}`.
    pub fn forbidden(of: Subject<'_>, why: &str) -> Self {
        let message = match (of.name, of.kind) {
            ("", "") => format!("forbidden: {why}"),
            ("", _) => format!("{} is forbidden: {why}", of.qualified()),
            (name, _) => format!("{} \"{name}\" is forbidden: {why}", of.qualified()),
        };
        Self::failure(403, "Forbidden", message).with_details(of.details())
    }

    /// 422 `Pod "web" is invalid: {what}`: `what` is one field error, or several in brackets; `of.kind` is the kind.
    pub fn invalid(of: Subject<'_>, what: &str, causes: Vec<Cause>) -> Self {
        let message = format!("{} \"{}\" is invalid: {what}", of.qualified(), of.name);
        Self::failure(422, "Invalid", message).with_details(Details { causes, ..of.details() })
    }

    /// 400 with the message as it is.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::failure(400, "BadRequest", message)
    }

    /// 401 `Unauthorized`.
    pub fn unauthorized() -> Self {
        Self::failure(401, "Unauthorized", "Unauthorized")
    }

    /// 405 for a verb that the resource does not have.
    pub fn method_not_allowed() -> Self {
        Self::failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .with_details(Details::default())
    }

    /// 500 `Internal error occurred: {why}`, with `why` as the only cause.
    pub fn internal_error(why: &str) -> Self {
        let cause = Cause { message: why.to_owned(), ..Cause::default() };
        Self::failure(500, "InternalError", format!("Internal error occurred: {why}"))
            .with_details(Details { causes: vec![cause], ..Details::default() })
    }

    /// 504 for a request that took longer than its timeout.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::failure(504, "Timeout", message)
    }

    /// 410 `Expired`: a resource version or continue token is too old.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::failure(410, "Expired", message)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use crate::value::json;

    use super::*;

    /// Bodies of the vectors `api-basics/get-missing-deployment`, `failure/*` and `pod-validation/*`.
    #[test]
    fn bodies_are_the_recorded_ones() {
        let body = |s: Status| crate::value::to_value(s).unwrap();
        assert_eq!(
            body(Status::not_found(Subject::new("apps", "deployments", "nope"))),
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "deployments.apps \"nope\" not found",
                   "reason": "NotFound", "details": {"name": "nope", "group": "apps", "kind": "deployments"}, "code": 404})
        );
        assert_eq!(
            body(Status::internal_error("boom")),
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "Internal error occurred: boom",
                   "reason": "InternalError", "details": {"causes": [{"message": "boom"}]}, "code": 500})
        );
        let cause = Cause {
            reason: "FieldValueRequired".into(),
            message: "Required value".into(),
            field: "spec.containers".into(),
        };
        assert_eq!(
            body(Status::invalid(Subject::new("", "Pod", "p"), "spec.containers: Required value", vec![cause]))["message"],
            json!("Pod \"p\" is invalid: spec.containers: Required value")
        );
        assert_eq!(
            body(Status::success(None)),
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
        );
    }
}
