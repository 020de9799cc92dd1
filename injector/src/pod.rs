//! Small accessors for pods held as JSON values.

use std::sync::LazyLock;

use apimachinery::value::{List, Map, Value};

/// The proxy's container.
pub(crate) const PROXY: &str = "istio-proxy";
/// The container that sets the redirection up.
pub(crate) const INIT: &str = "istio-init";
/// The container that checks the redirection that CNI set up.
pub(crate) const VALIDATION: &str = "istio-validation";
/// The container that enables core dumps.
pub(crate) const CORE_DUMP: &str = "enable-core-dump";

static EMPTY: LazyLock<Map> = LazyLock::new(Map::new);

/// `metadata.labels`, `metadata.annotations` and the like; empty if absent.
pub(crate) fn strings<'a>(pod: &'a Value, key: &str) -> &'a Map {
    pod.get("metadata").and_then(|m| m.get(key)).and_then(Value::as_object).unwrap_or(&EMPTY)
}

/// A text in a map of strings.
pub(crate) fn text<'a>(map: &'a Map, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str)
}

/// The name of a list's item.
pub(crate) fn name(item: &Value) -> &str {
    item.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// `spec.<key>` as a slice; empty if absent.
pub(crate) fn list<'a>(pod: &'a Value, key: &str) -> &'a [Value] {
    pod.get("spec").and_then(|s| s.get(key)).and_then(Value::as_array).map_or(&[], List::as_slice)
}

/// `spec.<key>` as a list that can be changed; `None` if it is absent.
pub(crate) fn list_mut<'a>(pod: &'a mut Value, key: &str) -> Option<&'a mut List> {
    pod.get_mut("spec")?.get_mut(key)?.as_array_mut()
}

/// A member that is made an object if it is absent or null.
pub(crate) fn object_mut<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Map> {
    let slot = value.as_object_mut()?.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

/// `metadata.annotations` or `metadata.labels`, made if absent.
pub(crate) fn strings_mut<'a>(pod: &'a mut Value, key: &str) -> Option<&'a mut Map> {
    object_mut(pod, "metadata")?;
    object_mut(pod.get_mut("metadata")?, key)
}

/// The proxy: among the containers first, then among the init containers.
pub(crate) fn proxy_mut(pod: &mut Value) -> Option<&mut Value> {
    let key = ["containers", "initContainers"].into_iter().find(|k| list(pod, k).iter().any(|c| name(c) == PROXY))?;
    list_mut(pod, key)?.iter_mut().find(|c| name(c) == PROXY)
}

/// A container's `env`, made if absent.
pub(crate) fn env_mut(container: &mut Value) -> Option<&mut List> {
    let slot = container.as_object_mut()?.entry("env").or_insert_with(|| Value::Array(List::new()));
    if slot.is_null() {
        *slot = Value::Array(List::new());
    }
    slot.as_array_mut()
}

/// Sets an environment variable: in place if it is there, else at the end.
pub(crate) fn set_env(container: &mut Value, variable: &str, value: String) {
    let Some(env) = env_mut(container) else { return };
    let entry = apimachinery::value::json!({ "name": variable, "value": value });
    match env.iter_mut().find(|e| name(e) == variable) {
        Some(found) => *found = entry,
        None => env.push(entry),
    }
}

/// Whether the value has the outline of a pod, as far as injection relies on it.
pub(crate) fn check(pod: &Value) -> Result<(), String> {
    let Value::Object(object) = pod else { return Err("it is not a JSON object".to_owned()) };
    let part = |value: Option<&Value>, path: &str, fits: fn(&Value) -> bool, what: &str| match value {
        None | Some(Value::Null) => Ok(()),
        Some(value) if fits(value) => Ok(()),
        Some(_) => Err(format!("{path} is not {what}")),
    };
    let strings = |v: &Value| v.as_object().is_some_and(|m| m.values().all(|v| v.is_string() || v.is_null()));
    let objects = |v: &Value| v.as_array().is_some_and(|a| a.iter().all(Value::is_object));
    for key in ["metadata", "spec"] {
        part(object.get(key), key, Value::is_object, "an object")?;
    }
    let metadata = |k: &str| pod.get("metadata").and_then(|m| m.get(k));
    part(metadata("labels"), "metadata.labels", strings, "a map of strings")?;
    part(metadata("annotations"), "metadata.annotations", strings, "a map of strings")?;
    let spec = |k: &str| pod.get("spec").and_then(|s| s.get(k));
    for key in ["containers", "initContainers", "volumes", "imagePullSecrets"] {
        part(spec(key), &format!("spec.{key}"), objects, "a list of objects")?;
    }
    for container in list(pod, "containers").iter().chain(list(pod, "initContainers")) {
        for key in ["env", "ports", "volumeMounts"] {
            part(
                container.get(key),
                &format!("{key} of container {:?}", name(container)),
                objects,
                "a list of objects",
            )?;
        }
    }
    Ok(())
}

/// Go's `strconv.ParseBool`.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
