//! What the apiserver refuses, field by field, in its own words and order.
//!
//! Validation sees objects as `decode` and `defaults` leave them. Kinds without rules of their own are held to the rules of their
//! metadata.

mod config;
mod container;
mod environment;
pub(crate) mod meta;
mod mounts;
mod pod;
mod probes;
pub(crate) mod profiles;
mod resources;
mod scheduling;
mod security;
pub(crate) mod selector;
mod sources;
mod storage;
#[cfg(test)]
mod tests;
mod update;
mod volumes;
mod windows;
mod workloads;

use apimachinery::value::Value;
pub(crate) use container::each as container_each;
pub(crate) use pod::{PodPart, metadata as pod_metadata};

use super::field::{FieldError, Path};
use super::get::sub;
use super::{Target, names};

/// What is wrong with an object that is about to be created; empty when nothing is.
///
/// `namespaced` says whether the kind lives in namespaces; the object's `metadata.namespace` and (generated) `metadata.name` are set.
pub(crate) fn create(target: Target<'_>, object: &Value, namespaced: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    match (target.group, target.kind) {
        ("", "Pod") => {
            errors.extend(pod::metadata(object, false));
            errors.extend(PodPart::of(object).validate());
        }
        _ => check(target, object, namespaced, &mut errors),
    }
    errors
}

/// What is wrong with an object that is about to replace another one; `subresource` is empty, `status`, `scale`, …
pub(crate) fn update(
    target: Target<'_>,
    new: &Value,
    old: &Value,
    namespaced: bool,
    subresource: &str,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    // Once for every kind, and once more by the rules of most kinds (api-basics/patch-malformed shows both causes).
    meta::update(new, old, &mut errors);
    if target.group != "apiextensions.k8s.io" {
        meta::update(new, old, &mut errors);
    }
    match (target.group, target.kind, subresource) {
        ("", "Pod", _) => update::pod(new, old, subresource, &mut errors),
        (_, _, "status") => {}
        _ => {
            update::before(target, new, old, &mut errors);
            check(target, new, namespaced, &mut errors);
            update::after(target, new, old, &mut errors);
        }
    }
    errors
}

/// The rules that hold for an object at any time.
fn check(target: Target<'_>, object: &Value, namespaced: bool, errors: &mut Vec<FieldError>) {
    match (target.group, target.kind) {
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("", "ReplicationController")
        | ("batch", "Job" | "CronJob") => workloads::check(target.kind, object, errors),
        // Reviews have no names: nothing of them is stored.
        ("authentication.k8s.io" | "authorization.k8s.io", _) => {}
        _ => {
            meta::create(object, namespaced, name_format(target), errors);
            match (target.group, target.kind) {
                ("", "ConfigMap") => config::config_map(object, errors),
                ("", "Secret") => config::secret(object, errors),
                ("", "Service") => config::service(object, errors),
                ("", "Namespace") => config::namespace(object, errors),
                ("", "PersistentVolumeClaim") => {
                    storage::claim_spec(sub(object, "spec"), &Path::root("spec"), errors);
                }
                _ => {}
            }
        }
    }
}

/// What a name of a kind must look like.
pub(crate) fn name_format(target: Target<'_>) -> meta::NameFormat {
    match (target.group, target.kind) {
        ("", "Namespace" | "Service") => names::dns1123_label,
        ("rbac.authorization.k8s.io" | "certificates.k8s.io", _) | ("", "Event") => names::path_segment,
        _ => names::dns1123_subdomain,
    }
}
