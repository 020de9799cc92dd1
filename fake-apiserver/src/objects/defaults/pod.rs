//! Pods and templates of pods.

use apimachinery::value::{Value, json};

use super::{claim_spec, default_number, default_text, has, host_network};
use crate::objects::get::{self, default, list, list_mut, set, sub_mut, text};

/// A pod: what its template has, and what only pods have.
pub(super) fn pod(object: &mut Value) {
    // The first of the addresses has a field of its own, and the other way round.
    if let Some(status) = object.get_mut("status") {
        let address = text(status, "podIP").to_owned();
        if !address.is_empty() && list(status, "podIPs").is_empty() {
            set(status, "podIPs", json!([{"ip": address}]));
        } else if let Some(first) = list(status, "podIPs").first().and_then(|first| first.get("ip")).cloned() {
            default_text(status, "podIP", first.as_str().unwrap_or_default());
        }
    }
    let Some(spec) = sub_mut(object, "spec") else { return };
    self::spec(spec);
    default(spec, "enableServiceLinks", true);
    // A pod's negative grace period is one second; a template's stays (pod-validation/negative-grace).
    if get::int(spec, "terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
        set(spec, "terminationGracePeriodSeconds", 1);
    }
    if host_network(spec) {
        for field in ["containers", "initContainers"] {
            for container in list_mut(spec, field) {
                for port in list_mut(container, "ports") {
                    default_number(port, "hostPort", get::int(port, "containerPort").unwrap_or(0));
                }
            }
        }
    }
    pod_resources(spec);
}

/// Requests that are not given are those of the limits.
fn requests_from_limits(owner: &mut Value) {
    let Some(resources) = owner.get_mut("resources").filter(|resources| resources.is_object()) else { return };
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else { return };
    if let Some(Value::Object(requests)) = sub_mut(resources, "requests") {
        for (name, limit) in limits {
            requests.entry(name).or_insert(limit);
        }
    }
}

fn pod_resources(spec: &mut Value) {
    for field in ["containers", "initContainers"] {
        for container in list_mut(spec, field) {
            requests_from_limits(container);
        }
    }
    if has(spec, "resources") {
        requests_from_limits(spec);
    }
}

/// The spec of a pod, or of a template.
pub(super) fn spec(spec: &mut Value) {
    default_text(spec, "dnsPolicy", "ClusterFirst");
    default_text(spec, "restartPolicy", "Always");
    default(spec, "securityContext", json!({}));
    default(spec, "terminationGracePeriodSeconds", 30);
    default_text(spec, "schedulerName", "default-scheduler");
    service_account(spec);
    for volume in list_mut(spec, "volumes") {
        self::volume(volume);
    }
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        for container in list_mut(spec, field) {
            self::container(container);
        }
    }
}

/// The old name of the service account's field goes with the new one.
fn service_account(spec: &mut Value) {
    let (name, old) = (text(spec, "serviceAccountName").to_owned(), text(spec, "serviceAccount").to_owned());
    if name.is_empty() && !old.is_empty() {
        set(spec, "serviceAccountName", old);
    } else if !name.is_empty() && name != old {
        set(spec, "serviceAccount", name);
    }
}

fn volume(volume: &mut Value) {
    let sources = volume.as_object().map_or(0, apimachinery::value::Map::len);
    if sources <= 1 {
        set(volume, "emptyDir", json!({}));
        return;
    }
    for field in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = volume.get_mut(field).filter(|source| source.is_object()) {
            default(source, "defaultMode", 0o644);
            field_refs(source);
            for projection in list_mut(source, "sources") {
                if let Some(token) = projection.get_mut("serviceAccountToken").filter(|token| token.is_object()) {
                    default(token, "expirationSeconds", 3600);
                }
                if let Some(downward) = projection.get_mut("downwardAPI").filter(|downward| downward.is_object()) {
                    field_refs(downward);
                }
            }
        }
    }
    if let Some(host) = volume.get_mut("hostPath").filter(|host| host.is_object()) {
        default(host, "type", "");
    }
    if let Some(source) = volume.get_mut("image").filter(|source| source.is_object()) {
        let policy = pull_policy(text(source, "reference"));
        default_text(source, "pullPolicy", policy);
    }
    for (field, name, value) in [
        ("iscsi", "iscsiInterface", "default"),
        ("rbd", "pool", "rbd"),
        ("rbd", "user", "admin"),
        ("rbd", "keyring", "/etc/ceph/keyring"),
        ("azureDisk", "cachingMode", "ReadWrite"),
        ("azureDisk", "kind", "Shared"),
        ("azureDisk", "fsType", "ext4"),
        ("scaleIO", "storageMode", "ThinProvisioned"),
        ("scaleIO", "fsType", "xfs"),
    ] {
        if let Some(source) = volume.get_mut(field).filter(|source| source.is_object()) {
            default_text(source, name, value);
        }
    }
    if let Some(disk) = volume.get_mut("azureDisk").filter(|disk| disk.is_object()) {
        default(disk, "readOnly", false);
    }
    if let Some(template) = volume.get_mut("ephemeral").and_then(|source| source.get_mut("volumeClaimTemplate"))
        && let Some(spec) = sub_mut(template, "spec")
    {
        claim_spec(spec);
    }
}

