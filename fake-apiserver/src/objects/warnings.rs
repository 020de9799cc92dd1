//! Texts for `Warning` headers about objects that are valid and probably not meant so.

use std::collections::HashMap;

use serde_json::Value;

use super::Target;
use super::field::{Path, go_quote};
use super::get::{entries, int, list, object, sub, text};
use super::quantity::Quantity;

/// Warnings about an object that was created or changed, in the apiserver's order.
pub(crate) fn warnings(target: Target<'_>, object: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let root = Path::root("spec");
    match (target.group, target.kind) {
        ("", "Pod") => pod_spec(sub(object, "spec"), &root, &mut out),
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("", "ReplicationController")
        | ("batch", "Job") => {
            let path = root.child("template");
            pod_spec(sub(sub(sub(object, "spec"), "template"), "spec"), &path.child("spec"), &mut out);
        }
        ("batch", "CronJob") => {
            let path = root.child("jobTemplate");
            let path = path.child("spec");
            let path = path.child("template");
            let job = sub(sub(sub(object, "spec"), "jobTemplate"), "spec");
            pod_spec(sub(sub(job, "template"), "spec"), &path.child("spec"), &mut out);
        }
        ("", "Endpoints") => {
            out.push("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned());
        }
        _ => {}
    }
    out
}

/// Labels of nodes that have newer names.
const OLD_NODE_LABELS: [(&str, &str, &str); 5] = [
    ("beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"),
    ("failure-domain.beta.kubernetes.io/region", "v1.17", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "v1.17", "topology.kubernetes.io/zone"),
    ("beta.kubernetes.io/instance-type", "v1.17", "node.kubernetes.io/instance-type"),
];

fn pod_spec(spec: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let selector = path.child("nodeSelector");
    for (key, _) in entries(spec, "nodeSelector") {
        for (_, since, new) in OLD_NODE_LABELS.iter().filter(|(old, _, _)| old == key) {
            out.push(format!("{}: deprecated since {since}; use \"{new}\" instead", selector.key(key)));
        }
    }
    let aliases = path.child("hostAliases");
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, alias) in list(spec, "hostAliases").iter().enumerate() {
        if seen.insert(text(alias, "ip"), index).is_some() {
            out.push(format!("{}: duplicate ip {}", aliases.index(index), go_quote(text(alias, "ip"))));
        }
    }
    let volumes = path.child("volumes");
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        if object(volume, "gitRepo").is_some() {
            let path = volumes.index(index);
            out.push(format!("{}: deprecated in v1.11, and disabled by default in v1.33+", path.child("gitRepo")));
        }
        overlapping(volume, out);
    }
    pull_secrets(spec, &path.child("imagePullSecrets"), out);
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        let path = path.child(field);
        for (index, container) in list(spec, field).iter().enumerate() {
            self::container(container, &path.index(index), out);
        }
    }
    duplicate_ports(spec, path, out);
}

fn pull_secrets(spec: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    for (index, secret) in list(spec, "imagePullSecrets").iter().enumerate() {
        let name = text(secret, "name");
        let path = path.index(index);
        if name.is_empty() {
            out.push(format!("{}: invalid empty name \"\"", path.child("name")));
        } else if !seen.insert(name) {
            out.push(format!("{}: duplicate name {}", path.child("name"), go_quote(name)));
        }
    }
}

fn container(container: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let variables = path.child("env");
    let mut seen = std::collections::HashSet::new();
    for (index, variable) in list(container, "env").iter().enumerate() {
        let name = text(variable, "name");
        if !seen.insert(name) {
            let path = variables.index(index);
            let quoted = go_quote(name);
            out.push(format!("{path}: hides previous definition of {quoted}, which may be dropped when using apply"));
        }
    }
    let resources = path.child("resources");
    for field in ["limits", "requests"] {
        let path = resources.child(field);
        for (name, amount) in entries(sub(container, "resources"), field) {
            let bytes = matches!(name.as_str(), "memory" | "ephemeral-storage" | "storage");
            let amount = amount.as_str().and_then(Quantity::parse);
            if let Some(amount) = amount.filter(|amount| bytes && !amount.is_integer()) {
                let path = path.key(name);
                out.push(format!("{path}: fractional byte value \"{amount}\" is invalid, must be an integer"));
            }
        }
    }
}

/// Ports that are defined twice, in one container or in two.
fn duplicate_ports(spec: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let mut seen: HashMap<(i64, &str, i64, &str), String> = HashMap::new();
    let containers = path.child("containers");
    for (index, container) in list(spec, "containers").iter().enumerate() {
        let path = containers.index(index);
        let ports = path.child("ports");
        for (index, port) in list(container, "ports").iter().enumerate() {
            let number = |field: &str| int(port, field).unwrap_or(0);
            let key = (number("containerPort"), text(port, "protocol"), number("hostPort"), text(port, "hostIP"));
            let here = ports.index(index);
            match seen.get(&key) {
                Some(first) => out.push(format!("{here}: duplicate port definition with {first}")),
                None => {
                    seen.insert(key, here.to_string());
                }
            }
        }
    }
}

/// Files of a projected volume that would be written twice.
fn overlapping(volume: &Value, out: &mut Vec<String>) {
    let Some(projected) = object(volume, "projected") else { return };
    let mut files: HashMap<&str, &str> = HashMap::new();
    for source in list(projected, "sources") {
        for (field, name) in [("secret", "Secret"), ("configMap", "ConfigMap"), ("downwardAPI", "DownwardAPI")] {
            let items = object(source, field).map_or(&[][..], |source| list(source, "items"));
            for item in items {
                add_file(volume, &mut files, text(item, "path"), name, out);
            }
        }
        for (field, name) in
            [("serviceAccountToken", "ServiceAccountToken"), ("clusterTrustBundle", "ClusterTrustBundle")]
        {
            if let Some(source) = object(source, field) {
                add_file(volume, &mut files, text(source, "path"), name, out);
            }
        }
    }
}

fn add_file<'a>(
    volume: &Value,
    files: &mut HashMap<&'a str, &'a str>,
    place: &'a str,
    source: &'a str,
    out: &mut Vec<String>,
) {
    if place.is_empty() {
        return;
    }
    if let Some(first) = files.get(place) {
        out.push(format!(
            "volume {} (Projected): overlapping paths: {} ({source}) with {} ({first})",
            go_quote(text(volume, "name")),
            go_quote(place),
            go_quote(place),
        ));
    }
    files.entry(place).or_insert(source);
}
