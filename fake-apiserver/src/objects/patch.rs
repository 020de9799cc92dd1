//! What a PATCH makes of the stored object.

#[cfg(test)]
mod tests;

use apimachinery::json_patch::{self, Patch};
use apimachinery::merge;
use apimachinery::value::{Value, json};

use super::decode::{self, Decoded, FieldValidation, bad_request};
use super::field::{FieldError, Path, invalid_status};
use super::get::text;
use super::managed_fields::{self, Writer};
use super::{Target, types};

/// Most operations in a JSON patch.
const MOST_OPERATIONS: usize = 10_000;

/// The sort of a patch, named by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchType {
    /// `application/json-patch+json`
    Json,
    /// `application/merge-patch+json`
    Merge,
    /// `application/strategic-merge-patch+json`
    Strategic,
    /// `application/apply-patch+yaml`: see [`apply`].
    Apply,
}

impl PatchType {
    /// From a `Content-Type` header, its parameters aside; `None` for any other type (415).
    pub(crate) fn from_content_type(header: &str) -> Option<PatchType> {
        match header.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Some(PatchType::Json),
            "application/merge-patch+json" => Some(PatchType::Merge),
            "application/strategic-merge-patch+json" => Some(PatchType::Strategic),
            "application/apply-patch+yaml" => Some(PatchType::Apply),
            _ => None,
        }
    }
}

/// The object that a patch (any but apply) makes of the live one, decoded and not yet defaulted; or the `Status` to answer with.
pub(crate) fn patch(
    target: Target<'_>,
    kind: PatchType,
    live: &Value,
    body: &[u8],
    validation: FieldValidation,
) -> Result<Decoded, Value> {
    let patched = match kind {
        PatchType::Json => {
            let operations = document(body).map_err(|error| undecodable(&error))?;
            let count = match &operations {
                Value::Array(operations) => operations.len(),
                Value::Null => 0,
                other => {
                    let found = apimachinery::go_json::kind_of(other);
                    return Err(undecodable(&format!(
                        "json: cannot unmarshal {found} into Go value of type []handlers.jsonPatchOp"
                    )));
                }
            };
            if count > MOST_OPERATIONS {
                return Err(too_many_operations(count));
            }
            let patch = Patch::from_value(operations).map_err(|error| undecodable(&error.to_string()))?;
            patch.apply(live.clone()).map_err(|error| match error {
                json_patch::Error::Decode(error) => undecodable(&error),
                _ => unprocessable(),
            })?
        }
        PatchType::Merge => {
            let patch = document(body).map_err(|error| undecodable(&error))?;
            if !patch.is_object() && !patch.is_null() {
                return Err(undecodable(&not_a_map(&patch)));
            }
            merge::json_merge(live.clone(), patch)
        }
        PatchType::Strategic => {
            let patch = document(body).map_err(bad_request)?;
            if !patch.is_object() && !patch.is_null() {
                return Err(bad_request(not_a_map(&patch)));
            }
            let Some(ty) = types::lookup(target) else { return Err(unsupported()) };
            merge::strategic(live.clone(), patch, ty.schema).map_err(|error| merge_failure(&error))?
        }
        PatchType::Apply => return Err(unsupported()),
    };
    finish(target, patched, validation)
}

