//! A template's output as a strategic merge patch onto the pod.

use apimachinery::schema::{self, Kind, Type};
use apimachinery::{merge, yaml};
use serde_json::{Map, Value};

use crate::injector::Error;

/// Parses a template's output: YAML, checked against the pod's schema, fields that pods do not have left out.
pub(crate) fn parse(name: &str, text: &str) -> Result<Value, Error> {
    let wrong = |message: String| Error::Output { name: name.to_owned(), message };
    match yaml::parse(text).map_err(|e| wrong(broken_yaml(text, &e)))? {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(object) => {
            let cleaned = clean_object(object, schema::pod(), "");
            cleaned.map_err(|e| wrong(format!("something that is no pod: {e}")))
        }
        _ => Err(wrong("something that is no YAML mapping".to_owned())),
    }
}

fn broken_yaml(text: &str, error: &yaml::Error) -> String {
    let line = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default().trim();
    let line: String = line.chars().take(120).collect();
    format!("broken YAML in line {} of its output ({line:?}): {}", error.line, error.message)
}

fn clean_object(object: Map<String, Value>, ty: &Type, at: &str) -> Result<Value, String> {
    let mut out = Map::new();
    for (key, value) in object {
        if let Some(directive) = key.strip_prefix('$') {
            if directive.starts_with("setElementOrder/") {
                return Err(format!(
                    "{at}: the directive {key} needs the list in an empty pod, and so never works here"
                ));
            }
            out.insert(key, value);
            continue;
        }
        let Some(field) = ty.field(&key) else { continue };
        let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        let value = if value.is_null() { value } else { clean(value, &field.kind, &at)? };
        out.insert(key, value);
    }
    Ok(Value::Object(out))
}

fn clean(value: Value, kind: &Kind, at: &str) -> Result<Value, String> {
    let fine = match (kind, &value) {
        (Kind::Object(_), Value::Object(_)) => {
            let (Kind::Object(ty), Value::Object(object)) = (kind, value) else { return Err(String::new()) };
            return clean_object(object, ty.get(), at);
        }
        (Kind::List(_), Value::Array(_)) => {
            let (Kind::List(item), Value::Array(items)) = (kind, value) else { return Err(String::new()) };
            let cleaned = items.into_iter().enumerate().map(|(i, v)| match v {
                Value::Null => Ok(Value::Null),
                v => clean(v, item, &format!("{at}[{i}]")),
            });
            return Ok(Value::Array(cleaned.collect::<Result<_, _>>()?));
        }
        (Kind::Map(_), Value::Object(_)) => {
            let (Kind::Map(item), Value::Object(map)) = (kind, value) else { return Err(String::new()) };
            let cleaned = map.into_iter().map(|(k, v)| {
                let keep = v.is_null() || k.starts_with('$');
                let v = if keep { v } else { clean(v, item, &format!("{at}[{k}]"))? };
                Ok::<_, String>((k, v))
            });
            return Ok(Value::Object(cleaned.collect::<Result<_, _>>()?));
        }
        (Kind::String | Kind::Time | Kind::MicroTime | Kind::Bytes, Value::String(_))
        | (Kind::Boolean, Value::Bool(_))
        | (Kind::Number, Value::Number(_))
        | (Kind::Quantity | Kind::IntOrString, Value::String(_) | Value::Number(_))
        | (Kind::Any, _) => true,
        (Kind::Int32 | Kind::Int64, Value::Number(n)) => n.is_i64() || n.as_f64().is_some_and(|f| f.fract() == 0.0),
        _ => false,
    };
    if fine { Ok(value) } else { Err(format!("{at} is {}, it has to be of type {}", shown(&value), kind.go_name())) }
}

/// A value of bearable length for an error text; it came from the template, not from the pod's environment alone.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "a mapping".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(_) => "a string".to_owned(),
        other => other.to_string(),
    }
}

/// Lays an overlay over a pod.
pub(crate) fn apply(name: &str, pod: Value, overlay: Value) -> Result<Value, Error> {
    merge::strategic(pod, overlay, schema::pod()).map_err(|e| Error::Output {
        name: name.to_owned(),
        message: format!("an overlay that cannot be applied: {e}"),
    })
}

/// The type of a container.
pub(crate) fn container_type() -> &'static Type {
    let spec = schema::pod().field("spec").and_then(schema::Field::object);
    spec.and_then(|s| s.field("containers")).and_then(schema::Field::object).unwrap_or_else(schema::pod)
}

/// Lays the user's copy of a container over the injected one.
pub(crate) fn apply_container(container: &mut Value, user: Value) -> Result<(), Error> {
    let merged = merge::strategic(container.take(), user, container_type());
    *container = merged
        .map_err(|e| Error::Refused(format!("a container of the pod cannot be merged with the injected one: {e}")))?;
    Ok(())
}
