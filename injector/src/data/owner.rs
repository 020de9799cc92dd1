//! Which workload a pod belongs to, as far as the pod itself tells.

use std::borrow::Cow;

use apimachinery::value::{Map, Value};

/// Kind, API version and name of a pod's workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity<'a> {
    pub(crate) kind: Cow<'a, str>,
    pub(crate) api_version: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
}

/// Finds the workload from the controller's reference.
///
/// A ReplicaSet of a Deployment ends in the pod's hash label, a CronJob's Job in a time; the API is not asked.
pub(crate) fn identify<'a>(metadata: &'a Value, labels: &'a Map) -> Identity<'a> {
    let text = |v: &'a Value, k: &str| v.get(k).and_then(Value::as_str).unwrap_or_default();
    let pod = || Identity {
        kind: Cow::Borrowed("Pod"),
        api_version: Cow::Borrowed("v1"),
        name: Cow::Borrowed(text(metadata, "name")),
    };
    if text(metadata, "generateName").is_empty() {
        return pod();
    }
    let references = metadata.get("ownerReferences").and_then(Value::as_array).into_iter().flatten();
    let mut controllers = references.filter(|r| r.get("controller").and_then(Value::as_bool) == Some(true));
    let Some(owner) = controllers.next() else { return pod() };
    let (kind, api_version, name) = (text(owner, "kind"), text(owner, "apiVersion"), text(owner, "name"));
    let found = |kind: &'a str, api_version: &'a str, name: &'a str| Identity {
        kind: Cow::Borrowed(kind),
        api_version: Cow::Borrowed(api_version),
        name: Cow::Borrowed(name),
    };
    let label = |k: &str| labels.get(k).and_then(Value::as_str).filter(|s| !s.is_empty());
    match kind {
        "ReplicaSet" => {
            let without = |hash: Option<&str>| name.strip_suffix(hash?)?.strip_suffix('-');
            if let Some(rollout) = without(label("rollouts-pod-template-hash")) {
                return found("Rollout", "v1alpha1", rollout);
            }
            if let Some(deployment) = without(label("pod-template-hash")) {
                return found("Deployment", api_version, deployment);
            }
        }
        "ReplicationController" => {
            if let Some(config) = label("deploymentconfig") {
                return found("DeploymentConfig", api_version, config);
            }
        }
        "Job" => {
            let scheduled = |time: &&str| (8..=10).contains(&time.len()) && time.bytes().all(|b| b.is_ascii_digit());
            if let Some((job, _)) = name.rsplit_once('-').filter(|(job, time)| !job.is_empty() && scheduled(time)) {
                return found("CronJob", "batch/v1", job);
            }
        }
        _ => {}
    }
    found(kind, api_version, name)
}