/// Server-side apply of a configuration: the merged object, not yet defaulted, with its managed fields.
///
/// `live` is `None` when the object is to be created; the merged object equals it when there was nothing to do.
pub(crate) fn apply(
    target: Target<'_>,
    live: Option<&Value>,
    body: &[u8],
    writer: &Writer<'_>,
    force: bool,
) -> Result<Value, Value> {
    let source = String::from_utf8_lossy(body);
    let config = apimachinery::yaml::parse(&source)
        .map_err(|error| bad_request(format!("error decoding YAML: error converting YAML to JSON: {error}")))?;
    let api_version = text(&config, "apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = text(&config, "kind");
    if (group, version, kind) != (target.group, target.version, target.kind) {
        return Err(bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")));
    }
    let merged = managed_fields::apply(target, live, &config, writer, force)?;
    let decoded = decode::normalize(target, merged).map_err(bad_request)?;
    Ok(decoded.object)
}

fn document(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|error| decode::syntax_error(body).unwrap_or_else(|| error.to_string()))
}

fn not_a_map(patch: &Value) -> String {
    format!(
        "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
        apimachinery::go_json::kind_of(patch)
    )
}

/// The patched object in the kind's own form.
fn finish(target: Target<'_>, patched: Value, validation: FieldValidation) -> Result<Decoded, Value> {
    let printed = || print(&patched);
    // A patch may have changed the kind; its fields are read as those of the new one first.
    let api_version = text(&patched, "apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let found = Target { group, version, kind: text(&patched, "kind") };
    let decoded = match decode::normalize(found, patched.clone()) {
        Ok(decoded) => decoded,
        Err(error) => return Err(invalid_patch(printed(), error)),
    };
    if found != target {
        let message = format!(
            "{} in version \"{}\" cannot be handled as a {}: converting ({}.{}) to ({}.{}): unknown conversion",
            found.kind, found.version, target.kind, found.version, found.kind, target.version, target.kind
        );
        return Err(bad_request(message));
    }
    if validation == FieldValidation::Strict && !decoded.warnings.is_empty() {
        let error = format!("strict decoding error: {}", decoded.warnings.join(", "));
        return Err(invalid_patch(printed(), error));
    }
    let warnings = if validation == FieldValidation::Warn { decoded.warnings } else { Vec::new() };
    Ok(Decoded { object: decoded.object, warnings })
}

/// The patched object as an error quotes it: sorted on top, the metadata (which a patch seldom touches) in the apiserver's order.
fn print(object: &Value) -> String {
    const METADATA: [&str; 15] = [
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
        "annotations",
        "ownerReferences",
        "finalizers",
        "managedFields",
    ];
    const ENTRY: [&str; 7] = ["manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource"];
    let fields = object.as_object().into_iter().flatten().map(|(name, value)| {
        let printed = match name.as_str() {
            "metadata" => ordered(value, &METADATA, &|field, value| match (field, value) {
                ("managedFields", Value::Array(entries)) => {
                    let entries: Vec<String> =
                        entries.iter().map(|entry| ordered(entry, &ENTRY, &|_, value| value.to_string())).collect();
                    format!("[{}]", entries.join(","))
                }
                _ => value.to_string(),
            }),
            _ => value.to_string(),
        };
        format!("{}:{printed}", Value::from(name.as_str()))
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// An object with these fields first, in this order.
fn ordered(object: &Value, order: &[&str], print: &dyn Fn(&str, &Value) -> String) -> String {
    let Some(fields) = object.as_object() else { return object.to_string() };
    let known = order.iter().filter_map(|name| fields.get_key_value(name));
    let rest = fields.iter().filter(|(name, _)| !order.contains(&name.as_str()));
    let printed: Vec<String> = known
        .chain(rest)
        .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), print(name, value)))
        .collect();
    format!("{{{}}}", printed.join(","))
}

fn invalid_patch(patched: String, error: String) -> Value {
    let nothing = Target::new("", "", "");
    invalid_status(nothing, "", &[FieldError::invalid_str(&Path::root("patch"), &patched, error)])
}

fn undecodable(error: &str) -> Value {
    bad_request(format!("error decoding patch: {error}"))
}

fn merge_failure(error: &merge::Error) -> Value {
    let message = error.to_string();
    if message.starts_with("invalid patch format") {
        return bad_request(message);
    }
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": 500,
    })
}

/// A patch that decodes and does not apply (operations/patch-json-bad-path).
fn unprocessable() -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the server rejected our request due to an error in our request",
        "reason": "Invalid", "details": {}, "code": 422,
    })
}

fn too_many_operations(count: usize) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {count}"
        ),
        "reason": "RequestEntityTooLarge", "code": 413,
    })
}

fn unsupported() -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        "reason": "UnsupportedMediaType", "code": 415,
    })
}
