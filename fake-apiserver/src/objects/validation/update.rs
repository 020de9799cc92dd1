//! What may not change once an object exists.

use apimachinery::value::{List, Map, Value};

use super::{meta, pod as pods};
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{int, is_set, list, set, sub, text};
use crate::objects::{Target, internal};

/// The fields of a pod's spec that may change, as the refusal names them.
const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Rules that are looked at before those that hold for any object of the kind.
pub(super) fn before(target: Target<'_>, new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    match (target.group, target.kind) {
        ("", "Secret") => {
            immutable_field(new, old, "type", errors);
            immutable_data(new, old, &["data"], errors);
        }
        ("", "ConfigMap") => immutable_data(new, old, &["data", "binaryData"], errors),
        _ => {}
    }
}

/// Rules that are looked at after them.
pub(super) fn after(target: Target<'_>, new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let path = Path::root("spec");
    let (new_spec, old_spec) = (sub(new, "spec"), sub(old, "spec"));
    match (target.group, target.kind) {
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet") | ("batch", "Job") => {
            meta::immutable(new_spec, old_spec, "selector", &path, errors);
            if target.kind == "Job" {
                for field in ["completions", "completionMode", "template", "backoffLimitPerIndex"] {
                    meta::immutable(new_spec, old_spec, field, &path, errors);
                }
            }
        }
        ("apps", "StatefulSet") => stateful_set(new_spec, old_spec, &path, errors),
        ("", "Service") => service(new_spec, old_spec, &path, errors),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding")
            if new.get("roleRef") != old.get("roleRef") =>
        {
            let path = Path::root("roleRef");
            errors.push(FieldError::invalid(&path, sub(new, "roleRef"), "cannot change roleRef"));
        }
        _ => {}
    }
}

fn immutable_field(new: &Value, old: &Value, field: &str, errors: &mut Vec<FieldError>) {
    if new.get(field) != old.get(field) {
        errors.push(FieldError::invalid(&Path::root(field), sub(new, field), "field is immutable"));
    }
}

fn immutable_data(new: &Value, old: &Value, fields: &[&str], errors: &mut Vec<FieldError>) {
    if !is_set(old, "immutable") {
        return;
    }
    let detail = "field is immutable when `immutable` is set";
    if !is_set(new, "immutable") {
        errors.push(FieldError::forbidden(&Path::root("immutable"), detail));
    }
    for field in fields.iter().filter(|field| new.get(**field) != old.get(**field)) {
        errors.push(FieldError::forbidden(&Path::root(field), detail));
    }
}

fn stateful_set(new: &Value, old: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const MUTABLE: [&str; 8] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
        "status",
    ];
    let rest = |spec: &Value| -> Map {
        let fields = spec.as_object().into_iter().flatten();
        let kept = fields.filter(|(field, _)| !MUTABLE.contains(&field.as_str()));
        kept.map(|(field, value)| (field.clone(), value.clone())).collect()
    };
    if rest(new) != rest(old) {
        let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        errors.push(FieldError::forbidden(path, detail));
    }
}

fn service(new: &Value, old: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (was, is) = (text(old, "clusterIP"), text(new, "clusterIP"));
    let same_kind = text(old, "type") != "ExternalName" && text(new, "type") != "ExternalName";
    if same_kind && !was.is_empty() && was != is {
        let ips = path.child("clusterIPs");
        if is.is_empty() {
            errors.push(FieldError::invalid(
                &ips.index(0),
                &Value::Array(List::new()),
                "primary clusterIP can not be unset",
            ));
        } else {
            errors.push(FieldError::invalid(&ips, sub(new, "clusterIPs"), "may not change once set"));
        }
    }
}

/// A pod that replaces another one, or a part of one through a subresource.
pub(super) fn pod(new: &Value, old: &Value, subresource: &str, errors: &mut Vec<FieldError>) {
    match subresource {
        "status" => status(new, old, errors),
        "ephemeralcontainers" => {
            pods::metadata_and_spec(new, errors);
            ephemeral(sub(new, "spec"), sub(old, "spec"), errors);
        }
        "" => {
            pods::metadata_and_spec(new, errors);
            spec(sub(new, "spec"), sub(old, "spec"), errors);
        }
        _ => pods::metadata_and_spec(new, errors),
    }
}

fn status(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let path = Path::root("status");
    let (new_node, old_node) = (text(sub(new, "spec"), "nodeName"), text(sub(old, "spec"), "nodeName"));
    if new_node != old_node {
        errors.push(FieldError::forbidden(&path.child("nodeName"), "may not be changed directly"));
    }
    let (new, old) = (sub(new, "status"), sub(old, "status"));
    meta::immutable(new, old, "qosClass", &path, errors);
    for (index, address) in list(new, "podIPs").iter().enumerate() {
        let ips = path.child("podIPs");
        pods::ip(text(address, "ip"), &ips.index(index), errors);
    }
}

