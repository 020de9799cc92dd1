//! Containers of every sort: regular, init and ephemeral ones.

use std::collections::HashSet;

use apimachinery::value::Value;

use super::meta::invalid_each;
use super::pod::Pod;
use super::{environment, mounts, probes, resources, security};
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{int, list, object, sub, text};
use crate::objects::names;

/// `spec.containers`.
pub(crate) fn regular(pod: &Pod<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let containers = list(pod.spec, "containers");
    if containers.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let mut seen = HashSet::with_capacity(containers.len());
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        common(pod, container, &path, errors);
        let name = text(container, "name");
        if !seen.insert(name) {
            errors.push(FieldError::duplicate_str(&path.child("name"), name));
        }
        probes::lifecycle(container, pod.grace_period, &path, errors);
        probes::all(container, pod.grace_period, &path, errors);
        restart_policy(container, &path, errors);
    }
    host_ports(containers, path, errors);
}

/// `spec.initContainers`.
pub(crate) fn init(pod: &Pod<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let containers = list(pod.spec, "initContainers");
    let mut seen: HashSet<&str> = list(pod.spec, "containers").iter().map(|other| text(other, "name")).collect();
    for (index, container) in containers.iter().enumerate() {
        let path_of_list = path;
        let path = path.index(index);
        common(pod, container, &path, errors);
        init_restart_policy(container, &path, errors);
        let name = text(container, "name");
        if seen.contains(name) {
            errors.push(FieldError::duplicate_str(&path.child("name"), name));
        } else if !name.is_empty() {
            seen.insert(name);
        }
        host_ports(std::slice::from_ref(container), path_of_list, errors);
        if text(container, "restartPolicy") == "Always" {
            probes::lifecycle(container, pod.grace_period, &path, errors);
            probes::all(container, pod.grace_period, &path, errors);
        } else {
            for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                if object(container, field).is_some() {
                    let detail = "may not be set for init containers without restartPolicy=Always";
                    errors.push(FieldError::forbidden(&path.child(field), detail));
                }
            }
            let policies = path.child("resizePolicy");
            for (index, policy) in list(container, "resizePolicy").iter().enumerate() {
                if text(policy, "restartPolicy") == "RestartContainer" {
                    let path = policies.index(index);
                    let detail = "must not be set to 'RestartContainer' for non-sidecar initContainers";
                    errors.push(FieldError::invalid_str(&path.child("restartPolicy"), "RestartContainer", detail));
                }
            }
        }
    }
}

/// Where containers are in a spec.
pub(super) const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Visits every container of a spec with its place: init containers, regular ones, ephemeral ones.
pub(crate) fn each(spec: &Value, path: &Path<'_>, visit: &mut dyn FnMut(&Value, &Path<'_>)) {
    for field in LISTS {
        let path = path.child(field);
        for (index, container) in list(spec, field).iter().enumerate() {
            visit(container, &path.index(index));
        }
    }
}

/// Fields that an ephemeral container may have.
const EPHEMERAL_FIELDS: [&str; 17] = [
    "name",
    "image",
    "command",
    "args",
    "workingDir",
    "env",
    "envFrom",
    "volumeMounts",
    "volumeDevices",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "imagePullPolicy",
    "securityContext",
    "stdin",
    "stdinOnce",
    "tty",
    "targetContainerName",
];

/// The fields of a container in the order in which forbidden ones are reported.
const CONTAINER_FIELDS: [&str; 8] = [
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
];

/// `spec.ephemeralContainers`.
pub(crate) fn ephemeral(pod: &Pod<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let containers = list(pod.spec, "ephemeralContainers");
    if containers.is_empty() {
        return;
    }
    let others: HashSet<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|field| list(pod.spec, field))
        .map(|other| text(other, "name"))
        .collect();
    let mut seen = others.clone();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        common(pod, container, &path, errors);
        image_whitespace(container, &path, errors);
        let name = text(container, "name");
        if !seen.insert(name) {
            errors.push(FieldError::duplicate_str(&path.child("name"), name));
        }
        let target = text(container, "targetContainerName");
        if !target.is_empty() && !others.contains(target) {
            errors.push(FieldError::not_found(&path.child("targetContainerName"), target));
        }
        let set = |field: &str| match container.get(field) {
            None | Some(Value::Null) => false,
            Some(Value::Object(fields)) => field != "resources" || !fields.is_empty(),
            Some(_) => true,
        };
        let known = CONTAINER_FIELDS.into_iter().chain(["lifecycle"]);
        for field in known.filter(|field| !EPHEMERAL_FIELDS.contains(field) && set(field)) {
            errors.push(FieldError::forbidden(&path.child(field), "cannot be set for an Ephemeral Container"));
        }
        let mounts = path.child("volumeMounts");
        for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
            for field in ["subPath", "subPathExpr"] {
                if !text(mount, field).is_empty() {
                    let path = mounts.index(index);
                    errors.push(FieldError::forbidden(&path.child(field), "cannot be set for an Ephemeral Container"));
                }
            }
        }
    }
}

/// An image may be padded in a template, not in a pod.
pub(crate) fn image_whitespace(container: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let image = text(container, "image");
    if image.trim().len() != image.len() {
        let detail = "must not have leading or trailing whitespace";
        errors.push(FieldError::invalid_str(&path.child("image"), image, detail));
    }
}

