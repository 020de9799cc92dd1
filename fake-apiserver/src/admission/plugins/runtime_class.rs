//! RuntimeClass: the class has to exist; its overhead and scheduling constraints go into the pod.

use apimachinery::value::{Map, Value};

use super::super::attributes::Attributes;
use super::super::cluster::Cluster;
use super::super::rejection::Rejection;
use super::pod;

fn forbid(attributes: &Attributes, why: &str) -> Rejection {
    Rejection::forbidden("", "pods", &attributes.name, why)
}

/// The class that a pod names.
fn class(cluster: &dyn Cluster, attributes: &Attributes) -> Result<Option<std::sync::Arc<Value>>, Rejection> {
    let name = pod::creating(attributes).and_then(|object| object["spec"]["runtimeClassName"].as_str());
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
    match cluster.get("node.k8s.io", "runtimeclasses", "", name) {
        Some(class) => Ok(Some(class)),
        None => Err(forbid(attributes, &format!("pod rejected: RuntimeClass \"{name}\" not found"))),
    }
}

pub(crate) fn mutate(cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    let Some(class) = class(cluster, attributes)? else { return Ok(()) };
    let mut conflict = None;
    if let Some(spec) = pod::created(attributes) {
        let overhead = &class["overhead"]["podFixed"];
        if !overhead.is_null() {
            match spec.get("overhead").filter(|given| !given.is_null() && *given != overhead) {
                Some(_) => {
                    conflict = Some("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
                }
                None => drop(spec.insert("overhead".to_owned(), overhead.clone())),
            }
        }
        let scheduling = &class["scheduling"];
        for (key, value) in scheduling["nodeSelector"].as_object().into_iter().flatten() {
            let selector = spec.entry("nodeSelector").or_insert_with(|| Value::Object(Map::new()));
            let Some(selector) = selector.as_object_mut() else { break };
            if selector.get(key).is_some_and(|given| given != value) {
                conflict = Some("conflict: runtimeClass.scheduling.nodeSelector conflicts with pod.spec.nodeSelector");
            }
            selector.insert(key.clone(), value.clone());
        }
        let tolerations = scheduling["tolerations"].as_array().cloned().unwrap_or_default();
        if !tolerations.is_empty()
            && let Some(list) = pod::list(spec, "tolerations")
        {
            for toleration in tolerations {
                if !list.contains(&toleration) {
                    list.push(toleration);
                }
            }
        }
    }
    conflict.map_or(Ok(()), |why| Err(forbid(attributes, why)))
}

/// An overhead only comes from a class.
pub(crate) fn validate(cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    let class = class(cluster, attributes)?;
    let Some(object) = pod::creating(attributes) else { return Ok(()) };
    let overhead = object["spec"]["overhead"].as_object().filter(|overhead| !overhead.is_empty());
    let defined = class.as_ref().map(|class| &class["overhead"]["podFixed"]).filter(|defined| !defined.is_null());
    match (overhead, defined) {
        (Some(_), None) => Err(forbid(
            attributes,
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        )),
        (None, Some(_)) => {
            Err(forbid(attributes, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"))
        }
        _ => Ok(()),
    }
}
