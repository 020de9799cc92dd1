//! What the apiserver fills in: the fields that a kind has even when nobody set them.
//!
//! Defaults see an object as `decode` leaves it (with `resources: {}` and their like) and may be applied any number of times.

mod pod;
#[cfg(test)]
mod tests;
mod workloads;

pub(crate) use workloads::job_labels;

use apimachinery::value::{Value, json};

pub(crate) use pod::qos_class;

use super::Target;
use super::get::{self, default, is_set, list_mut, object, set, sub_mut, text};

/// Fills in the defaults of a kind, in place.
pub(crate) fn apply(target: Target<'_>, object: &mut Value) {
    match (target.group, target.kind) {
        ("", "Pod") => pod::pod(object),
        ("", "PodTemplate") => {
            if let Some(spec) = sub_mut(object, "template").and_then(|template| sub_mut(template, "spec")) {
                pod::spec(spec);
            }
        }
        ("", "ReplicationController") => workloads::replication_controller(object),
        ("apps", kind) => workloads::apps(kind, object),
        ("batch", kind) => workloads::batch(kind, object),
        ("", "Service") => service(object),
        ("", "Secret") => secret(object),
        ("", "Namespace") => namespace(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "PersistentVolume") => volume(object),
        ("", "Endpoints") => endpoints(object),
        ("", "LimitRange") => limit_range(object),
        ("admissionregistration.k8s.io", kind) => admission(kind, object),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(object),
        ("networking.k8s.io", "NetworkPolicy") => network_policy(object),
        ("storage.k8s.io", "StorageClass") => {
            default(object, "reclaimPolicy", "Delete");
            default(object, "volumeBindingMode", "Immediate");
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => role_binding(object),
        ("scheduling.k8s.io", "PriorityClass") => default(object, "preemptionPolicy", "PreemptLowerPriority"),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("authentication.k8s.io", "TokenRequest") => {
            if let Some(spec) = sub_mut(object, "spec") {
                default(spec, "expirationSeconds", 3600);
            }
        }
        _ => {}
    }
}

/// A string that has a default: an empty one is none.
fn default_text(parent: &mut Value, field: &str, value: &str) {
    if text(parent, field).is_empty() {
        set(parent, field, value);
    }
}

/// A number that has a default: zero is none.
fn default_number(parent: &mut Value, field: &str, value: i64) {
    if get::int(parent, field).unwrap_or(0) == 0 {
        set(parent, field, value);
    }
}

fn service(object: &mut Value) {
    let Some(spec) = sub_mut(object, "spec") else { return };
    default_text(spec, "sessionAffinity", "None");
    if text(spec, "sessionAffinity") == "None" {
        get::remove(spec, "sessionAffinityConfig");
    } else if let Some(client) = sub_mut(spec, "sessionAffinityConfig").and_then(|config| sub_mut(config, "clientIP")) {
        default(client, "timeoutSeconds", 10_800);
    }
    default_text(spec, "type", "ClusterIP");
    for port in list_mut(spec, "ports") {
        default_text(port, "protocol", "TCP");
        let number = port.get("port").cloned().unwrap_or_default();
        let target = port.get("targetPort").cloned().unwrap_or_default();
        if target.is_null() || target == json!(0) || target == json!("") {
            set(port, "targetPort", number);
        }
    }
    let kind = text(spec, "type").to_owned();
    if kind == "LoadBalancer" || kind == "NodePort" {
        default_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind != "ExternalName" {
        default(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", true);
    }
}

/// The type, and `stringData`, which is written and never read.
fn secret(object: &mut Value) {
    use base64::Engine as _;
    if let Some(Value::Object(texts)) = get::remove(object, "stringData")
        && !texts.is_empty()
        && let Some(Value::Object(data)) = sub_mut(object, "data")
    {
        for (key, value) in texts {
            let bytes = base64::prelude::BASE64_STANDARD.encode(value.as_str().unwrap_or_default());
            data.insert(key, Value::from(bytes));
        }
    }
    default_text(object, "type", "Opaque");
}

fn namespace(object: &mut Value) {
    let name = text(get::sub(object, "metadata"), "name").to_owned();
    if !name.is_empty()
        && let Some(labels) = sub_mut(object, "metadata").and_then(|metadata| sub_mut(metadata, "labels"))
    {
        set(labels, "kubernetes.io/metadata.name", name);
    }
    if let Some(status) = sub_mut(object, "status") {
        default_text(status, "phase", "Active");
    }
}

fn claim(object: &mut Value) {
    if let Some(status) = sub_mut(object, "status") {
        default_text(status, "phase", "Pending");
    }
    if let Some(spec) = sub_mut(object, "spec") {
        claim_spec(spec);
    }
}

/// The spec of a claim, or of a template of claims.
fn claim_spec(spec: &mut Value) {
    default(spec, "volumeMode", "Filesystem");
}

fn volume(object: &mut Value) {
    if let Some(status) = sub_mut(object, "status") {
        default_text(status, "phase", "Pending");
    }
    if let Some(spec) = sub_mut(object, "spec") {
        default_text(spec, "persistentVolumeReclaimPolicy", "Retain");
        default(spec, "volumeMode", "Filesystem");
        if let Some(host) = spec.get_mut("hostPath").filter(|host| host.is_object()) {
            default(host, "type", "");
        }
    }
}

fn endpoints(object: &mut Value) {
    for subset in list_mut(object, "subsets") {
        for port in list_mut(subset, "ports") {
            default_text(port, "protocol", "TCP");
        }
    }
}

/// Limits of containers: `default` from `max`, `defaultRequest` from `default` and then from `min`.
fn limit_range(object: &mut Value) {
    let Some(spec) = sub_mut(object, "spec") else { return };
    for limit in list_mut(spec, "limits") {
        if text(limit, "type") != "Container" {
            continue;
        }
        for (into, from) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
            let Some(Value::Object(amounts)) = limit.get(from).cloned() else { continue };
            if let Some(Value::Object(found)) = sub_mut(limit, into) {
                for (name, amount) in amounts {
                    found.entry(name).or_insert(amount);
                }
            }
        }
    }
}

fn admission(kind: &str, object: &mut Value) {
    match kind {
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            for webhook in list_mut(object, "webhooks") {
                default(webhook, "failurePolicy", "Fail");
                default(webhook, "matchPolicy", "Equivalent");
                default(webhook, "namespaceSelector", json!({}));
                default(webhook, "objectSelector", json!({}));
                default(webhook, "timeoutSeconds", 10);
                if kind == "MutatingWebhookConfiguration" {
                    default(webhook, "reinvocationPolicy", "Never");
                }
                for rule in list_mut(webhook, "rules") {
                    default(rule, "scope", "*");
                }
                if let Some(service) = webhook
                    .get_mut("clientConfig")
                    .and_then(|client| client.get_mut("service"))
                    .filter(|it| it.is_object())
                {
                    default(service, "port", 443);
                }
            }
        }
        "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy" => {
            if let Some(spec) = sub_mut(object, "spec") {
                default(spec, "failurePolicy", "Fail");
                match_resources(spec, "matchConstraints");
            }
        }
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => {
            if let Some(spec) = sub_mut(object, "spec") {
                match_resources(spec, "matchResources");
            }
        }
        _ => {}
    }
}

fn match_resources(spec: &mut Value, field: &str) {
    let Some(matched) = spec.get_mut(field).filter(|matched| matched.is_object()) else { return };
    default(matched, "matchPolicy", "Equivalent");
    default(matched, "namespaceSelector", json!({}));
    default(matched, "objectSelector", json!({}));
    for rules in ["resourceRules", "excludeResourceRules"] {
        for rule in list_mut(matched, rules) {
            default(rule, "scope", "*");
        }
    }
}

fn autoscaler(object: &mut Value) {
    if let Some(spec) = sub_mut(object, "spec") {
        default(spec, "minReplicas", 1);
    }
}

fn network_policy(object: &mut Value) {
    let Some(spec) = sub_mut(object, "spec") else { return };
    if get::list(spec, "policyTypes").is_empty() {
        let egress = !get::list(spec, "egress").is_empty();
        let types = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        set(spec, "policyTypes", types);
    }
    for rules in ["ingress", "egress"] {
        for rule in list_mut(spec, rules) {
            for port in list_mut(rule, "ports") {
                default(port, "protocol", "TCP");
            }
        }
    }
}

fn definition(object: &mut Value) {
    let Some(spec) = sub_mut(object, "spec") else { return };
    default(spec, "conversion", json!({"strategy": "None"}));
    let mut stored = Vec::new();
    for version in list_mut(spec, "versions") {
        if is_set(version, "storage") {
            stored.push(version.get("name").cloned().unwrap_or_default());
        }
    }
    let plural = text(get::sub(spec, "names"), "plural").to_owned();
    if let Some(names) = sub_mut(spec, "names") {
        let kind = text(names, "kind").to_owned();
        if !plural.is_empty() && !kind.is_empty() {
            default_text(names, "singular", &kind.to_lowercase());
            default_text(names, "listKind", &format!("{kind}List"));
        }
    }
    if let Some(status) = sub_mut(object, "status")
        && get::list(status, "storedVersions").is_empty()
        && !stored.is_empty()
    {
        set(status, "storedVersions", stored);
    }
}

fn role_binding(object: &mut Value) {
    if let Some(role) = sub_mut(object, "roleRef") {
        default_text(role, "apiGroup", "rbac.authorization.k8s.io");
    }
    for subject in list_mut(object, "subjects") {
        if matches!(text(subject, "kind"), "User" | "Group") {
            default_text(subject, "apiGroup", "rbac.authorization.k8s.io");
        }
    }
}

/// Whether a spec's pods share the host's network.
fn host_network(spec: &Value) -> bool {
    is_set(spec, "hostNetwork")
}

/// Whether a field holds an object.
fn has(parent: &Value, field: &str) -> bool {
    object(parent, field).is_some()
}
