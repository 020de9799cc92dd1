//! Pods and the templates of pods.

use std::collections::HashMap;

use apimachinery::value::{Value, json};

use super::meta::{self, invalid_each, labels};
use super::{container, environment, profiles, resources, scheduling, security, volumes, windows};
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{flag, int, is_set, list, object, sub, text};
use crate::objects::{Target, internal, names, warnings};

/// A pod's spec on the way through validation, with what is looked up often.
pub(crate) struct Pod<'a> {
    pub(crate) spec: &'a Value,
    pub(crate) grace_period: Option<i64>,
    pub(crate) host_users: bool,
    volumes: HashMap<&'a str, &'a Value>,
}

impl<'a> Pod<'a> {
    fn new(spec: &'a Value, volumes: HashMap<&'a str, &'a Value>) -> Self {
        Pod {
            spec,
            grace_period: int(spec, "terminationGracePeriodSeconds"),
            host_users: flag(spec, "hostUsers").unwrap_or(true),
            volumes,
        }
    }

    /// The volume of that name.
    pub(crate) fn volume(&self, name: &str) -> Option<&'a Value> {
        self.volumes.get(name).copied()
    }
}

/// What of a new pod its validation looks at, besides the rules of metadata: pods that have this in common are valid, or not,
/// together.
pub(crate) struct PodPart {
    pub(crate) spec: Value,
    pub(crate) annotations: Value,
    /// Empty if nothing in the spec is named after the pod, as ephemeral volumes are.
    pub(crate) name: String,
}

impl PodPart {
    /// The part of a pod.
    pub(crate) fn of(pod: &Value) -> PodPart {
        let (spec, metadata) = (sub(pod, "spec"), sub(pod, "metadata"));
        let named = list(spec, "volumes").iter().any(|volume| object(volume, "ephemeral").is_some());
        let name = if named { text(metadata, "name").to_owned() } else { String::new() };
        PodPart { spec: spec.clone(), annotations: sub(metadata, "annotations").clone(), name }
    }

    /// What is wrong with it.
    pub(crate) fn validate(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let pod = self.pod();
        annotations_and_spec(&pod, &mut errors);
        only_new(&pod, &mut errors);
        errors
    }

    /// What is valid and probably not meant so.
    pub(crate) fn warnings(&self) -> Vec<String> {
        warnings::warnings(Target::new("", "v1", "Pod"), &self.pod())
    }

    /// A pod that has nothing else.
    fn pod(&self) -> Value {
        json!({"metadata": {"name": self.name, "annotations": self.annotations}, "spec": self.spec})
    }
}

/// The metadata of a pod; labels and annotations that are known to be `sound` are not looked at again.
pub(crate) fn metadata(object: &Value, sound: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::create_with(object, true, names::dns1123_subdomain, sound, &mut errors);
    errors
}

/// What holds for new pods only.
fn only_new(object: &Value, errors: &mut Vec<FieldError>) {
    let pod_spec = sub(object, "spec");
    let path = Path::root("spec");
    if !list(pod_spec, "ephemeralContainers").is_empty() {
        errors.push(FieldError::forbidden(&path.child("ephemeralContainers"), "cannot be set on create"));
    }
    if !text(pod_spec, "nodeName").is_empty() && !list(pod_spec, "schedulingGates").is_empty() {
        let detail = "cannot be set until all schedulingGates have been cleared";
        errors.push(FieldError::forbidden(&path.child("nodeName"), detail));
    }
    profiles::fields(object, &path, errors);
}

/// What a pod has to keep whether it is new or changed.
pub(crate) fn metadata_and_spec(object: &Value, errors: &mut Vec<FieldError>) {
    errors.extend(metadata(object, false));
    annotations_and_spec(object, errors);
}

