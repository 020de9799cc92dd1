//! Conversions between versions of one resource: `autoscaling/v1` and `v2`, core and `events.k8s.io` Events; custom resources
//! only change their `apiVersion` (conversion strategy `None`).

use apimachinery::value::{Map, Value, json};

use super::{Gvk, Resource};

/// What v1 keeps of a v2 HorizontalPodAutoscaler that v1 has no field for.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";

/// The object in another version of its kind. Kinds without a conversion of their own keep their fields.
pub(crate) fn to_version(object: &Value, target: &Gvk) -> Value {
    let from = object["apiVersion"].as_str().unwrap_or_default();
    let mut converted = match (from, &*target.group, &*target.version, &*target.kind) {
        ("autoscaling/v2", "autoscaling", "v1", "HorizontalPodAutoscaler") => autoscaler_to_v1(object.clone()),
        ("autoscaling/v1", "autoscaling", "v2", "HorizontalPodAutoscaler") => autoscaler_to_v2(object.clone()),
        ("v1", "events.k8s.io", _, "Event") => {
            without_empty_reporter(rename(object.clone(), &EVENT_FIELDS, |pair| (pair.0, pair.1)))
        }
        ("events.k8s.io/v1", "", _, "Event") => rename(object.clone(), &EVENT_FIELDS, |pair| (pair.1, pair.0)),
        _ => object.clone(),
    };
    if let Some(fields) = converted.as_object_mut() {
        fields.insert("apiVersion".to_owned(), target.api_version().into());
    }
    converted
}

/// Core names of Event fields and what `events.k8s.io` calls them.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

fn rename(
    mut object: Value,
    pairs: &[(&'static str, &'static str)],
    way: fn(&(&'static str, &'static str)) -> (&'static str, &'static str),
) -> Value {
    if let Some(fields) = object.as_object_mut() {
        for pair in pairs {
            let (from, to) = way(pair);
            if let Some(value) = fields.remove(from) {
                fields.insert(to.to_owned(), value);
            }
        }
    }
    object
}

/// `events.k8s.io` leaves out what the core group shows empty.
fn without_empty_reporter(mut event: Value) -> Value {
    if let Some(fields) = event.as_object_mut() {
        for field in ["reportingController", "reportingInstance"] {
            if fields.get(field).is_some_and(|value| value == "") {
                fields.remove(field);
            }
        }
    }
    event
}

fn take(object: &mut Value, part: &str, field: &str) -> Option<Value> {
    object.get_mut(part)?.as_object_mut()?.remove(field)
}

fn annotate(object: &mut Value, name: &str, value: &Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(name.to_owned(), value.to_string().into());
        }
    }
}

fn annotation(object: &mut Value, name: &str) -> Option<Value> {
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    let annotations = metadata.get_mut("annotations")?.as_object_mut()?;
    let value = annotations.remove(name);
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
    serde_json::from_str(value?.as_str()?).ok()
}

fn is_cpu(metric: &Value) -> bool {
    metric["type"] == "Resource" && metric["resource"]["name"] == "cpu"
}

fn autoscaler_to_v1(mut object: Value) -> Value {
    if let Some(Value::Array(metrics)) = take(&mut object, "spec", "metrics") {
        let mut others = Vec::new();
        for metric in metrics {
            let target = &metric["resource"]["target"];
            match target["averageUtilization"].as_i64() {
                Some(percent) if is_cpu(&metric) && object["spec"]["targetCPUUtilizationPercentage"].is_null() => {
                    object["spec"]["targetCPUUtilizationPercentage"] = percent.into();
                }
                _ => others.push(metric_to_v1(metric)),
            }
        }
        if !others.is_empty() {
            annotate(&mut object, METRICS, &others.into());
        }
    }
    if let Some(behavior) = take(&mut object, "spec", "behavior") {
        let mut behavior = behavior;
        for direction in ["scaleUp", "scaleDown"] {
            if let Some(fields) = behavior.get_mut(direction).and_then(Value::as_object_mut) {
                let renamed: Map =
                    std::mem::take(fields).into_iter().map(|(name, value)| (capital(&name), value)).collect();
                *fields = renamed;
            }
        }
        annotate(&mut object, BEHAVIOR, &behavior);
    }
    if let Some(conditions) = take(&mut object, "status", "conditions").filter(|value| value != &json!([])) {
        annotate(&mut object, CONDITIONS, &conditions);
    }
    if let Some(Value::Array(metrics)) = take(&mut object, "status", "currentMetrics") {
        let mut others = Vec::new();
        for metric in metrics {
            match metric["resource"]["current"]["averageUtilization"].as_i64() {
                Some(percent) if is_cpu(&metric) => {
                    object["status"]["currentCPUUtilizationPercentage"] = percent.into()
                }
                _ => others.push(metric),
            }
        }
        if !others.is_empty() {
            annotate(&mut object, CURRENT_METRICS, &others.into());
        }
    }
    object
}

