//! Reading and shaping objects that are JSON values.

use apimachinery::value::{List, Map, Value, json};

use super::kinds::Kind;
use crate::objects::get::at;

/// The text at a JSON pointer, `""` if there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a JSON pointer.
pub(crate) fn int(value: &Value, pointer: &str) -> Option<i64> {
    at(value, pointer).and_then(Value::as_i64)
}

/// The number at a JSON pointer, 0 if there is none.
pub(crate) fn count(value: &Value, pointer: &str) -> i64 {
    int(value, pointer).unwrap_or(0)
}

/// Whether the value at a JSON pointer is `true`.
pub(crate) fn flag(value: &Value, pointer: &str) -> bool {
    at(value, pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// The list at a JSON pointer, empty if there is none.
pub(crate) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    at(value, pointer).and_then(Value::as_array).map_or(&[], List::as_slice)
}

pub(crate) fn name(value: &Value) -> &str {
    text(value, "/metadata/name")
}

pub(crate) fn namespace(value: &Value) -> &str {
    text(value, "/metadata/namespace")
}

pub(crate) fn uid(value: &Value) -> &str {
    text(value, "/metadata/uid")
}

/// Where an object is: namespace and name.
pub(crate) fn place(value: &Value) -> (&str, &str) {
    (namespace(value), name(value))
}

/// The key of an object in a work queue.
pub(crate) fn key(value: &Value) -> String {
    crate::store::key(namespace(value), name(value))
}

/// Namespace and name of a key; cluster-scoped objects have no namespace.
pub(crate) fn split_key(key: &str) -> (&str, &str) {
    key.split_once('/').unwrap_or(("", key))
}

pub(crate) fn is_deleting(value: &Value) -> bool {
    at(value, "/metadata/deletionTimestamp").is_some_and(|time| !time.is_null())
}

pub(crate) fn labels(value: &Value) -> &Map {
    static EMPTY: std::sync::LazyLock<Map> = std::sync::LazyLock::new(Map::new);
    at(value, "/metadata/labels").and_then(Value::as_object).unwrap_or(&EMPTY)
}

/// An annotation, if it is there.
pub(crate) fn annotation<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get("metadata")?.get("annotations")?.get(key)?.as_str()
}

/// The map at `metadata.FIELD` (or any object's field), made if need be.
pub(crate) fn map_mut<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut Map> {
    let parent = value.as_object_mut()?;
    let child = parent.entry(field).or_insert(Value::Null);
    if !child.is_object() {
        *child = json!({});
    }
    child.as_object_mut()
}

/// The object with another status.
pub(crate) fn with_status(object: &Value, status: Value) -> Value {
    let rest = object.as_object().into_iter().flatten().filter(|(field, _)| *field != "status");
    let mut next: Map = rest.map(|(field, value)| (field.clone(), value.clone())).collect();
    next.insert("status".to_owned(), status);
    next.into()
}

/// Sets `metadata.annotations[key]`.
pub(crate) fn set_annotation(value: &mut Value, key: &str, text: &str) {
    if let Some(annotations) = value.get_mut("metadata").and_then(|metadata| map_mut(metadata, "annotations")) {
        annotations.insert(key.to_owned(), text.into());
    }
}

/// Sets `metadata.labels[key]` of an object or a pod template.
pub(crate) fn set_label(value: &mut Value, key: &str, text: &str) {
    if let Some(metadata) = map_mut(value, "metadata")
        && !metadata.get("labels").is_some_and(Value::is_object)
    {
        metadata.insert("labels".to_owned(), json!({}));
    }
    if let Some(labels) = value.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.insert(key.to_owned(), text.into());
    }
}

/// The reference with `controller: true`.
pub(crate) fn controller_of(value: &Value) -> Option<&Value> {
    items(value, "/metadata/ownerReferences").iter().find(|reference| reference["controller"] == true)
}

/// The uid of the object's controller, `""` if it has none.
pub(crate) fn controller_uid(value: &Value) -> &str {
    controller_of(value).map_or("", |reference| text(reference, "/uid"))
}

/// If the object's controller is of this kind: its key, in the object's namespace.
pub(crate) fn controller_key(value: &Value, kind: &Kind) -> Option<String> {
    let reference = controller_of(value)?;
    if reference["kind"] != kind.kind || group_of(text(reference, "/apiVersion")) != kind.group {
        return None;
    }
    Some(crate::store::key(namespace(value), text(reference, "/name")))
}

/// The group of `apps/v1` or `v1`.
pub(crate) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// An ownerReference that makes `owner` the controller.
pub(crate) fn controller_reference(owner: &Value, kind: &Kind) -> Value {
    json!({
        "apiVersion": kind.api_version(), "kind": kind.kind, "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The condition of a type in `status.conditions`.
pub(crate) fn condition<'a>(status: &'a Value, condition_type: &str) -> Option<&'a Value> {
    items(status, "/conditions").iter().find(|condition| condition["type"] == condition_type)
}

/// Sets or, with 0 and `omitempty`, leaves out a number.
pub(crate) fn set_count(object: &mut Value, field: &str, number: i64) {
    let Some(fields) = object.as_object_mut() else { return };
    if number == 0 {
        fields.remove(field);
    } else {
        fields.insert(field.to_owned(), number.into());
    }
}
