//! namespaceSelector and objectSelector.

use apimachinery::labels::Selector;
use apimachinery::value::{Map, Value};

use super::super::attributes::{Attributes, Operation};
use super::super::cluster::Cluster;
use super::super::rejection::Rejection;

/// Does the namespace of the request match. A cluster-scoped object other than a Namespace is never excluded; a
/// Namespace that is created or updated is judged by its own new labels, else by the stored ones
/// (vectors `selectors/ns-*`).
pub(crate) fn namespace_matches(
    selector: &Result<Option<Selector>, String>,
    attributes: &Attributes,
    cluster: &dyn Cluster,
) -> Result<bool, Rejection> {
    let is_namespace = attributes.resource.resource == "namespaces";
    if attributes.namespace.is_empty() && !is_namespace {
        return Ok(true);
    }
    let selector = match selector {
        Ok(None) => return Ok(true),
        Ok(Some(selector)) => selector,
        Err(error) => return Err(Rejection::internal(error)),
    };
    let written = matches!(attributes.operation, Operation::Create | Operation::Update);
    if is_namespace && attributes.subresource.is_empty() && written {
        return Ok(matches(selector, labels(attributes.object.as_ref())));
    }
    match cluster.get("", "namespaces", "", &attributes.namespace) {
        Some(namespace) => Ok(matches(selector, labels(Some(&namespace)))),
        None => Err(Rejection::not_found("", "namespaces", &attributes.namespace)),
    }
}

/// Does the new or the old object match; an object without metadata (PodExecOptions) matches nothing but the empty
/// selector (vectors `selectors/obj-*`).
pub(crate) fn object_matches(
    selector: &Result<Option<Selector>, String>,
    attributes: &Attributes,
) -> Result<bool, Rejection> {
    let selector = match selector {
        Ok(None) => return Ok(true),
        Ok(Some(selector)) => selector,
        Err(error) => return Err(Rejection::internal(error)),
    };
    let one = |object: Option<&Value>| {
        object.is_some_and(|object| object.get("metadata").is_some() && matches(selector, labels(Some(object))))
    };
    Ok(one(attributes.object.as_ref()) || one(attributes.old_object.as_deref()))
}

fn labels(object: Option<&Value>) -> Option<&Map> {
    object?.get("metadata")?.get("labels")?.as_object()
}

fn matches(selector: &Selector, labels: Option<&Map>) -> bool {
    match labels {
        Some(labels) => selector.matches(labels),
        None => selector.matches(&Map::new()),
    }
}