/// v1's annotation has the metric in the shape of v2beta1.
fn metric_to_v1(mut metric: Value) -> Value {
    if metric["type"] == "Resource"
        && let Some(target) = take(&mut metric, "resource", "target")
    {
        for (from, to) in [("averageUtilization", "targetAverageUtilization"), ("averageValue", "targetAverageValue")] {
            if !target[from].is_null() {
                metric["resource"][to] = target[from].clone();
            }
        }
    }
    metric
}

fn metric_to_v2(mut metric: Value) -> Value {
    for (from, to, kind) in [
        ("targetAverageUtilization", "averageUtilization", "Utilization"),
        ("targetAverageValue", "averageValue", "AverageValue"),
    ] {
        if let Some(value) = take(&mut metric, "resource", from) {
            metric["resource"]["target"] = json!({"type": kind, to: value});
        }
    }
    metric
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

fn small(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().collect::<String>() + letters.as_str())
}

fn autoscaler_to_v2(mut object: Value) -> Value {
    let mut metrics = Vec::new();
    if let Some(Value::Array(others)) = annotation(&mut object, METRICS) {
        metrics.extend(others.into_iter().map(metric_to_v2));
    }
    if let Some(percent) = take(&mut object, "spec", "targetCPUUtilizationPercentage") {
        let target = json!({"type": "Utilization", "averageUtilization": percent});
        metrics.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
    }
    if !metrics.is_empty() {
        object["spec"]["metrics"] = metrics.into();
    }
    if let Some(mut behavior) = annotation(&mut object, BEHAVIOR) {
        for direction in ["scaleUp", "scaleDown"] {
            if let Some(fields) = behavior.get_mut(direction).and_then(Value::as_object_mut) {
                *fields = std::mem::take(fields).into_iter().map(|(name, value)| (small(&name), value)).collect();
            }
        }
        object["spec"]["behavior"] = behavior;
    }
    if let Some(conditions) = annotation(&mut object, CONDITIONS) {
        object["status"]["conditions"] = conditions;
    }
    let mut current = Vec::new();
    if let Some(Value::Array(others)) = annotation(&mut object, CURRENT_METRICS) {
        current.extend(others);
    }
    if let Some(percent) = take(&mut object, "status", "currentCPUUtilizationPercentage") {
        let now = json!({"averageUtilization": percent});
        current.push(json!({"type": "Resource", "resource": {"name": "cpu", "current": now}}));
    }
    if object["status"].is_object() {
        object["status"]["currentMetrics"] = if current.is_empty() { Value::Null } else { current.into() };
    }
    object
}

/// What an object of the kind looks like with nothing set, as bookmarks show it (NOTES 33).
pub(crate) fn zero(resource: &Resource) -> Value {
    let gvk = &resource.gvk;
    let mut object = json!({"kind": &*gvk.kind, "apiVersion": gvk.api_version(), "metadata": {}});
    let template = json!({"metadata": {}, "spec": {"containers": null}});
    let (spec, status) = match &*gvk.kind {
        "Pod" => (json!({"containers": null}), json!({})),
        "Deployment" => (json!({"selector": null, "template": template, "strategy": {}}), json!({})),
        "ReplicaSet" => (json!({"selector": null, "template": template}), json!({"replicas": 0})),
        "StatefulSet" => (
            json!({"selector": null, "template": template, "serviceName": "", "updateStrategy": {}}),
            json!({"replicas": 0, "availableReplicas": 0}),
        ),
        "DaemonSet" => (
            json!({"selector": null, "template": template, "updateStrategy": {}}),
            json!({"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}),
        ),
        "Job" => (json!({"template": template}), json!({})),
        "Namespace"
        | "Node"
        | "PersistentVolumeClaim"
        | "PersistentVolume"
        | "ReplicationController"
        | "ResourceQuota" => (json!({}), json!({})),
        "Service" => (json!({}), json!({"loadBalancer": {}})),
        _ => return object,
    };
    object["spec"] = spec;
    object["status"] = status;
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn autoscalers_survive_the_way_to_v1_and_back() {
        let v2 = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"},
            "spec": {"maxReplicas": 3, "metrics": [
                {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}},
            ]},
        });
        let v1 = to_version(&v2, &Gvk::new("autoscaling", "v1", "HorizontalPodAutoscaler"));
        assert_eq!(v1["spec"]["targetCPUUtilizationPercentage"], 80);
        assert!(v1["metadata"]["annotations"][METRICS].is_string());
        assert_eq!(to_version(&v1, &Gvk::new("autoscaling", "v2", "HorizontalPodAutoscaler")), v2);
    }

    #[test]
    fn events_have_two_names_for_their_fields() {
        let core = json!({"apiVersion": "v1", "kind": "Event", "involvedObject": {"name": "p"}, "message": "m"});
        let other = to_version(&core, &Gvk::new("events.k8s.io", "v1", "Event"));
        assert_eq!(other["regarding"]["name"], "p");
        assert_eq!(to_version(&other, &Gvk::new("", "v1", "Event")), core);
    }
}