fn common(pod: &Pod<'_>, container: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let name = text(container, "name");
    let name_path = path.child("name");
    if name.is_empty() {
        errors.push(FieldError::required(&name_path, ""));
    } else {
        invalid_each(errors, &name_path, name, names::dns1123_label(name));
    }
    if text(container, "image").is_empty() {
        errors.push(FieldError::required(&path.child("image"), ""));
    }
    one_of(container, "terminationMessagePolicy", &["File", "FallbackToLogsOnError"], path, errors);
    ports(container, &path.child("ports"), errors);
    environment::variables(container, &path.child("env"), errors);
    environment::sources(container, &path.child("envFrom"), errors);
    mounts::mounts(pod, container, path, errors);
    mounts::devices(pod, container, path, errors);
    one_of(container, "imagePullPolicy", &["Always", "IfNotPresent", "Never"], path, errors);
    let claims = list(pod.spec, "resourceClaims");
    resources::requirements(sub(container, "resources"), claims, &path.child("resources"), errors);
    resize_policy(pod, container, &path.child("resizePolicy"), errors);
    security::container(container, pod.host_users, &path.child("securityContext"), errors);
}

/// A required string with a few allowed values, reported in the order given.
pub(crate) fn one_of(
    parent: &Value,
    field: &str,
    allowed: &[&str],
    parent_path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let value = text(parent, field);
    let path = parent_path.child(field);
    if value.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else if !allowed.contains(&value) {
        errors.push(FieldError::not_supported(&path, value, allowed));
    }
}

fn ports(container: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (index, port) in list(container, "ports").iter().enumerate() {
        let path = path.index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            let name_path = path.child("name");
            let messages = names::port_name(name);
            if messages.is_empty() && !seen.insert(name) {
                errors.push(FieldError::duplicate_str(&name_path, name));
            }
            invalid_each(errors, &name_path, name, messages);
        }
        let number = int(port, "containerPort").unwrap_or(0);
        if number == 0 {
            errors.push(FieldError::required(&path.child("containerPort"), ""));
        } else {
            port_number(number, &path.child("containerPort"), errors);
        }
        let host = int(port, "hostPort").unwrap_or(0);
        if host != 0 {
            port_number(host, &path.child("hostPort"), errors);
        }
        one_of(port, "protocol", &["SCTP", "TCP", "UDP"], &path, errors);
    }
}

/// The number of a port.
pub(crate) fn port_number(port: i64, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let messages = names::port_number(port);
    errors.extend(messages.into_iter().map(|message| FieldError::invalid(path, &Value::from(port), message)));
}

fn host_ports(containers: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        let path = path.child("ports");
        for (index, port) in list(container, "ports").iter().enumerate() {
            let Some(number) = int(port, "hostPort").filter(|number| *number != 0) else { continue };
            let key = (text(port, "protocol"), text(port, "hostIP"), number);
            if !seen.insert(key) {
                let path = path.index(index);
                let printed = format!("{}/{}/{number}", key.0, key.1);
                errors.push(FieldError::duplicate_str(&path.child("hostPort"), &printed));
            }
        }
    }
}

fn resize_policy(pod: &Pod<'_>, container: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (index, policy) in list(container, "resizePolicy").iter().enumerate() {
        let resource = text(policy, "resourceName");
        if !seen.insert(resource) {
            errors.push(FieldError::duplicate_str(&path.index(index), resource));
        }
        let restart = text(policy, "restartPolicy");
        for (value, allowed) in [(resource, ["cpu", "memory"]), (restart, ["NotRequired", "RestartContainer"])] {
            if value.is_empty() {
                errors.push(FieldError::required(path, ""));
            } else if !allowed.contains(&value) {
                errors.push(FieldError::not_supported(path, value, &allowed));
            }
        }
        if text(pod.spec, "restartPolicy") == "Never" && restart != "NotRequired" {
            let detail = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            errors.push(FieldError::invalid_str(path, restart, detail));
        }
    }
}

fn restart_policy(container: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let rules = list(container, "restartPolicyRules");
    if container.get("restartPolicy").is_some_and(Value::is_string) {
        supported(container, "restartPolicy", &["Always", "Never", "OnFailure"], path, errors);
    } else if !rules.is_empty() {
        let detail = "must specify restartPolicy when restart rules are used";
        errors.push(FieldError::required(&path.child("restartPolicy"), detail));
    }
    let rules_path = path.child("restartPolicyRules");
    if rules.len() > 20 {
        errors.push(FieldError::too_many(&rules_path, rules.len(), 20));
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = rules_path.index(index);
        supported(rule, "action", &["Restart", "RestartAllContainers"], &path, errors);
        let codes_path = path.child("exitCodes");
        let Some(codes) = object(rule, "exitCodes") else {
            errors.push(FieldError::required(&codes_path, "must be specified"));
            continue;
        };
        supported(codes, "operator", &["In", "NotIn"], &codes_path, errors);
        let values = list(codes, "values");
        if values.len() > 255 {
            errors.push(FieldError::too_many(&codes_path.child("values"), values.len(), 255));
        }
    }
}

/// A string with a few allowed values, of which none is the empty one.
fn supported(parent: &Value, field: &str, allowed: &[&str], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let value = text(parent, field);
    if !allowed.contains(&value) {
        errors.push(FieldError::not_supported(&path.child(field), value, allowed));
    }
}

/// Without a policy the rules of an init container are not looked at.
fn init_restart_policy(container: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if container.get("restartPolicy").is_some_and(Value::is_string) {
        restart_policy(container, path, errors);
    } else if !list(container, "restartPolicyRules").is_empty() {
        let detail = "must specify restartPolicy when restart rules are used";
        errors.push(FieldError::required(&path.child("restartPolicy"), detail));
    }
}
