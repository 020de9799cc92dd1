//! What becomes of a pod before it is validated and stored: fields behind gates that are off are dropped, label keys of
//! affinities become expressions.

use apimachinery::value::{Map, Value, json};

use super::get::{self, list, list_mut, set, sub, text};

/// Drops the fields of a spec that are behind feature gates which are off by default, unless they are in use already.
pub(super) fn drop_disabled(spec: &mut Value, old: Option<&Value>) {
    let used = |field: &str| old.is_some_and(|old| old.get(field).is_some_and(|value| !value.is_null()));
    if !used("schedulingGroup") {
        get::remove(spec, "schedulingGroup");
    }
    // What is written to no longer shares its memory with what others hold: it is looked at before.
    for field in ["clusterTrustBundle", "podCertificate"] {
        if !projects(spec, field) || old.is_some_and(|old| projects(old, field)) {
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
        if !list(spec, field).iter().any(has_signal) {
            continue;
        }
        for container in list_mut(spec, field).filter(|container| has_signal(container)) {
            let Some(lifecycle) = container.get_mut("lifecycle") else { continue };
            get::remove(lifecycle, "stopSignal");
            // Nothing but the signal was in it.
            if lifecycle.as_object().is_some_and(Map::is_empty) {
                get::remove(container, "lifecycle");
            }
        }
    }
}

/// Whether any projected volume has a source with this field.
fn projects(spec: &Value, field: &str) -> bool {
    let mut sources = list(spec, "volumes").iter().flat_map(|volume| list(sub(volume, "projected"), "sources"));
    sources.any(|source| source.get(field).is_some())
}

/// Whether a container's lifecycle has a stop signal, or nothing.
fn has_signal(container: &Value) -> bool {
    let lifecycle = sub(container, "lifecycle").as_object();
    lifecycle.is_some_and(|lifecycle| lifecycle.is_empty() || lifecycle.contains_key("stopSignal"))
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
    if names_keys(spec) {
        merge_all_label_keys(spec, &labels);
    }
}

/// The lists of an affinity's terms: preferred ones hold the term in a field.
const TERMS: [(&str, &str); 2] = [
    ("preferredDuringSchedulingIgnoredDuringExecution", "podAffinityTerm"),
    ("requiredDuringSchedulingIgnoredDuringExecution", ""),
];
/// Affinities whose terms select pods.
const AFFINITIES: [&str; 2] = ["podAffinity", "podAntiAffinity"];
/// What names label keys, and the operator that comes of it.
const KEYS: [(&str, &str); 2] = [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")];

/// Whether anything in a spec names label keys, so that there is something to write.
fn names_keys(spec: &Value) -> bool {
    let named = |term: &Value| KEYS.iter().any(|(field, _)| !list(term, field).is_empty());
    let terms = AFFINITIES.iter().flat_map(|kind| {
        let affinity = sub(sub(spec, "affinity"), kind);
        TERMS.iter().flat_map(move |(terms, within)| {
            list(affinity, terms).iter().map(|term| if within.is_empty() { term } else { sub(term, within) })
        })
    });
    terms.chain(list(spec, "topologySpreadConstraints")).any(named)
}

fn merge_all_label_keys(spec: &mut Value, labels: &Value) {
    for kind in AFFINITIES {
        let Some(affinity) = spec.get_mut("affinity").and_then(|affinity| affinity.get_mut(kind)) else { continue };
        for (terms, within) in TERMS {
            for term in list_mut(affinity, terms) {
                let term = if within.is_empty() { Some(term) } else { term.get_mut(within) };
                if let Some(term) = term {
                    merge_label_keys(term, labels);
                }
            }
        }
    }
    for constraint in list_mut(spec, "topologySpreadConstraints") {
        merge_label_keys(constraint, labels);
    }
}

/// The pod's own values of the labels that are named go into the selector.
fn merge_label_keys(term: &mut Value, labels: &Value) {
    let mut merged = Vec::new();
    for (field, operator) in KEYS {
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
