//! What Go's typed encoding puts into a workload beside what the file says.
//!
//! `istioctl kube-inject` decodes a document into Go's types and prints those: statuses with their zero counters, for one.
//! Whoever compares our output with its finds the same fields; everything unknown to Go's types stays, too.

use apimachinery::value::{Map, Value, json};

/// Adds the fields that are never omitted, and drops the zero values that always are.
pub(super) fn complete(document: &mut Value) {
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, api_version) = (text("kind"), text("apiVersion"));
    let Some(object) = document.as_object_mut() else { return };
    if kind == "List" {
        object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    }
    for template in ["/template", "/jobTemplate/spec/template"] {
        if let Some(Value::Object(template)) = object.get_mut("spec").and_then(|s| s.pointer_mut(template)) {
            template.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        }
    }
    if let Some(counters) = status(&kind, &api_version) {
        let status = object.entry("status").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(status) = status {
            for counter in counters {
                status.entry(*counter).or_insert_with(|| json!(0));
            }
        }
    }
    if kind == "DeploymentConfig"
        && let Some(Value::Object(spec)) = object.get_mut("spec")
    {
        spec.entry("test").or_insert_with(|| json!(false));
        spec.retain(|key, value| match key.as_str() {
            "minReadySeconds" => *value != json!(0),
            "paused" => *value != json!(false),
            _ => true,
        });
    }
}

/// The counters that a kind's status always has.
fn status(kind: &str, api_version: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "ReplicaSet" | "ReplicationController" => &["replicas"],
        // The beta versions were gone before the second counter came.
        "StatefulSet" if api_version != "apps/v1" => &["replicas"],
        "StatefulSet" => &["availableReplicas", "replicas"],
        "DaemonSet" => &["currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"],
        "DeploymentConfig" => &[
            "availableReplicas",
            "latestVersion",
            "observedGeneration",
            "replicas",
            "unavailableReplicas",
            "updatedReplicas",
        ],
        _ => return None,
    })
}
