//! Reading JSON objects the way Go reads structs: what is absent is the zero value.

use apimachinery::value::{List, Map, Text, Value};

/// The value at a JSON pointer. What `Value::pointer` finds, without copying every part of the pointer.
pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    if pointer.contains('~') || !pointer.starts_with('/') {
        return value.pointer(pointer);
    }
    pointer.split('/').skip(1).try_fold(value, |value, part| match value {
        Value::Object(fields) => fields.get(part),
        Value::Array(_) => value.pointer(&format!("/{part}")),
        _ => None,
    })
}

/// A string field, `""` when absent or of another type.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// An integer field, `None` when absent.
pub(crate) fn int(object: &Value, field: &str) -> Option<i64> {
    object.get(field).and_then(Value::as_i64)
}

/// A boolean field, `None` when absent.
pub(crate) fn flag(object: &Value, field: &str) -> Option<bool> {
    object.get(field).and_then(Value::as_bool)
}

/// A boolean field, `false` when absent.
pub(crate) fn is_set(object: &Value, field: &str) -> bool {
    flag(object, field).unwrap_or(false)
}

/// A list field, empty when absent.
pub(crate) fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object.get(field).and_then(Value::as_array).map_or(&[], List::as_slice)
}

/// An object or map field, `None` when absent (or null).
pub(crate) fn object<'a>(parent: &'a Value, field: &str) -> Option<&'a Value> {
    parent.get(field).filter(|value| value.is_object())
}

/// The entries of a map field, none when absent.
pub(crate) fn entries<'a>(parent: &'a Value, field: &str) -> impl Iterator<Item = (&'a Text, &'a Value)> {
    parent.get(field).and_then(Value::as_object).into_iter().flatten()
}

/// A struct field, the empty struct when absent.
pub(crate) fn sub<'a>(parent: &'a Value, field: &str) -> &'a Value {
    parent.get(field).unwrap_or(&Value::Null)
}

/// A mutable struct field, created empty when absent or null; `None` only if the parent is no object.
pub(crate) fn sub_mut<'a>(parent: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    let fields = parent.as_object_mut()?;
    if !fields.get(field).is_some_and(Value::is_object) {
        fields.insert(field.to_owned(), Value::Object(Map::new()));
    }
    fields.get_mut(field)
}

/// The elements of a mutable list field, none when absent.
pub(crate) fn list_mut<'a>(parent: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    parent.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Sets a field that is absent.
pub(crate) fn default(parent: &mut Value, field: &str, value: impl Into<Value>) {
    if let Some(fields) = parent.as_object_mut()
        && fields.get(field).is_none_or(Value::is_null)
    {
        fields.insert(field.to_owned(), value.into());
    }
}

/// Sets a field whatever it was.
pub(crate) fn set(parent: &mut Value, field: &str, value: impl Into<Value>) {
    if let Some(fields) = parent.as_object_mut() {
        fields.insert(field.to_owned(), value.into());
    }
}

/// Removes a field.
pub(crate) fn remove(parent: &mut Value, field: &str) -> Option<Value> {
    parent.as_object_mut().and_then(|fields| fields.remove(field))
}