fn annotations_and_spec(object: &Value, errors: &mut Vec<FieldError>) {
    let pod_spec = sub(object, "spec");
    let metadata = Path::root("metadata");
    annotations(object, &metadata.child("annotations"), errors);
    let path = Path::root("spec");
    spec(pod_spec, text(sub(object, "metadata"), "name"), true, &path, errors);
    if text(pod_spec, "serviceAccountName").is_empty() {
        let volumes_path = path.child("volumes");
        for (index, volume) in list(pod_spec, "volumes").iter().enumerate() {
            let Some(projected) = self::object(volume, "projected") else { continue };
            let volume_path = volumes_path.index(index);
            let projected_path = volume_path.child("projected");
            let sources_path = projected_path.child("sources");
            for (index, source) in list(projected, "sources").iter().enumerate() {
                if self::object(source, "serviceAccountToken").is_some() {
                    let path = sources_path.index(index);
                    let detail = "must not be specified when serviceAccountName is not set";
                    errors.push(FieldError::forbidden(&path.child("serviceAccountToken"), detail));
                }
            }
        }
    }
    for field in ["containers", "initContainers"] {
        let path = path.child(field);
        for (index, one) in list(pod_spec, field).iter().enumerate() {
            container::image_whitespace(one, &path.index(index), errors);
        }
    }
}

/// The annotations of a pod, or of a template, that mean something.
pub(crate) fn annotations(object: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let annotations = sub(sub(object, "metadata"), "annotations");
    if let Some(mirrored) = annotations.get(MIRROR).and_then(Value::as_str)
        && text(sub(object, "spec"), "nodeName").is_empty()
    {
        let detail = "must set spec.nodeName if mirror pod annotation is set";
        errors.push(FieldError::invalid_str(&path.key(MIRROR), mirrored, detail));
    }
    if let Some(cost) = annotations.get(DELETION_COST).and_then(Value::as_str)
        && !is_deletion_cost(cost)
    {
        errors.push(FieldError::invalid_str(&path.key(DELETION_COST), cost, "must be a 32bit integer"));
    }
    profiles::annotations(object, path, errors);
}

/// The annotation of a pod that a kubelet shows for a file of its own.
const MIRROR: &str = "kubernetes.io/config.mirror";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// A number of 32 bits, without a plus and without zeros in front.
fn is_deletion_cost(text: &str) -> bool {
    let padded = text.starts_with('+') || (text.starts_with('0') && text != "0");
    !padded && text.parse::<i32>().is_ok()
}

