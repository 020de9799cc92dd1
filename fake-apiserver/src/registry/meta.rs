//! Metadata rules that hold for every kind, and the options of writes.

use apimachinery::go::quote;
use apimachinery::value::{Map, Value, json};

use super::call::Call;
use crate::admission::Rejection;
use crate::refusal::{self, Cause};

/// A text field, `""` if absent.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Name and namespace of a body against those of the path (`pod-create/namespace-mismatch`). Cluster-scoped objects lose a
/// namespace silently (NOTES 31).
pub(crate) fn check_names(call: &Call, object: &mut Value) -> Result<(), Rejection> {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return Ok(()) };
    if !call.resource.namespaced {
        metadata.remove("namespace");
        return Ok(());
    }
    match metadata.get("namespace").and_then(Value::as_str).unwrap_or_default() {
        "" => {
            metadata.insert("namespace".to_owned(), call.namespace.as_str().into());
            Ok(())
        }
        namespace if namespace == call.namespace => Ok(()),
        _ => Err(Rejection::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
}

/// The name of a body against that of the path (`api-basics/put-name-mismatch`).
pub(crate) fn check_name(call: &Call, object: &mut Value) -> Result<(), Rejection> {
    let name = text(&object["metadata"], "name").to_owned();
    if name.is_empty() {
        object["metadata"]["name"] = call.name.as_str().into();
    } else if name != call.name {
        let message = format!("the name of the object ({name}) does not match the name on the URL ({})", call.name);
        return Err(Rejection::bad_request(&message));
    }
    Ok(())
}

/// What a client cannot set on a new object (NOTES 5).
pub(crate) fn wipe_system_fields(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
            metadata.remove(field);
        }
    }
}

/// The options object that admission shows: `CreateOptions`, `UpdateOptions`, checked.
pub(crate) fn options(call: &Call, kind: &str) -> Result<Value, Rejection> {
    options_of(call, kind, kind)
}

/// The same for a PATCH, whose errors speak of PatchOptions whatever admission is shown.
pub(crate) fn options_of(call: &Call, kind: &str, named: &str) -> Result<Value, Rejection> {
    let mut options = Map::new();
    options.insert("kind".to_owned(), kind.into());
    options.insert("apiVersion".to_owned(), "meta.k8s.io/v1".into());
    let mut causes = Vec::new();
    let dry_run: Vec<&str> = call.query.all("dryRun").filter(|value| !value.is_empty()).collect();
    if dry_run.iter().any(|value| *value != "All") {
        causes.push(Cause::unsupported_list("dryRun", &dry_run, &["All"]));
    }
    if !dry_run.is_empty() {
        options.insert("dryRun".to_owned(), json!(dry_run));
    }
    let manager = call.query.get("fieldManager");
    if !manager.is_empty() {
        if manager.len() > 128 {
            causes.push(Cause::too_long("fieldManager", 128));
        }
        // A blank is the only white space that can be printed.
        let printable = |letter: char| !letter.is_control() && (!letter.is_whitespace() || letter == ' ');
        let quoted = quote(manager);
        // Each quotes the whole name, which may be longer than it may be.
        for (at, letter) in manager.char_indices().filter(|(_, letter)| !printable(*letter)).take(128) {
            let text = format!("invalid character U+{:04X} (at position {at})", u32::from(letter));
            causes.push(Cause::invalid("fieldManager", &quoted, &text));
        }
        options.insert("fieldManager".to_owned(), manager.into());
    }
    let validation = call.query.get("fieldValidation");
    if !validation.is_empty() {
        if !matches!(validation, "Ignore" | "Warn" | "Strict") {
            causes.push(Cause::unsupported("fieldValidation", validation, &["", "Ignore", "Strict", "Warn"]));
        }
        options.insert("fieldValidation".to_owned(), validation.into());
    }
    if causes.is_empty() {
        Ok(Value::Object(options))
    } else {
        Err(refusal::invalid("meta.k8s.io", named, "", &causes))
    }
}

/// The largest request that etcd takes by default.
const LARGEST: usize = 3 * 1024 * 1024 / 2;

/// Refuses what etcd would not take (`transport/patch-makes-too-large`).
pub(super) fn check_size(object: &Value) -> Result<(), Rejection> {
    if weight(object) <= LARGEST { Ok(()) } else { Err(Rejection::unknown("etcdserver: request is too large")) }
}

/// About how many bytes an object takes in etcd: built-in kinds are stored without the names of their fields, which matters
/// little beside texts of that size.
fn weight(value: &Value) -> usize {
    const OVERHEAD: usize = 3;
    OVERHEAD
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(fields) => fields.values().map(weight).sum(),
            _ => 0,
        }
}
