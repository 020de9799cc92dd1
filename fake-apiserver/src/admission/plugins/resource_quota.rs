//! ResourceQuota: counts of objects, and what pods ask for. Usage is counted from what is stored, where a cluster's
//! controller would keep it in the quota's status.

mod scopes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use apimachinery::value::{List, Value};

use super::super::attributes::{Attributes, Operation};
use super::super::cluster::Cluster;
use super::super::rejection::Rejection;
use super::{pod, quantity};

/// Amounts in billionths, by what a quota calls them.
pub(crate) type Usage = BTreeMap<String, i128>;

const ONE: i128 = 1_000_000_000;

/// What one object of a resource uses.
fn usage(group: &str, resource: &str, object: &Value) -> Usage {
    let count = if group.is_empty() { format!("count/{resource}") } else { format!("count/{resource}.{group}") };
    let mut usage = Usage::from([(count, ONE)]);
    if !group.is_empty() {
        return usage;
    }
    usage.insert(resource.to_owned(), ONE);
    if resource == "services" {
        let kind = object["spec"]["type"].as_str().unwrap_or_default();
        let ports = i128::try_from(object["spec"]["ports"].as_array().map_or(0, List::len)).unwrap_or(0);
        if kind == "NodePort" || kind == "LoadBalancer" {
            usage.insert("services.nodeports".to_owned(), ports * ONE);
        }
        if kind == "LoadBalancer" {
            usage.insert("services.loadbalancers".to_owned(), ONE);
        }
    }
    if resource == "persistentvolumeclaims" {
        let spec = &object["spec"];
        let storage = spec["resources"]["requests"]["storage"].as_str().and_then(quantity::nanos).unwrap_or(0);
        usage.insert("requests.storage".to_owned(), storage);
        if let Some(class) = spec["storageClassName"].as_str().filter(|class| !class.is_empty()) {
            let of = |what: &str| format!("{class}.storageclass.storage.k8s.io/{what}");
            usage.insert(of("requests.storage"), storage);
            usage.insert(of("persistentvolumeclaims"), ONE);
        }
    }
    if resource == "pods" {
        for (what, prefix) in [("requests", "requests."), ("limits", "limits.")] {
            for (key, amount) in pod::total(&object["spec"], what) {
                let amount = amount.as_str().and_then(quantity::nanos).unwrap_or(0);
                if what == "requests" {
                    usage.insert(key.clone().into(), amount);
                }
                usage.insert(format!("{prefix}{key}"), amount);
            }
        }
    }
    usage
}

/// Pods that are over no longer count.
fn counts(resource: &str, object: &Value) -> bool {
    resource != "pods" || !matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// What these objects of a resource, those that are in a quota's scopes, use together.
pub(crate) fn total<'a>(quota: &Value, group: &str, resource: &str, objects: impl Iterator<Item = &'a Value>) -> Usage {
    let scopes = scopes::of(quota);
    let pods = group.is_empty() && resource == "pods";
    let inside = |object: &Value| scopes.is_empty() || (pods && scopes::match_pod(&scopes, object));
    let mut total = Usage::new();
    for object in objects.filter(|object| counts(resource, object) && inside(object)) {
        for (key, amount) in usage(group, resource, object) {
            *total.entry(key).or_default() += amount;
        }
    }
    total
}

/// The resource whose objects use what a quota calls so: group and plural.
pub(crate) fn counted(key: &str) -> (&str, &str) {
    if let Some(counted) = key.strip_prefix("count/") {
        let (resource, group) = counted.split_once('.').unwrap_or((counted, ""));
        return (group, resource);
    }
    match key.split('.').next().unwrap_or(key) {
        "services" => ("", "services"),
        _ if key.ends_with("requests.storage") || key.contains(".storageclass.storage.k8s.io/") => {
            ("", "persistentvolumeclaims")
        }
        "requests" | "limits" | "cpu" | "memory" | "ephemeral-storage" => ("", "pods"),
        resource => ("", resource),
    }
}

