//! Namespaces: their labels have to make sense, and a stricter level warns about the pods that are there already.

use std::collections::BTreeMap;

use apimachinery::value::Value;

use super::super::super::attributes::{Attributes, Operation};
use super::super::super::cluster::Cluster;
use super::super::super::golang::quote;
use super::super::super::rejection::Rejection;
use super::checks;
use super::policy::{Level, Policies, Standard};
use crate::objects::Target;
use crate::objects::field::invalid_status;

/// Pods that are looked at at most.
const MOST: usize = 3000;

pub(super) fn validate(cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    let Some(object) = &attributes.object else { return Ok(()) };
    let new = Policies::of(&object["metadata"]["labels"]);
    let refuse = || {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        Err(Rejection { code: 422, status: invalid_status(Target::new("", "v1", "Namespace"), name, &new.errors) })
    };
    if attributes.operation == Operation::Create {
        return if new.errors.is_empty() { Ok(()) } else { refuse() };
    }
    let old = Policies::of(attributes.old_object.as_ref().map_or(&Value::Null, |old| &old["metadata"]["labels"]));
    if !new.errors.is_empty() && new.error_text() != old.error_text() {
        return refuse();
    }
    let (new, old) = (new.enforce, old.enforce);
    let relaxed = new.minor == old.minor && new.level <= old.level;
    if new == old || new.level == Level::Privileged || relaxed {
        return Ok(());
    }
    let namespace = attributes.name.clone();
    for warning in warnings(cluster, &namespace, &new) {
        attributes.warn(&warning);
    }
    Ok(())
}

/// Which pods of the namespace would no longer be admitted: one line for each reason.
fn warnings(cluster: &dyn Cluster, namespace: &str, standard: &Standard) -> Vec<String> {
    let pods = cluster.list("", "pods", Some(namespace));
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for pod in pods.iter().take(MOST) {
        let reasons: Vec<_> = checks::evaluate(standard, pod).iter().map(|violation| violation.reason).collect();
        if !reasons.is_empty() {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            found.entry(reasons.join(", ")).or_default().push(name);
        }
    }
    let mut all = Vec::new();
    if pods.len() > MOST {
        let total = pods.len();
        all.push(format!(
            "new PodSecurity enforce level only checked against the first {MOST} of {total} existing pods"
        ));
    }
    if found.is_empty() {
        return all;
    }
    all.push(format!(
        "existing pods in namespace {} violate the new PodSecurity enforce level {}",
        quote(namespace),
        quote(&standard.to_string())
    ));
    let mut lines: Vec<String> = found
        .iter()
        .map(|(reasons, pods)| {
            let first = pods.iter().min().copied().unwrap_or_default();
            match pods.len() {
                1 => format!("{first}: {reasons}"),
                2 => format!("{first} (and 1 other pod): {reasons}"),
                count => format!("{first} (and {} other pods): {reasons}", count - 1),
            }
        })
        .collect();
    lines.sort();
    all.extend(lines);
    all
}
