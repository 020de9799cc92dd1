//! What becomes of a pod before it is validated and stored: fields behind gates that are off are dropped, label keys of
//! affinities become expressions.

use apimachinery::value::{Value, json};

use super::get::{self, list, list_mut, set, sub, text};

/// Drops the fields of a spec that are behind feature gates which are off by default, unless they are in use already.
pub(super) fn drop_disabled(spec: &mut Value, old: Option<&Value>) {
    let used = |field: &str| old.is_some_and(|old| old.get(field).is_some_and(|value| !value.is_null()));
    if !used("schedulingGroup") {
        get::remove(spec, "schedulingGroup");
    }
    for field in ["clusterTrustBundle", "podCertificate"] {
        let projects = |old: &Value| {
            let sources = list(old, "volumes").iter().flat_map(|volume| list(sub(volume, "projected"), "sources"));
            sources.into_iter().any(|source| source.get(field).is_some())
        };
        if old.is_some_and(projects) {
            continue;
        }
        for volume in list_mut(spec, "volumes") {
            let Some(projected) = volume.get_mut("projected") else { continue };
            for source in list_mut(projected, "sources") {
                get::remove(source, field);
            }
        }
    }
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        for container in list_mut(spec, field) {
            if let Some(lifecycle) = container.get_mut("lifecycle") {
                get::remove(lifecycle, "stopSignal");
                // Nothing but the signal was in it.
                if lifecycle.as_object().is_some_and(apimachinery::value::Map::is_empty) {
                    get::remove(container, "lifecycle");
                }
            }
        }
    }
}

/// A new pod, whose status is that of a new pod by now; `now` gives the time.
pub(super) fn prepare_create(pod: &mut Value, now: &dyn Fn() -> String) {
    if !list(sub(pod, "spec"), "schedulingGates").is_empty()
        && let Some(status) = pod.get_mut("status")
    {
        set(
            status,
            "conditions",
            json!([{
                "type": "PodScheduled", "status": "False", "lastProbeTime": null, "lastTransitionTime": now(),
                "reason": "SchedulingGated", "message": "Scheduling is blocked due to non-empty scheduling gates",
            }]),
        );
    }
    let labels = sub(sub(pod, "metadata"), "labels").clone();
    let Some(spec) = pod.get_mut("spec") else { return };
    drop_disabled(spec, None);
    if let Some(affinity) = spec.get_mut("affinity") {
        for kind in ["podAffinity", "podAntiAffinity"] {
            let Some(affinity) = affinity.get_mut(kind) else { continue };
            for term in list_mut(affinity, "preferredDuringSchedulingIgnoredDuringExecution") {
                if let Some(term) = term.get_mut("podAffinityTerm") {
                    merge_label_keys(term, &labels);
                }
            }
            for term in list_mut(affinity, "requiredDuringSchedulingIgnoredDuringExecution") {
                merge_label_keys(term, &labels);
            }
        }
    }
    for constraint in list_mut(spec, "topologySpreadConstraints") {
        merge_label_keys(constraint, &labels);
    }
}

/// The pod's own values of the labels that are named go into the selector.
fn merge_label_keys(term: &mut Value, labels: &Value) {
    let mut merged = Vec::new();
    for (field, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        for key in list(term, field).iter().filter_map(Value::as_str) {
            if labels.get(key).is_some() {
                merged.push(json!({"key": key, "operator": operator, "values": [text(labels, key)]}));
            }
        }
    }
    let Some(selector) = term.get_mut("labelSelector").filter(|selector| selector.is_object()) else { return };
    if !merged.is_empty() {
        let mut expressions = list(selector, "matchExpressions").to_vec();
        expressions.extend(merged);
        set(selector, "matchExpressions", expressions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_keys_become_expressions() {
        let mut pod = json!({
            "metadata": {"labels": {"app": "web", "pod-template-hash": "h"}},
            "spec": {"topologySpreadConstraints": [
                {"matchLabelKeys": ["pod-template-hash", "none"], "labelSelector": {"matchLabels": {"app": "web"}}},
                {"matchLabelKeys": ["app"]},
            ]},
            "status": {},
        });
        prepare_create(&mut pod, &|| "now".to_owned());
        let constraints = &pod["spec"]["topologySpreadConstraints"];
        assert_eq!(
            constraints[0]["labelSelector"]["matchExpressions"],
            json!([{"key": "pod-template-hash", "operator": "In", "values": ["h"]}])
        );
        assert_eq!(constraints[1], json!({"matchLabelKeys": ["app"]}));
    }

    #[test]
    fn what_is_behind_a_gate_is_dropped() {
        let mut spec = json!({
            "schedulingGroup": {"podGroupName": "g"},
            "containers": [{"lifecycle": {"stopSignal": "SIGTERM"}}],
            "volumes": [{"projected": {"sources": [{"clusterTrustBundle": {"path": "a"}}]}}],
        });
        drop_disabled(&mut spec, None);
        assert_eq!(spec, json!({"containers": [{}], "volumes": [{"projected": {"sources": [{}]}}]}));
    }

    #[test]
    fn a_gated_pod_is_not_scheduled() {
        let mut pod = json!({"spec": {"schedulingGates": [{"name": "g"}]}, "status": {"phase": "Pending"}});
        prepare_create(&mut pod, &|| "2026-01-01T00:00:00Z".to_owned());
        assert_eq!(pod["status"]["conditions"][0]["reason"], "SchedulingGated");
    }
}