fn ephemeral(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let root = Path::root("spec");
    let path = root.child("ephemeralContainers");
    for container in list(old, "ephemeralContainers") {
        let name = text(container, "name");
        match list(new, "ephemeralContainers").iter().find(|other| text(other, "name") == name) {
            None => {
                let detail = format!("existing ephemeral containers \"{name}\" may not be removed\n");
                errors.push(FieldError::forbidden(&path, detail));
            }
            Some(changed) if changed != container => {
                let difference = internal::difference("EphemeralContainer", container, changed);
                let detail = format!("existing ephemeral containers \"{name}\" may not be changed\n{difference}");
                errors.push(FieldError::forbidden(&path, detail));
            }
            Some(_) => {}
        }
    }
}

fn spec(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let path = Path::root("spec");
    for field in ["containers", "initContainers"] {
        let path = path.child(field);
        let containers = list(new, field);
        if containers.len() != list(old, field).len() {
            errors.push(FieldError::forbidden(&path, "pod updates may not add or remove containers"));
            return;
        }
        for (index, container) in containers.iter().enumerate() {
            let path = path.index(index);
            if text(container, "image").is_empty() {
                errors.push(FieldError::required(&path.child("image"), ""));
            }
            super::container::image_whitespace(container, &path, errors);
        }
    }
    if !deadline(new, old, &path, errors) {
        return;
    }
    tolerations(new, old, &path, errors);
    let gates = path.child("schedulingGates");
    for (index, gate) in list(new, "schedulingGates").iter().enumerate() {
        let name = text(gate, "name");
        if !list(old, "schedulingGates").iter().any(|old| text(old, "name") == name) {
            let path = gates.index(index);
            let detail = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            errors.push(FieldError::forbidden(&path.child("name"), detail));
        }
    }
    if new == old {
        return;
    }
    let munged = munge(new, old);
    if munged != *old {
        let difference = internal::difference("PodSpec", old, &munged);
        let detail = format!("pod updates may not change fields other than {UPDATABLE}\n{difference}");
        errors.push(FieldError::forbidden(&path, detail));
    }
}

/// `activeDeadlineSeconds` may only become smaller; false if nothing else is to be looked at.
fn deadline(new: &Value, old: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) -> bool {
    let path = path.child("activeDeadlineSeconds");
    match (int(new, "activeDeadlineSeconds"), int(old, "activeDeadlineSeconds")) {
        (Some(seconds), _) if !(0..=2_147_483_647).contains(&seconds) => {
            let detail = crate::objects::names::inclusive_range(0, 2_147_483_647);
            errors.push(FieldError::invalid(&path, &Value::from(seconds), detail));
            false
        }
        (Some(seconds), Some(before)) if before < seconds => {
            let detail = "must be less than or equal to previous value";
            errors.push(FieldError::invalid(&path, &Value::from(seconds), detail));
            false
        }
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            errors.push(FieldError::invalid(&path, &Value::Null, detail));
            true
        }
        _ => true,
    }
}

fn tolerations(new: &Value, old: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let without_seconds = |toleration: &Value| {
        let mut toleration = toleration.clone();
        if let Some(fields) = toleration.as_object_mut() {
            fields.remove("tolerationSeconds");
        }
        toleration.to_string()
    };
    let found: std::collections::HashSet<String> = list(new, "tolerations").iter().map(without_seconds).collect();
    let path = path.child("tolerations");
    if list(old, "tolerations").iter().any(|toleration| !found.contains(&without_seconds(toleration))) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(FieldError::forbidden(&path, detail));
    } else {
        super::scheduling::tolerations(new, &path, errors);
    }
}

/// The new spec with everything that may change as it was.
fn munge(new: &Value, old: &Value) -> Value {
    let mut munged = new.clone();
    for field in ["containers", "initContainers"] {
        let before = list(old, field);
        for (index, container) in crate::objects::get::list_mut(&mut munged, field).enumerate() {
            if let Some(image) = before.get(index).and_then(|container| container.get("image")) {
                set(container, "image", image.clone());
            }
        }
    }
    let gated = !list(old, "schedulingGates").is_empty();
    let negative = int(old, "terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0);
    let restored = [
        ("activeDeadlineSeconds", true),
        ("schedulingGates", true),
        ("tolerations", true),
        ("terminationGracePeriodSeconds", negative && int(new, "terminationGracePeriodSeconds") == Some(1)),
        ("nodeSelector", gated && only_added(sub(new, "nodeSelector"), sub(old, "nodeSelector"))),
    ];
    for (field, _) in restored.iter().filter(|(_, restored)| *restored) {
        match old.get(*field) {
            Some(value) => set(&mut munged, field, value.clone()),
            None => {
                crate::objects::get::remove(&mut munged, field);
            }
        }
    }
    munged
}

fn only_added(new: &Value, old: &Value) -> bool {
    old.as_object().into_iter().flatten().all(|(key, value)| new.get(key) == Some(value))
}
