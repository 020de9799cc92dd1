//! The Statuses that the registry itself answers with; texts and details as recorded.

use apimachinery::value::{Map, Value, json};

use crate::admission::Rejection;

/// One cause of a 422.
pub(crate) struct Cause {
    reason: &'static str,
    message: String,
    field: String,
}

impl Cause {
    /// `Forbidden: …`
    pub(crate) fn forbidden(field: &str, text: &str) -> Cause {
        Cause { reason: "FieldValueForbidden", message: format!("Forbidden: {text}"), field: field.to_owned() }
    }

    /// `Invalid value: "…": …`
    pub(crate) fn invalid(field: &str, value: &str, text: &str) -> Cause {
        Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {text}"),
            field: field.to_owned(),
        }
    }

    /// `Too long: may not be more than …`
    pub(crate) fn too_long(field: &str, limit: usize) -> Cause {
        let message = format!("Too long: may not be more than {limit} bytes");
        Cause { reason: "FieldValueTooLong", message, field: field.to_owned() }
    }

    /// The same for a list, which is shown whole (`sideeffects/dryrun-bad-value`).
    pub(crate) fn unsupported_list(field: &str, values: &[&str], supported: &[&str]) -> Cause {
        let mut cause = Cause::unsupported(field, "", supported);
        cause.message = cause.message.replacen("\"\"", &apimachinery::value::json!(values).to_string(), 1);
        cause
    }

    /// `Unsupported value: "…": supported values: …`
    pub(crate) fn unsupported(field: &str, value: &str, supported: &[&str]) -> Cause {
        let supported: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        let message = format!("Unsupported value: {value:?}: supported values: {}", supported.join(", "));
        Cause { reason: "FieldValueNotSupported", message, field: field.to_owned() }
    }
}

/// 422 for a kind; several causes are listed in brackets.
pub(crate) fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Rejection {
    let texts: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    let text = if let [one] = texts.as_slice() { one.clone() } else { format!("[{}]", texts.join(", ")) };
    let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    let mut details = Map::new();
    for (field, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            details.insert(field.to_owned(), value.into());
        }
    }
    let causes: Vec<Value> = causes
        .iter()
        .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
        .collect();
    details.insert("causes".to_owned(), causes.into());
    Rejection::new(422, "Invalid", &format!("{qualified} \"{name}\" is invalid: {text}")).with_details(details)
}

/// 405 for a verb that the resource does not have (`api-basics/put-to-collection`).
pub(crate) fn method_not_allowed() -> Rejection {
    Rejection::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        .with_details(Map::new())
}

/// 404 for a path that a served group version does not have (`api-basics/unknown-version`).
pub(crate) fn no_such_resource() -> Rejection {
    Rejection::new(404, "NotFound", "the server could not find the requested resource").with_details(Map::new())
}

/// 406 (`api-basics/accept-unsupported`).
pub(crate) fn not_acceptable(formats: &str) -> Rejection {
    let message = format!("406: Not Acceptable\n\nAvailable representations: {formats}");
    Rejection::new(406, "NotAcceptable", &message).with_details(Map::new())
}

/// An error that was ordered as a fault.
pub(crate) fn ordered(code: u16, retry_after: Option<u64>) -> Rejection {
    let (reason, message) = match code {
        400 => ("BadRequest", "the server rejected our request for an unknown reason"),
        401 => ("Unauthorized", "Unauthorized"),
        403 => ("Forbidden", "forbidden"),
        404 => ("NotFound", "the server could not find the requested resource"),
        409 => ("Conflict", "the server reported a conflict"),
        410 => ("Expired", "the resource is no longer available"),
        429 => ("TooManyRequests", "Too many requests, please try again later."),
        500 => ("InternalError", "Internal error occurred: a fault was ordered"),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => ("Timeout", "Timeout: request did not complete within the allotted timeout"),
        _ => ("", "a fault was ordered"),
    };
    let mut rejection = Rejection::new(code, reason, message);
    if let Some(seconds) = retry_after {
        rejection.status["details"] = json!({"retryAfterSeconds": seconds});
    }
    rejection
}

/// 401 (`api-basics/bad-token`).
pub(crate) fn unauthorized() -> Rejection {
    Rejection::new(401, "Unauthorized", "Unauthorized")
}

/// 409 of a create.
pub(crate) fn already_exists(group: &str, resource: &str, name: &str) -> Rejection {
    let mut rejection = Rejection::not_found(group, resource, name);
    let qualified = crate::kinds::qualified(group, resource);
    rejection.code = 409;
    rejection.status["code"] = 409.into();
    rejection.status["reason"] = "AlreadyExists".into();
    rejection.status["message"] = format!("{qualified} \"{name}\" already exists").into();
    rejection
}

/// 409 of an update: `Operation cannot be fulfilled on …`.
pub(crate) fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Rejection {
    let mut rejection = Rejection::not_found(group, resource, name);
    let qualified = crate::kinds::qualified(group, resource);
    rejection.code = 409;
    rejection.status["code"] = 409.into();
    rejection.status["reason"] = "Conflict".into();
    rejection.status["message"] = format!("Operation cannot be fulfilled on {qualified} \"{name}\": {why}").into();
    rejection
}

/// The text of the 409 for a stale resourceVersion.
pub(crate) const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// 410 of a list's next page, with a token to go on without one revision (`api-basics/list-events-continue-410`).
pub(crate) fn continue_expired(token: String) -> Rejection {
    let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list \
                   without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
                   results. Continuing with the provided token results in an inconsistent list - objects that were created, \
                   modified, or deleted between the time the first chunk was returned and now may show up in the list.";
    let mut rejection = Rejection::new(410, "Expired", message);
    rejection.status["metadata"] = json!({"continue": token});
    rejection
}

/// 410 of a list at an exact revision.
pub(crate) fn list_expired() -> Rejection {
    Rejection::new(410, "Expired", "The resourceVersion for the provided list is too old.")
}

/// 504 of a list at a revision that is yet to come (`api-basics/list-rv-future`).
pub(crate) fn too_large_resource_version(asked: u64, current: u64) -> Rejection {
    let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
    let mut rejection = Rejection::new(504, "Timeout", &message);
    rejection.status["details"] = json!({
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    });
    rejection
}

/// 403 of the authorizer (`api-basics/forbidden-create`).
pub(crate) fn forbidden(group: &str, resource: &str, name: &str, message: &str) -> Rejection {
    Rejection::forbidden(group, resource, name, message)
}
