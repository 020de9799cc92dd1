//! Small reads and changes of pods that several plugins need.

use std::collections::BTreeMap;

use apimachinery::value::{List, Map, Text, Value};

use super::super::attributes::{Attributes, Operation};
use super::quantity;

/// The spec of the pod that a request creates, to change it; none for every other request.
pub(crate) fn created(attributes: &mut Attributes) -> Option<&mut Map> {
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
pub(crate) fn containers_mut(spec: &mut Map) -> impl Iterator<Item = &mut Map> {
    spec.iter_mut()
        .filter(|(key, _)| *key == "containers" || *key == "initContainers")
        .filter_map(|(_, list)| list.as_array_mut())
        .flatten()
        .filter_map(Value::as_object_mut)
}

/// A list inside an object, made when it is not there; none when something else stands in its place.
pub(crate) fn list<'a>(object: &'a mut Map, key: &str) -> Option<&'a mut List> {
    let value = object.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Array(List::new());
    }
    value.as_array_mut()
}

/// The containers of both lists.
pub(crate) fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["containers", "initContainers"].into_iter().flat_map(|list| spec[list].as_array().into_iter().flatten())
}

/// What a pod asks for in all: the sum of its containers and sidecars, at least what any init container asks for, plus
/// the overhead.
pub(crate) fn total(spec: &Value, what: &str) -> Map {
    let mut sum: BTreeMap<Text, i128> = BTreeMap::new();
    let amounts = |container: &Value| -> Vec<(Text, i128)> {
        let given = container["resources"][what].as_object().into_iter().flatten();
        given.filter_map(|(key, value)| Some((key.clone(), quantity::nanos(value.as_str()?)?))).collect()
    };
    let sidecar = |container: &&Value| container["restartPolicy"] == "Always";
    let init = || spec["initContainers"].as_array().into_iter().flatten();
    for container in spec["containers"].as_array().into_iter().flatten().chain(init().filter(sidecar)) {
        for (key, amount) in amounts(container) {
            *sum.entry(key).or_default() += amount;
        }
    }
    for container in init().filter(|container| !sidecar(container)) {
        for (key, amount) in amounts(container) {
            let entry = sum.entry(key).or_default();
            *entry = (*entry).max(amount);
        }
    }
    for (key, amount) in spec["overhead"].as_object().into_iter().flatten() {
        if let (Some(total), Some(amount)) = (sum.get_mut(key), amount.as_str().and_then(quantity::nanos)) {
            *total += amount;
        }
    }
    let text = |key: &str, amount: i128| {
        if key == "cpu" { quantity::text(amount) } else { quantity::binary_text(amount) }
    };
    sum.into_iter().map(|(key, amount)| (key.clone(), text(&key, amount).into())).collect()
}