/// `apiVersion` of the references to fields of the pod.
fn field_refs(source: &mut Value) {
    for item in list_mut(source, "items") {
        if let Some(reference) = item.get_mut("fieldRef").filter(|reference| reference.is_object()) {
            default_text(reference, "apiVersion", "v1");
        }
    }
}

/// `latest` (or no tag at all) is pulled every time.
fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains('@') {
        return "IfNotPresent";
    }
    match name.split_once(':') {
        None | Some((_, "latest")) => "Always",
        Some(_) => "IfNotPresent",
    }
}

fn container(container: &mut Value) {
    let policy = pull_policy(text(container, "image"));
    default_text(container, "imagePullPolicy", policy);
    default_text(container, "terminationMessagePath", "/dev/termination-log");
    default_text(container, "terminationMessagePolicy", "File");
    for port in list_mut(container, "ports") {
        default_text(port, "protocol", "TCP");
    }
    for variable in list_mut(container, "env") {
        let Some(from) = variable.get_mut("valueFrom").filter(|from| from.is_object()) else { continue };
        if let Some(reference) = from.get_mut("fieldRef").filter(|reference| reference.is_object()) {
            default_text(reference, "apiVersion", "v1");
        }
        if let Some(reference) = from.get_mut("fileKeyRef").filter(|reference| reference.is_object()) {
            default(reference, "optional", false);
        }
    }
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(field).filter(|probe| probe.is_object()) {
            self::probe(probe);
        }
    }
    if let Some(lifecycle) = container.get_mut("lifecycle").filter(|lifecycle| lifecycle.is_object()) {
        for field in ["postStart", "preStop"] {
            if let Some(hook) = lifecycle.get_mut(field) {
                http_get(hook);
            }
        }
    }
}

fn probe(probe: &mut Value) {
    default_number(probe, "timeoutSeconds", 1);
    default_number(probe, "periodSeconds", 10);
    default_number(probe, "successThreshold", 1);
    default_number(probe, "failureThreshold", 3);
    http_get(probe);
    if let Some(grpc) = probe.get_mut("grpc").filter(|grpc| grpc.is_object()) {
        default(grpc, "service", "");
    }
}

fn http_get(handler: &mut Value) {
    if let Some(action) = handler.get_mut("httpGet").filter(|action| action.is_object()) {
        default_text(action, "path", "/");
        default_text(action, "scheme", "HTTP");
    }
}

/// The class of service that a pod's requests and limits give it.
pub(crate) fn qos_class(spec: &Value) -> &'static str {
    use apimachinery::quantity::Quantity;
    let (mut any, mut guaranteed) = (false, true);
    for field in ["containers", "initContainers"] {
        for container in list(spec, field) {
            let resources = get::sub(container, "resources");
            let amount = |kind: &str, name: &str| {
                let text = get::sub(resources, kind).get(name).and_then(Value::as_str)?;
                Quantity::parse(text).filter(|quantity| !quantity.is_zero() && !quantity.is_negative())
            };
            for name in ["cpu", "memory"] {
                let (request, limit) = (amount("requests", name), amount("limits", name));
                any |= request.is_some() || limit.is_some();
                guaranteed &= limit.is_some() && (request.is_none() || request == limit);
            }
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
