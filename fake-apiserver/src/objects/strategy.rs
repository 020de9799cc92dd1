//! What each kind does to an object on its way into the store: which parts a client cannot write, when the generation rises.

use apimachinery::value::{List, Value, json};

use super::get::{self, list, set, sub, sub_mut, text};
use super::{Target, decode, pods};

/// Kinds whose `metadata.generation` counts the changes of their spec.
const GENERATIONS: [(&str, &[&str]); 9] = [
    ("", &["Pod", "ReplicationController"]),
    ("apps", &["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]),
    ("batch", &["CronJob", "Job"]),
    ("policy", &["PodDisruptionBudget"]),
    ("networking.k8s.io", &["Ingress", "IngressClass", "NetworkPolicy"]),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("discovery.k8s.io", &["EndpointSlice"]),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("scheduling.k8s.io", &["PriorityClass"]),
];

fn has_generation(target: Target<'_>) -> bool {
    let known = GENERATIONS.iter().any(|(group, kinds)| *group == target.group && kinds.contains(&target.kind));
    known || decode::zero(target).is_none()
}

/// Kinds whose status only `…/status` (or nobody) can write.
fn has_status(target: Target<'_>) -> bool {
    match (target.group, target.kind) {
        ("", "Node" | "Event" | "ConfigMap" | "Secret" | "ServiceAccount" | "Endpoints") => target.kind == "Node",
        _ => decode::zero(target).is_some_and(|zero| zero.get("status").is_some()),
    }
}

/// Fields that a request to a subresource (empty for the object itself) cannot own.
pub(crate) fn reset_fields(target: Target<'_>, subresource: &str) -> Vec<&'static str> {
    match subresource {
        "" if has_status(target) => vec!["status"],
        "status" => match (target.group, target.kind) {
            ("", "Pod") => vec!["spec", "metadata.deletionTimestamp", "metadata.ownerReferences"],
            ("apps" | "", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "ReplicationController") => {
                vec!["spec", "metadata.labels"]
            }
            _ => vec!["spec"],
        },
        _ if has_status(target) => vec!["status"],
        _ => Vec::new(),
    }
}

/// What is stored is read back without the difference between an empty list and none (`rules: []` of a Role becomes null).
pub(crate) fn forget_empty_lists(target: Target<'_>, object: &mut Value) {
    if decode::zero(target).is_none() {
        return;
    }
    for value in object.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
        if value.as_array().is_some_and(List::is_empty) {
            *value = Value::Null;
        }
    }
}

/// Before an object is created (after mutating admission): what the client wrote into the status is gone, the generation is 1.
///
/// `uid` is the object's new uid; Jobs select their pods by it. `now` gives the date of a condition of a new object, and
/// `qos_class` the class of a pod's spec (see [`super::defaults::qos_class`]).
pub(crate) fn prepare_create(
    target: Target<'_>,
    object: &mut Value,
    uid: &str,
    now: &dyn Fn() -> String,
    qos_class: &dyn Fn(&Value) -> &'static str,
) {
    if let Some(spec) = template_spec(target, object) {
        pods::drop_disabled(spec, None);
    }
    if has_generation(target) {
        if let Some(metadata) = sub_mut(object, "metadata") {
            set(metadata, "generation", 1);
        }
    } else if let Some(metadata) = object.get_mut("metadata") {
        get::remove(metadata, "generation");
    }
    match (target.group, target.kind) {
        ("", "Pod") => {
            let class = qos_class(sub(object, "spec"));
            set(object, "status", json!({"phase": "Pending", "qosClass": class}));
            pods::prepare_create(object, now);
        }
        ("", "Namespace") => {
            set(object, "status", json!({"phase": "Active"}));
            if let Some(spec) = sub_mut(object, "spec")
                && !list(spec, "finalizers").iter().any(|finalizer| finalizer == "kubernetes")
            {
                let mut finalizers = list(spec, "finalizers").to_vec();
                finalizers.push(json!("kubernetes"));
                set(spec, "finalizers", finalizers);
            }
        }
        ("", "PersistentVolumeClaim" | "PersistentVolume") => set(object, "status", json!({"phase": "Pending"})),
        ("", "Node") => {}
        ("batch", "Job") => {
            zero_status(target, object);
            job(object, uid);
        }
        ("apps", "DaemonSet") => {
            zero_status(target, object);
            if let Some(notes) = sub_mut(object, "metadata").and_then(|metadata| sub_mut(metadata, "annotations")) {
                set(notes, "deprecated.daemonset.template.generation", "1");
            }
        }
        ("certificates.k8s.io" | "authentication.k8s.io" | "authorization.k8s.io", _) => {}
        _ => zero_status(target, object),
    }
}

/// The spec of the pods that a workload makes.
fn template_spec<'a>(target: Target<'_>, object: &'a mut Value) -> Option<&'a mut Value> {
    let spec = object.get_mut("spec")?;
    let spec = match (target.group, target.kind) {
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("", "ReplicationController")
        | ("batch", "Job") => spec,
        ("batch", "CronJob") => spec.get_mut("jobTemplate")?.get_mut("spec")?,
        _ => return None,
    };
    spec.get_mut("template")?.get_mut("spec")
}

/// The status of a new object: what is always in one, if the kind has a status at all.
fn zero_status(target: Target<'_>, object: &mut Value) {
    if let Some(status) = decode::zero(target).and_then(|zero| zero.get("status")) {
        set(object, "status", status.clone());
    }
}

/// A Job selects its pods by its uid unless it brings a selector of its own.
fn job(object: &mut Value, uid: &str) {
    let name = text(sub(object, "metadata"), "name").to_owned();
    let Some(spec) = sub_mut(object, "spec") else { return };
    if get::is_set(spec, "manualSelector") {
        return;
    }
    let template = sub_mut(spec, "template").and_then(|template| sub_mut(template, "metadata"));
    if let Some(labels) = template.and_then(|metadata| sub_mut(metadata, "labels")) {
        for (key, value) in [
            ("controller-uid", uid),
            ("job-name", name.as_str()),
            ("batch.kubernetes.io/controller-uid", uid),
            ("batch.kubernetes.io/job-name", name.as_str()),
        ] {
            set(labels, key, value);
        }
    }
    if let Some(labels) = sub_mut(spec, "selector").and_then(|selector| sub_mut(selector, "matchLabels")) {
        set(labels, "batch.kubernetes.io/controller-uid", uid);
    }
}

/// Before an object replaces another one: the parts that this request cannot write are as they were.
pub(crate) fn prepare_update(target: Target<'_>, new: &mut Value, old: &Value, subresource: &str) {
    let keep = |new: &mut Value, field: &str| match old.get(field) {
        Some(value) => set(new, field, value.clone()),
        None => {
            get::remove(new, field);
        }
    };
    if subresource == "status" {
        keep(new, "spec");
        for field in ["labels", "ownerReferences", "deletionTimestamp"] {
            let kept = match (target.group, target.kind) {
                ("apps", _) | ("", "ReplicationController") => field == "labels",
                ("", "Pod") => field != "labels",
                _ => false,
            };
            if kept {
                keep_metadata(new, old, field);
            }
        }
        if (target.group, target.kind) == ("", "Pod")
            && text(sub(new, "status"), "qosClass").is_empty()
            && let (Some(class), Some(status)) = (sub(old, "status").get("qosClass"), new.get_mut("status"))
        {
            set(status, "qosClass", class.clone());
        }
        keep_metadata(new, old, "generation");
        return;
    }
    if has_status(target) {
        keep(new, "status");
    }
    match (target.group, target.kind, subresource) {
        ("", "Pod", _) => {
            if let Some(spec) = new.get_mut("spec") {
                pods::drop_disabled(spec, Some(sub(old, "spec")));
            }
        }
        ("", "Namespace", "") => {
            if let (Some(finalizers), Some(spec)) = (sub(old, "spec").get("finalizers"), sub_mut(new, "spec")) {
                set(spec, "finalizers", finalizers.clone());
            }
        }
        ("", "Service", _) => service(new, old),
        _ => {}
    }
    if !has_generation(target) {
        keep_metadata(new, old, "generation");
        return;
    }
    let generation = get::int(sub(old, "metadata"), "generation").unwrap_or(0);
    let rises = changed(target, new, old);
    if let Some(metadata) = sub_mut(new, "metadata")
        && generation + i64::from(rises) > 0
    {
        set(metadata, "generation", generation + i64::from(rises));
    }
}

fn keep_metadata(new: &mut Value, old: &Value, field: &str) {
    let before = sub(old, "metadata").get(field).cloned();
    let Some(metadata) = sub_mut(new, "metadata") else { return };
    match before {
        Some(value) => set(metadata, field, value),
        None => {
            get::remove(metadata, field);
        }
    }
}

/// Whether an update changes what the generation counts.
fn changed(target: Target<'_>, new: &Value, old: &Value) -> bool {
    let differs = |field: &str| new.get(field) != old.get(field);
    if target.kind == "Deployment" {
        let annotations = |object: &Value| sub(sub(object, "metadata"), "annotations").clone();
        return differs("spec") || annotations(new) != annotations(old);
    }
    match new.as_object() {
        Some(fields) => {
            let own = |name: &str| !matches!(name, "metadata" | "status" | "apiVersion" | "kind");
            fields.keys().any(|name| own(name) && differs(name))
                || old.as_object().into_iter().flatten().any(|(name, _)| own(name) && !fields.contains_key(name))
        }
        None => false,
    }
}

/// What was allocated to a Service stays, unless the client says otherwise.
fn service(new: &mut Value, old: &Value) {
    let old_spec = sub(old, "spec").clone();
    let Some(spec) = sub_mut(new, "spec") else { return };
    if text(spec, "type") == "ExternalName" || text(&old_spec, "type") == "ExternalName" {
        return;
    }
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if let Some(value) = old_spec.get(field) {
            get::default(spec, field, value.clone());
        }
    }
}
