//! What is in a cluster before anybody has touched it.

mod roles;

use apimachinery::value::{Value, json};

use super::namespaces;
use crate::core::Shared;
use crate::registry::create::put_in_place;

/// The namespaces that every cluster has.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Controllers whose service accounts the fake acts with.
const CONTROLLERS: [&str; 3] = ["namespace-controller", "root-ca-cert-publisher", "service-account-controller"];

/// Puts everything in place.
pub(crate) fn fill(core: &Shared) {
    for name in NAMESPACES {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}, "managedFields": [managed(
                core, "kube-apiserver", "v1", &json!({"f:metadata": {"f:labels": {".": {}, "f:kubernetes.io/metadata.name": {}}}}),
            )]},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        put_in_place(core, "namespaces", namespace);
        put_in_place(core, "serviceaccounts", namespaces::default_account(name));
        let mut certificate = namespaces::root_certificate(core, name);
        let fields = json!({
            "f:data": {".": {}, "f:ca.crt": {}},
            "f:metadata": {"f:annotations": {".": {}, "f:kubernetes.io/description": {}}},
        });
        certificate["metadata"]["managedFields"] = json!([managed(core, "kube-controller-manager", "v1", &fields)]);
        put_in_place(core, "configmaps", certificate);
    }
    for name in CONTROLLERS {
        let mut account = namespaces::default_account("kube-system");
        account["metadata"]["name"] = name.into();
        put_in_place(core, "serviceaccounts", account);
    }
    for (name, value, description) in [
        (
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
        (
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
    ] {
        let fields = json!({"f:description": {}, "f:preemptionPolicy": {}, "f:value": {}});
        let class = json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": name, "generation": 1, "managedFields": [managed(core, "kube-apiserver", "scheduling.k8s.io/v1", &fields)]},
            "value": value, "description": description, "preemptionPolicy": "PreemptLowerPriority",
        });
        put_in_place(core, "priorityclasses.scheduling.k8s.io", class);
    }
    put_in_place(core, "services", kubernetes_service(core));
    api_services(core);
    identity_lease(core);
    roles::fill(core);
}

/// One entry of managedFields.
fn managed(core: &Shared, manager: &str, api_version: &str, fields: &Value) -> Value {
    json!({
        "manager": manager, "operation": "Update", "apiVersion": api_version, "time": core.clock.now().rfc3339(),
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    })
}

fn kubernetes_service(core: &Shared) -> Value {
    let port = core.address.get().map_or(6443, std::net::SocketAddr::port);
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}],
            "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "type": "ClusterIP", "sessionAffinity": "None",
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster",
        },
        "status": {"loadBalancer": {}},
    })
}

/// The APIService of each group version that is served.
fn api_services(core: &Shared) {
    let now = core.clock.now().rfc3339();
    let kinds = core.registry.kinds();
    for served in &kinds.group_versions {
        let name = format!("{}.{}", served.version, served.group);
        let (group_priority, version_priority) = priorities(&served.group, &served.version);
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:kube-aggregator.kubernetes.io/automanaged": {}}},
            "f:spec": {"f:groupPriorityMinimum": {}, "f:version": {}, "f:versionPriority": {}},
        });
        let mut spec = json!({"version": &*served.version, "groupPriorityMinimum": group_priority, "versionPriority": version_priority});
        let mut tracked = fields;
        if !served.group.is_empty() {
            spec["group"] = (*served.group).into();
            tracked["f:spec"]["f:group"] = json!({});
        }
        let service = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {
                "name": if served.group.is_empty() { format!("{}.", served.version) } else { name },
                "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"},
                "managedFields": [managed(core, "kube-apiserver", "apiregistration.k8s.io/v1", &tracked)],
            },
            "spec": spec,
            "status": {"conditions": [{
                "type": "Available", "status": "True", "lastTransitionTime": now, "reason": "Local",
                "message": "Local APIServices are always available",
            }]},
        });
        put_in_place(core, "apiservices.apiregistration.k8s.io", service);
    }
}

/// The order in which groups are preferred.
fn priorities(group: &str, version: &str) -> (i64, i64) {
    match (group, version) {
        ("", _) => (18_000, 1),
        ("apiregistration.k8s.io", _) => (18_000, 15),
        ("apps", _) => (17_800, 15),
        ("events.k8s.io", _) => (17_750, 15),
        ("authentication.k8s.io", _) => (17_700, 15),
        ("authorization.k8s.io", _) => (17_600, 15),
        ("autoscaling", "v2") => (17_500, 30),
        ("autoscaling", _) => (17_500, 15),
        ("batch", _) => (17_400, 15),
        ("certificates.k8s.io", _) => (17_300, 15),
        ("networking.k8s.io", _) => (17_200, 15),
        ("policy", _) => (17_100, 15),
        ("rbac.authorization.k8s.io", _) => (17_000, 15),
        ("storage.k8s.io", _) => (16_800, 15),
        ("apiextensions.k8s.io", _) => (16_700, 15),
        ("admissionregistration.k8s.io", _) => (16_700, 15),
        ("scheduling.k8s.io", _) => (16_600, 15),
        ("coordination.k8s.io", _) => (16_500, 15),
        ("node.k8s.io", _) => (16_300, 15),
        ("discovery.k8s.io", _) => (16_200, 15),
        _ => (16_100, 15),
    }
}

/// The lease by which the servers of a cluster know each other, as the server itself writes it.
fn identity_lease(core: &Shared) {
    use sha2::Digest as _;
    const API: &str = "coordination.k8s.io/v1";
    // An hour, as kube-apiserver has it.
    const SECONDS: i64 = 3600;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "localhost" } else { host.trim() };
    // The hash is over both words, each behind its length (`api-basics/table-leases`, recorded on a host called `vm`).
    let mut digest = sha2::Sha256::new();
    for word in [host, "kube-apiserver"] {
        digest.update(u16::try_from(word.len()).unwrap_or(u16::MAX).to_be_bytes());
        digest.update(word);
    }
    let name = format!("apiserver-{}", base32(&digest.finalize()[..16]));
    let fields = json!({
        "f:metadata": {
            "f:annotations": {".": {}, "f:kubernetes.io/peer-advertise-address": {}},
            "f:labels": {".": {}, "f:apiserver.kubernetes.io/identity": {}, "f:kubernetes.io/hostname": {}},
        },
        "f:spec": {"f:holderIdentity": {}, "f:leaseDurationSeconds": {}, "f:renewTime": {}},
    });
    let address = core.address.get().map(ToString::to_string).unwrap_or_default();
    let lease = json!({
        "apiVersion": API, "kind": "Lease",
        "metadata": {
            "name": name, "namespace": "kube-system",
            "labels": {"apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": host},
            "annotations": {"kubernetes.io/peer-advertise-address": address},
            "managedFields": [managed(core, "kube-apiserver", API, &fields)],
        },
        "spec": {
            "holderIdentity": format!("{name}_{}", core.random.uid()),
            "leaseDurationSeconds": SECONDS,
            "renewTime": core.clock.now().rfc3339_micro(),
        },
    });
    put_in_place(core, "leases.coordination.k8s.io", lease);
}

/// RFC 4648 in lower case, without padding.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::new();
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(LETTERS[(buffer >> bits) as usize & 31]));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(LETTERS[(buffer << (5 - bits)) as usize & 31]));
    }
    text
}
