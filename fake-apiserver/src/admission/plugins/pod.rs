//! Small reads and changes of pods that several plugins need.

use serde_json::{Map, Value};

use super::super::attributes::{Attributes, Operation};

/// The spec of the pod that a request creates, to change it; none for every other request.
pub(crate) fn created(attributes: &mut Attributes) -> Option<&mut Map<String, Value>> {
    if !attributes.is_for("", "pods") || attributes.operation != Operation::Create {
        return None;
    }
    attributes.object.as_mut()?.get_mut("spec")?.as_object_mut()
}

/// The same, to read it.
pub(crate) fn creating(attributes: &Attributes) -> Option<&Value> {
    if !attributes.is_for("", "pods") || attributes.operation != Operation::Create {
        return None;
    }
    attributes.object.as_ref()
}

/// Whether the pod mirrors a static pod of a kubelet.
pub(crate) fn is_mirror(pod: &Value) -> bool {
    pod["metadata"]["annotations"].get("kubernetes.io/config.mirror").is_some()
}

/// The containers of both lists, to change them.
pub(crate) fn containers_mut(spec: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    spec.iter_mut()
        .filter(|(key, _)| *key == "containers" || *key == "initContainers")
        .filter_map(|(_, list)| list.as_array_mut())
        .flatten()
        .filter_map(Value::as_object_mut)
}

/// A list inside an object, made when it is not there; none when something else stands in its place.
pub(crate) fn list<'a>(object: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Vec<Value>> {
    let value = object.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut()
}