/// The spec of a pod, or of a template (`pod_name` empty, `is_pod` false).
pub(crate) fn spec(spec: &Value, pod_name: &str, is_pod: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if int(spec, "terminationGracePeriodSeconds").is_none() {
        errors.push(FieldError::required(&path.child("terminationGracePeriodSeconds"), ""));
    }
    let pod = Pod::new(spec, volumes::volumes(spec, pod_name, is_pod, &path.child("volumes"), errors));
    resource_claims(spec, &path.child("resourceClaims"), errors);
    container::regular(&pod, &path.child("containers"), errors);
    container::init(&pod, &path.child("initContainers"), errors);
    container::ephemeral(&pod, &path.child("ephemeralContainers"), errors);
    resources::pod(spec, path, errors);
    host_network_ports(spec, is_pod, &path.child("containers"), errors);
    container::one_of(spec, "restartPolicy", &["Always", "OnFailure", "Never"], path, errors);
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    container::one_of(spec, "dnsPolicy", &policies, path, errors);
    labels(spec, "nodeSelector", path, errors);
    security::pod(spec, &path.child("securityContext"), errors);
    scheduling::affinity(spec, &path.child("affinity"), errors);
    dns_config(spec, &path.child("dnsConfig"), errors);
    let gates = path.child("readinessGates");
    for (index, gate) in list(spec, "readinessGates").iter().enumerate() {
        let path = gates.index(index);
        let kind = text(gate, "conditionType");
        invalid_each(errors, &path.child("conditionType"), kind, names::qualified_name(kind));
    }
    scheduling::gates(spec, &path.child("schedulingGates"), errors);
    scheduling::topology_spread(spec, &path.child("topologySpreadConstraints"), errors);
    windows::host_process(spec, path, errors);
    host_users(spec, path, errors);
    host_name(spec, path, errors);
    named(spec, "serviceAccountName", names::dns1123_subdomain, path, errors);
    named(spec, "nodeName", names::dns1123_subdomain, path, errors);
    if let Some(seconds) = int(spec, "activeDeadlineSeconds").filter(|seconds| !(1..=2_147_483_647).contains(seconds)) {
        let path = path.child("activeDeadlineSeconds");
        errors.push(FieldError::invalid(&path, &Value::from(seconds), names::inclusive_range(1, 2_147_483_647)));
    }
    named(spec, "hostname", names::dns1123_label, path, errors);
    named(spec, "subdomain", names::dns1123_label, path, errors);
    scheduling::tolerations(spec, &path.child("tolerations"), errors);
    host_aliases(spec, &path.child("hostAliases"), errors);
    named(spec, "priorityClassName", names::dns1123_subdomain, path, errors);
    if let Some(name) = spec.get("runtimeClassName").and_then(Value::as_str) {
        invalid_each(errors, &path.child("runtimeClassName"), name, names::dns1123_subdomain(name));
    }
    if spec.get("preemptionPolicy").is_some() {
        container::one_of(spec, "preemptionPolicy", &["PreemptLowerPriority", "Never"], path, errors);
    }
    resources::overhead(spec, &path.child("overhead"), errors);
    windows::operating_system(spec, path, errors);
    environment::file_volumes(spec, path, errors);
}

/// A name that may be absent.
fn named(parent: &Value, field: &str, format: meta::NameFormat, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let name = text(parent, field);
    if !name.is_empty() {
        invalid_each(errors, &path.child(field), name, format(name));
    }
}

/// A name that takes the place of the one that the pod's own name gives.
fn host_name(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(name) = spec.get("hostnameOverride").and_then(Value::as_str) else { return };
    let override_path = path.child("hostnameOverride");
    for field in ["setHostnameAsFQDN", "hostNetwork"] {
        if is_set(spec, field) {
            let detail = format!("may not be specified when {field} is true");
            errors.push(FieldError::forbidden(&override_path, detail));
        }
    }
    if name.len() > 64 {
        errors.push(FieldError::too_long(&override_path, 64));
    }
    invalid_each(errors, &override_path, name, names::dns1123_subdomain(name));
}

fn resource_claims(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = std::collections::HashSet::new();
    for (index, claim) in list(spec, "resourceClaims").iter().enumerate() {
        let path = path.index(index);
        let name = text(claim, "name");
        if name.is_empty() {
            errors.push(FieldError::required(&path.child("name"), ""));
        } else if !seen.insert(name) {
            errors.push(FieldError::duplicate_str(&path.child("name"), name));
        } else {
            invalid_each(errors, &path.child("name"), name, names::dns1123_label(name));
        }
        let fields = ["resourceClaimName", "resourceClaimTemplateName"];
        let detail = match fields.iter().filter(|field| claim.get(**field).is_some_and(Value::is_string)).count() {
            0 => "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            1 => "",
            _ => "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
        };
        if !detail.is_empty() {
            errors.push(FieldError::invalid_printed(&path, internal::compact("PodResourceClaim", claim), detail));
        }
        for field in fields {
            if let Some(name) = claim.get(field).and_then(Value::as_str) {
                invalid_each(errors, &path.child(field), name, names::dns1123_subdomain(name));
            }
        }
    }
}