/// An amount as a quota shows it.
pub(crate) fn text(key: &str, amount: i128) -> String {
    let memory = key.ends_with("memory") || key.ends_with("storage");
    if memory { quantity::binary_text(amount) } else { quantity::text(amount) }
}

pub(crate) fn admit(cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    let (group, resource) = (attributes.resource.group.as_str(), attributes.resource.resource.as_str());
    // What these ask for may grow later on.
    let grows = group.is_empty() && matches!(resource, "services" | "persistentvolumeclaims");
    let concerned = attributes.operation == Operation::Create || (attributes.operation == Operation::Update && grows);
    if !concerned || !attributes.subresource.is_empty() || attributes.namespace.is_empty() {
        return Ok(());
    }
    let quotas = cluster.list("", "resourcequotas", Some(&attributes.namespace));
    let Some(object) = attributes.object.as_ref().filter(|_| !quotas.is_empty()) else { return Ok(()) };
    let mut asked = usage(group, resource, object);
    if let Some(old) = attributes.old_object.as_deref() {
        for (key, amount) in usage(group, resource, old) {
            *asked.entry(key).or_default() -= amount;
        }
    }
    let forbid = |why: &str| Err(Rejection::forbidden(group, resource, &attributes.name, why));
    let mut of_all: Option<Usage> = None;
    for quota in &quotas {
        let scopes = scopes::of(quota);
        let is_pod = group.is_empty() && resource == "pods";
        if !(scopes.is_empty() || is_pod && scopes::match_pod(&scopes, object)) {
            continue;
        }
        let mut of_scope: Option<Usage> = None;
        let used = if scopes.is_empty() { &mut of_all } else { &mut of_scope };
        let name = quota["metadata"]["name"].as_str().unwrap_or_default();
        let hard: Vec<(&str, &str)> = quota["spec"]["hard"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
            .collect();
        if is_pod && let Some(missing) = missing(&hard, object) {
            return forbid(&format!("failed quota: {name}: must specify {missing}"));
        }
        let mut over: Vec<[String; 3]> = Vec::new();
        for (key, limit) in hard {
            let (Some(amount), Some(most)) = (asked.get(key).filter(|amount| **amount > 0), quantity::nanos(limit))
            else {
                continue;
            };
            let used = used.get_or_insert_with(|| {
                let stored = cluster.list(group, resource, Some(&attributes.namespace));
                total(quota, group, resource, stored.iter().map(|object| &**object))
            });
            let so_far = used.get(key).copied().unwrap_or(0);
            if so_far + amount > most {
                over.push([
                    format!("{key}={}", text(key, *amount)),
                    format!("{key}={}", text(key, so_far)),
                    format!("{key}={limit}"),
                ]);
            }
        }
        if !over.is_empty() {
            let join = |at: usize| over.iter().map(|one| one[at].as_str()).collect::<Vec<_>>().join(",");
            return forbid(&format!(
                "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                join(0),
                join(1),
                join(2)
            ));
        }
    }
    Ok(())
}

/// What every container has to state because a quota limits it: `limits.cpu for: app; requests.memory for: app,sidecar`.
fn missing(hard: &[(&str, &str)], object: &Value) -> Option<String> {
    let mut parts = Vec::new();
    for &(key, _) in hard {
        let (what, resource) = match key.split_once('.') {
            Some((what @ ("requests" | "limits"), resource)) => (what, resource),
            None if matches!(key, "cpu" | "memory") => ("requests", key),
            _ => continue,
        };
        if !matches!(resource, "cpu" | "memory") {
            continue;
        }
        let without: Vec<_> = pod::containers(&object["spec"])
            .filter(|container| container["resources"][what].get(resource).is_none())
            .filter_map(|container| container["name"].as_str())
            .collect();
        if !without.is_empty() {
            parts.push(format!("{key} for: {}", without.join(",")));
        }
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}
