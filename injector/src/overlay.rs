//! A template's output as a strategic merge patch onto the pod.

use apimachinery::schema::{self, Kind, Type};
use apimachinery::value::{Map, Value};
use apimachinery::{merge, yaml};

use crate::engine::Error;
use crate::golang::{self, decode};

/// Parses a template's output: YAML, checked against the pod's schema, fields that pods do not have left out.
pub(crate) fn parse(name: &str, text: &str) -> Result<Value, Error> {
    const NO_DOCUMENT: &str = "strategic merge: invalid JSON document";
    match yaml::parse(text).map_err(|e| wrong(name, broken_yaml(text, &e), NO_DOCUMENT))? {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(mut object) => {
            if let Err(e) = clean_object(&mut object, schema::pod(), &mut Vec::new()) {
                let said = said(&Value::Object(object), &e);
                return Err(wrong(name, format!("something that is no pod: {e}"), &said));
            }
            Ok(Value::Object(object))
        }
        _ => Err(wrong(name, "something that is no YAML mapping".to_owned(), NO_DOCUMENT)),
    }
}

/// An error with what Istio says about it.
fn wrong(name: &str, message: String, said: &str) -> Error {
    let said = format!("failed to run injection template: failed applying injection overlay: {said}");
    Error::Output { name: name.to_owned(), message, said }
}

/// What Istio says about an overlay that does not fit a pod: its merge fails, or Go's decoder after it.
fn said(overlay: &Value, message: &str) -> String {
    if message.starts_with(DIRECTIVE) {
        return "strategic merge: expected a []interface {}, but received a %!s(<nil>)".to_owned();
    }
    let fields = |key: &str| schema::pod().field(key).map(|field| &field.kind);
    let why = decode::strict(overlay, "v1.Pod", fields).err().unwrap_or_else(|| message.to_owned());
    format!("unmarshal patched pod: {why}")
}

const DIRECTIVE: &str = "the directive";

fn broken_yaml(text: &str, error: &yaml::Error) -> String {
    let line = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default().trim();
    let line: String = line.chars().take(120).collect();
    format!("broken YAML in line {} of its output ({line:?}): {}", error.line, error.message)
}

/// Checks an object in place and drops what its type does not have; `at` is its path, for error texts.
fn clean_object(object: &mut Map, ty: &Type, at: &mut Vec<String>) -> Result<(), String> {
    let mut failed = None;
    object.retain(|key, value| {
        if failed.is_some() {
            return true;
        }
        if let Some(directive) = key.strip_prefix('$') {
            if directive.starts_with("setElementOrder/") {
                failed = Some(format!("{DIRECTIVE} {key} needs the list in an empty pod, and so never works here"));
            }
            return true;
        }
        let Some(field) = ty.field(key) else { return false };
        if let Err(e) = clean_at(value, &field.kind, key, at) {
            failed = Some(e);
        }
        true
    });
    failed.map_or(Ok(()), Err)
}

/// Checks the value of a key or index; null is fine everywhere (it deletes).
fn clean_at(value: &mut Value, kind: &Kind, token: &str, at: &mut Vec<String>) -> Result<(), String> {
    match (kind, value) {
        (_, Value::Null) | (Kind::Any, _) => Ok(()),
        (Kind::String | Kind::Time | Kind::MicroTime | Kind::Bytes, Value::String(_))
        | (Kind::Boolean, Value::Bool(_))
        | (Kind::Number, Value::Number(_))
        | (Kind::IntOrString, Value::String(_))
        | (Kind::Quantity, Value::Number(_)) => Ok(()),
        (Kind::Quantity, Value::String(text)) if golang::quantity(text.trim()).is_none() => Ok(()),
        (Kind::IntOrString, Value::Number(n)) if n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => Ok(()),
        (Kind::Quantity, value @ Value::String(_)) => {
            at.push(token.to_owned());
            Err(format!("{} is {value}, it has to be a quantity such as 100m or 128Mi", at.join(".")))
        }
        (Kind::Int32 | Kind::Int64, Value::Number(n)) if n.is_i64() || n.as_f64().is_some_and(|f| f.fract() == 0.0) => {
            Ok(())
        }
        (Kind::Object(ty), Value::Object(object)) => {
            at.push(token.to_owned());
            clean_object(object, ty.get(), at)?;
            at.pop();
            Ok(())
        }
        (Kind::List(item), Value::Array(items)) => {
            at.push(token.to_owned());
            for (i, value) in items.iter_mut().enumerate() {
                clean_at(value, item, &i.to_string(), at)?;
            }
            at.pop();
            Ok(())
        }
        (Kind::Map(item), Value::Object(map)) => {
            at.push(token.to_owned());
            for (key, value) in map.iter_mut().filter(|(k, _)| !k.starts_with('$')) {
                clean_at(value, item, key, at)?;
            }
            at.pop();
            Ok(())
        }
        (kind, value) => {
            at.push(token.to_owned());
            Err(format!("{} is {}, it has to be of type {}", at.join("."), shown(value), kind.go_name()))
        }
    }
}

/// The part of an overlay that says what a template injects: names in lists. The whole of it if it holds directives, which
/// can change that.
pub(crate) fn outline(layer: &Value, text: &str) -> Value {
    if ["$patch", "$retainKeys", "$deleteFromPrimitiveList"].iter().any(|d| text.contains(d)) {
        return layer.clone();
    }
    let mut spec = Map::new();
    for key in ["containers", "initContainers", "volumes", "imagePullSecrets"] {
        let Some(list) = layer.get("spec").and_then(|s| s.get(key)) else { continue };
        let names = list.as_array().map(|items| {
            let name = |item: &Value| match item.get("name") {
                Some(name) => apimachinery::value::json!({ "name": name }),
                None => Value::Object(Map::new()),
            };
            items.iter().map(name).collect()
        });
        spec.insert(key.to_owned(), names.unwrap_or(Value::Null));
    }
    apimachinery::value::json!({ "spec": spec })
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
    merge::strategic(pod, overlay, schema::pod())
        .map_err(|e| wrong(name, format!("an overlay that cannot be applied: {e}"), &format!("strategic merge: {e}")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_is_no_pod_is_refused_in_istios_words() {
        for (text, says) in [
            ("a: [", "strategic merge: invalid JSON document"),
            ("- a", "strategic merge: invalid JSON document"),
            (
                "spec: {containers: [{name: a, image: 5}]}",
                "unmarshal patched pod: json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string",
            ),
            (
                "spec: {containers: [{name: a, resources: {limits: {cpu: x}}}]}",
                "unmarshal patched pod: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            ),
            (
                "spec: {containers: [{name: a, livenessProbe: {tcpSocket: {port: 1.5}}}]}",
                "unmarshal patched pod: json: cannot unmarshal number 1.5 into Go struct field TCPSocketAction.spec.containers.livenessProbe.tcpSocket.port of type int32",
            ),
        ] {
            let error = parse("custom", text).unwrap_err();
            let says = format!("failed to run injection template: failed applying injection overlay: {says}");
            assert_eq!(error.to_string(), says);
            assert!(error.place().unwrap().starts_with("template \"custom\" printed "));
        }
        assert!(parse("custom", "spec: {containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}}}]}").is_ok());
    }
}