fn host_network_ports(spec: &Value, is_pod: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !is_set(spec, "hostNetwork") {
        return;
    }
    for (index, container) in list(spec, "containers").iter().enumerate() {
        let path = path.index(index);
        let path = path.child("ports");
        for (index, port) in list(container, "ports").iter().enumerate() {
            let host = int(port, "hostPort").unwrap_or(0);
            if (is_pod || host != 0) && host != int(port, "containerPort").unwrap_or(0) {
                let path = path.index(index);
                let detail = "must match `containerPort` when `hostNetwork` is true";
                errors.push(FieldError::invalid(&path.child("hostPort"), &Value::from(host), detail));
            }
        }
    }
}

fn dns_config(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let config = object(spec, "dnsConfig");
    let servers_path = path.child("nameservers");
    if text(spec, "dnsPolicy") == "None" {
        let Some(config) = config else {
            errors.push(FieldError::required(path, "must provide `dnsConfig` when `dnsPolicy` is None"));
            return;
        };
        if list(config, "nameservers").is_empty() {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            errors.push(FieldError::required(&servers_path, detail));
            return;
        }
    }
    let Some(config) = config else { return };
    let servers = list(config, "nameservers");
    if servers.len() > 3 {
        let detail = "must not have more than 3 nameservers";
        errors.push(FieldError::invalid(&servers_path, sub(config, "nameservers"), detail));
    }
    for (index, server) in servers.iter().enumerate() {
        ip(server.as_str().unwrap_or_default(), &servers_path.index(index), errors);
    }
    let searches = list(config, "searches");
    let searches_path = path.child("searches");
    if searches.len() > 32 {
        let detail = "must not have more than 32 search paths";
        errors.push(FieldError::invalid(&searches_path, sub(config, "searches"), detail));
    }
    let length: usize = searches.iter().map(|search| search.as_str().map_or(0, str::len) + 1).sum();
    if length > 2049 {
        let detail = "must not have more than 2048 characters (including spaces) in the search list";
        errors.push(FieldError::invalid(&searches_path, sub(config, "searches"), detail));
    }
    for (index, search) in searches.iter().enumerate() {
        let search = search.as_str().unwrap_or_default();
        if search != "." {
            let search = search.strip_suffix('.').unwrap_or(search);
            let messages = names::dns1123_subdomain_with_underscore(search);
            invalid_each(errors, &searches_path.index(index), search, messages);
        }
    }
    let options = path.child("options");
    for (index, option) in list(config, "options").iter().enumerate() {
        if text(option, "name").is_empty() {
            errors.push(FieldError::required(&options.index(index), "must not be empty"));
        }
    }
}

/// An IP address.
pub(crate) fn ip(address: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match names::ip(address) {
        names::Ip::Good(_) => {}
        names::Ip::LeadingZeros(_) => {
            errors.push(FieldError::invalid_str(path, address, "must not have leading 0s"));
        }
        names::Ip::Mapped(_) => {
            errors.push(FieldError::invalid_str(path, address, "must not be an IPv4-mapped IPv6 address"));
        }
        names::Ip::None => {
            let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            errors.push(FieldError::invalid_str(path, address, detail));
        }
    }
}

fn host_users(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if flag(spec, "hostUsers").unwrap_or(true) {
        return;
    }
    for (field, printed) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if is_set(spec, field) {
            errors.push(FieldError::forbidden(&path.child(printed), "when `hostUsers` is false"));
        }
    }
    container::each(spec, path, &mut |container, path| {
        if !list(container, "volumeDevices").is_empty() {
            errors.push(FieldError::forbidden(&path.child("volumeDevices"), "when `hostUsers` is false"));
        }
    });
}

fn host_aliases(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (index, alias) in list(spec, "hostAliases").iter().enumerate() {
        let path = path.index(index);
        ip(text(alias, "ip"), &path.child("ip"), errors);
        let names_path = path.child("hostnames");
        for (index, name) in list(alias, "hostnames").iter().enumerate() {
            let name = name.as_str().unwrap_or_default();
            invalid_each(errors, &names_path.index(index), name, names::dns1123_subdomain(name));
        }
    }
}
