//! Texts for `Warning` headers about objects that are valid and probably not meant so.

mod overlaps;
mod ports;

use std::collections::HashSet;

use apimachinery::go::quote;
use apimachinery::quantity::Quantity;
use apimachinery::value::Value;

use super::field::Path;
use super::get::{entries, int, list, object, sub, text};
use super::validation::container_each as each;
use super::validation::profiles::{SECCOMP_CONTAINER, SECCOMP_POD};
use super::{Target, names};

/// With so many warnings, pairs of things are compared no further: of n things there are n * n / 2 pairs.
const MOST: usize = 1000;

/// Warnings about an object that was created.
pub(crate) fn created(target: Target<'_>, object: &Value) -> Vec<String> {
    let mut out = match (target.group, target.kind) {
        ("", "Pod") => of_name(object),
        _ => Vec::new(),
    };
    out.extend(warnings(target, object));
    out
}

/// A warning about the name of a new pod.
pub(crate) fn of_name(pod: &Value) -> Vec<String> {
    let trouble = names::dns1123_label(text(sub(pod, "metadata"), "name"));
    if trouble.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [{}]",
        trouble.join(" ")
    )]
}

/// Warnings about an object that was created or changed, in the apiserver's order.
pub(crate) fn warnings(target: Target<'_>, object: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let root = Path::root("spec");
    match (target.group, target.kind) {
        ("", "Pod") => {
            let metadata = Path::root("metadata");
            pod(sub(object, "spec"), sub(object, "metadata"), &root, &metadata, &mut out);
        }
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("", "ReplicationController")
        | ("batch", "Job") => {
            let path = root.child("template");
            template(sub(sub(object, "spec"), "template"), &path, &mut out);
        }
        ("batch", "CronJob") => {
            let path = root.child("jobTemplate");
            let path = path.child("spec");
            let path = path.child("template");
            let job = sub(sub(sub(object, "spec"), "jobTemplate"), "spec");
            template(sub(job, "template"), &path, &mut out);
        }
        ("", "Endpoints") => {
            out.push("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned());
        }
        _ => {}
    }
    out
}

fn template(template: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let (spec, metadata) = (path.child("spec"), path.child("metadata"));
    pod(sub(template, "spec"), sub(template, "metadata"), &spec, &metadata, out);
}

/// Labels of nodes that are no longer to be used.
fn old_node_label(key: &str) -> Option<&'static str> {
    Some(match key {
        "beta.kubernetes.io/arch" => "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os" => "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
        }
        "beta.kubernetes.io/instance-type" => {
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"
        }
        "app.kubernetes.io/created-by" => "deprecated since v1.9",
        "scheduler.alpha.kubernetes.io/preferAvoidPods" => "deprecated since v1.22; use Taints and Tolerations instead",
        "node-role.kubernetes.io/master" => "use \"node-role.kubernetes.io/control-plane\" instead",
        _ => return None,
    })
}

/// Annotations that nobody reads any more.
const OLD_ANNOTATIONS: [(&str, &str, &str); 3] = [
    ("scheduler.alpha.kubernetes.io/critical-pod", "v1.16", "priorityClassName"),
    ("security.alpha.kubernetes.io/sysctls", "v1.11", "sysctls"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "v1.11", "sysctls"),
];

/// Volumes whose drivers are gone or going: the field, the name that the warning gives it, what is said.
const OLD_VOLUMES: [(&str, &str, &str); 9] = [
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

fn pod(spec: &Value, metadata: &Value, path: &Path<'_>, metadata_path: &Path<'_>, out: &mut Vec<String>) {
    let selector = path.child("nodeSelector");
    for (key, _) in entries(spec, "nodeSelector") {
        if let Some(message) = old_node_label(key) {
            out.push(format!("{}: {message}", selector.key(key)));
        }
    }
    node_affinity(spec, path, out);
    let constraints = path.child("topologySpreadConstraints");
    for (index, constraint) in list(spec, "topologySpreadConstraints").iter().enumerate() {
        let path = constraints.index(index);
        let key = text(constraint, "topologyKey");
        if let Some(message) = old_node_label(key) {
            out.push(format!("{}: {key} is {message}", path.child("topologyKey")));
        }
        no_selector(constraint, &path, out);
    }
    let annotations_path = metadata_path.child("annotations");
    let annotations = sub(metadata, "annotations");
    for (key, since, field) in OLD_ANNOTATIONS.iter().filter(|(key, ..)| annotations.get(*key).is_some()) {
        let path = annotations_path.key(key);
        out.push(format!("{path}: non-functional in {since}+; use the \"{field}\" field instead"));
    }
    let volumes = path.child("volumes");
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        let path = volumes.index(index);
        for (at, (field, printed, message)) in OLD_VOLUMES.iter().enumerate() {
            // Claims of ephemeral volumes come between Gluster's and Ceph's.
            if at == 7 {
                claim(volume, &path, out);
            }
            if object(volume, field).is_some() {
                out.push(format!("{}: {message}", path.child(printed)));
            }
        }
    }
    overlaps::files(spec, out);
    let aliases = path.child("hostAliases");
    twice(list(spec, "hostAliases"), "ip", &aliases, out);
    let secrets = path.child("imagePullSecrets");
    twice(list(spec, "imagePullSecrets"), "name", &secrets, out);
    for (index, _) in list(spec, "imagePullSecrets").iter().enumerate().filter(|(_, one)| text(one, "name").is_empty())
    {
        let path = secrets.index(index);
        out.push(format!("{}: invalid empty name \"\"", path.child("name")));
    }
    let overhead = path.child("overhead");
    for name in ["memory", "ephemeral-storage"] {
        fraction(sub(spec, "overhead"), name, &overhead, out);
    }
    seccomp(spec, SECCOMP_POD, annotations, &annotations_path, out);
    each(spec, path, &mut |container, path| self::container(container, annotations, path, &annotations_path, out));
    ports::definitions(spec, path, out);
    ports::names(spec, path, out);
    if int(spec, "terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
        let path = path.child("terminationGracePeriodSeconds");
        out.push(format!("{path}: must be >= 0; negative values are invalid and will be treated as 1"));
    }
    pod_affinity(spec, path, out);
    addresses(spec, path, out);
}

/// An annotation that does nothing where the field does not say the same.
fn seccomp(owner: &Value, key: &str, annotations: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let has_field = object(sub(owner, "securityContext"), "seccompProfile").is_some();
    if !has_field && annotations.get(key).is_some() {
        let path = path.key(key);
        out.push(format!("{path}: non-functional in v1.27+; use the \"seccompProfile\" field instead"));
    }
}

fn node_affinity(spec: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let affinity = sub(sub(spec, "affinity"), "nodeAffinity");
    let path = path.child("affinity");
    let path = path.child("nodeAffinity");
    let required = path.child("requiredDuringSchedulingIgnoredDuringExecution");
    let required = required.child("nodeSelectorTerms");
    let terms = list(sub(affinity, "requiredDuringSchedulingIgnoredDuringExecution"), "nodeSelectorTerms");
    for (index, term) in terms.iter().enumerate() {
        node_term(term, false, &required.index(index), out);
    }
    let preferred = path.child("preferredDuringSchedulingIgnoredDuringExecution");
    for (index, term) in list(affinity, "preferredDuringSchedulingIgnoredDuringExecution").iter().enumerate() {
        let path = preferred.index(index);
        node_term(sub(term, "preference"), true, &path.child("preference"), out);
    }
}

fn node_term(term: &Value, check_values: bool, path: &Path<'_>, out: &mut Vec<String>) {
    let expressions = path.child("matchExpressions");
    for (index, expression) in list(term, "matchExpressions").iter().enumerate() {
        let path = expressions.index(index);
        let key = text(expression, "key");
        if let Some(message) = old_node_label(key) {
            out.push(format!("{}: {key} is {message}", path.child("key")));
        }
        let values = path.child("values");
        for (index, value) in list(expression, "values").iter().enumerate().filter(|_| check_values) {
            let value = value.as_str().unwrap_or_default();
            for message in names::label_value(value) {
                out.push(format!("{}: {value} is invalid, {message}", values.index(index)));
            }
        }
    }
}

fn pod_affinity(spec: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let path = path.child("affinity");
    for kind in ["podAffinity", "podAntiAffinity"] {
        let affinity = sub(sub(spec, "affinity"), kind);
        let path = path.child(kind);
        let required = path.child("requiredDuringSchedulingIgnoredDuringExecution");
        for (index, term) in list(affinity, "requiredDuringSchedulingIgnoredDuringExecution").iter().enumerate() {
            no_selector(term, &required.index(index), out);
        }
        let preferred = path.child("preferredDuringSchedulingIgnoredDuringExecution");
        for (index, term) in list(affinity, "preferredDuringSchedulingIgnoredDuringExecution").iter().enumerate() {
            let path = preferred.index(index);
            no_selector(sub(term, "podAffinityTerm"), &path.child("podAffinityTerm"), out);
        }
    }
}

fn no_selector(term: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    if object(term, "labelSelector").is_none() {
        out.push(format!("{}: a null labelSelector results in matching no pod", path.child("labelSelector")));
    }
}

fn claim(volume: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let template = object(volume, "ephemeral").and_then(|source| object(source, "volumeClaimTemplate"));
    let Some(template) = template else { return };
    let resources = sub(sub(template, "spec"), "resources");
    let path = path.child("ephemeral");
    let path = path.child("volumeClaimTemplate");
    let path = path.child("spec");
    let path = path.child("resources");
    for field in ["requests", "limits"] {
        fraction(sub(resources, field), "storage", &path.child(field), out);
    }
}

/// Things of which there are two with the same value of a field.
fn twice(items: &[Value], field: &str, path: &Path<'_>, out: &mut Vec<String>) {
    let mut seen = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let value = text(item, field);
        if !seen.insert(value) {
            let path = path.index(index);
            out.push(format!("{}: duplicate {field} {}", path.child(field), quote(value)));
        }
    }
}

/// Parts of bytes.
fn fraction(amounts: &Value, name: &str, path: &Path<'_>, out: &mut Vec<String>) {
    let amount = amounts.get(name).and_then(Value::as_str).and_then(Quantity::parse);
    if let Some(amount) = amount.filter(|amount| !amount.is_integer()) {
        out.push(format!("{}: fractional byte value \"{amount}\" is invalid, must be an integer", path.key(name)));
    }
}

fn container(
    container: &Value,
    annotations: &Value,
    path: &Path<'_>,
    annotations_path: &Path<'_>,
    out: &mut Vec<String>,
) {
    let key = format!("{SECCOMP_CONTAINER}{}", text(container, "name"));
    seccomp(container, &key, annotations, annotations_path, out);
    let resources = path.child("resources");
    for name in ["memory", "ephemeral-storage"] {
        for field in ["limits", "requests"] {
            fraction(sub(sub(container, "resources"), field), name, &resources.child(field), out);
        }
    }
    let variables = path.child("env");
    let mut seen = HashSet::new();
    for (index, variable) in list(container, "env").iter().enumerate() {
        let name = text(variable, "name");
        if seen.insert(name) {
            continue;
        }
        // One that is made of the one before is meant so, unless it is nothing else.
        let reference = format!("$({name})");
        let value = text(variable, "value");
        if object(variable, "valueFrom").is_some() || value == reference || !value.contains(&reference) {
            let path = variables.index(index);
            let quoted = quote(name);
            out.push(format!("{path}: hides previous definition of {quoted}, which may be dropped when using apply"));
        }
    }
}

/// Addresses that could be written in a better way.
fn addresses(spec: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let config = path.child("dnsConfig");
    let servers = config.child("nameservers");
    for (index, server) in list(sub(spec, "dnsConfig"), "nameservers").iter().enumerate() {
        address(server.as_str().unwrap_or_default(), &servers.index(index), out);
    }
    let aliases = path.child("hostAliases");
    for (index, alias) in list(spec, "hostAliases").iter().enumerate() {
        let path = aliases.index(index);
        address(text(alias, "ip"), &path.child("ip"), out);
    }
}

fn address(text: &str, path: &Path<'_>, out: &mut Vec<String>) {
    match names::ip(text) {
        names::Ip::None => {}
        names::Ip::LeadingZeros(address) | names::Ip::Mapped(address) => {
            let quoted = quote(text);
            out.push(format!("{path}: non-standard IP address {quoted} is invalid: use \"{address}\""));
        }
        names::Ip::Good(address) => {
            let canonical = address.to_string();
            if address.is_ipv6() && canonical != text {
                let quoted = quote(text);
                out.push(format!(
                    "{path}: IPv6 address {quoted} should be in RFC 5952 canonical format (\"{canonical}\")"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use apimachinery::value::{Value, json};

    use super::{Target, created};

    fn of_pod(name: &str, spec: Value) -> Vec<String> {
        created(Target::new("", "v1", "Pod"), &json!({"metadata": {"name": name}, "spec": spec}))
    }

    #[test]
    fn of_names_selectors_and_volumes() {
        assert_eq!(
            of_pod("a.b", json!({})),
            [
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]"
            ]
        );
        let spec = json!({
            "nodeSelector": {"beta.kubernetes.io/os": "linux"},
            "topologySpreadConstraints": [{"topologyKey": "zone"}],
            "volumes": [
                {"name": "r", "rbd": {}},
                {"name": "c", "configMap": {"name": "m", "items": [{"path": "p"}, {"path": "p/q"}]}},
                {"name": "p", "projected": {"sources": [{}]}},
            ],
            "hostAliases": [{"ip": "FE80::0"}, {"ip": "FE80::0"}],
        });
        assert_eq!(
            of_pod("p", spec),
            [
                "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
                "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
                "spec.volumes[0].rbd: deprecated in v1.28, non-functional in v1.31+",
                "volume \"c\" (ConfigMap \"m\"): overlapping paths: \"p/q\" with \"p\"",
                "volume \"p\" (Projected) has no sources provided",
                "spec.hostAliases[1].ip: duplicate ip \"FE80::0\"",
                "spec.hostAliases[0].ip: IPv6 address \"FE80::0\" should be in RFC 5952 canonical format (\"fe80::\")",
                "spec.hostAliases[1].ip: IPv6 address \"FE80::0\" should be in RFC 5952 canonical format (\"fe80::\")",
            ]
        );
    }

    #[test]
    fn of_containers() {
        let ports = json!([
            {"containerPort": 80, "protocol": "TCP", "name": "a"},
            {"containerPort": 80, "protocol": "TCP", "hostPort": 80},
            {"containerPort": 81, "protocol": "TCP", "hostIP": "1.1.1.1"},
        ]);
        let env = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}, {"name": "A", "value": "3"}]);
        let spec = json!({
            "initContainers": [{"name": "i", "ports": [{"containerPort": 9, "protocol": "TCP", "name": "a"}]}],
            "containers": [{"name": "c", "ports": ports, "env": env, "resources": {"limits": {"memory": "1m"}}}],
        });
        assert_eq!(
            of_pod("p", spec),
            [
                "spec.containers[0].resources.limits[memory]: fractional byte value \"1m\" is invalid, must be an integer",
                "spec.containers[0].env[2]: hides previous definition of \"A\", which may be dropped when using apply",
                "spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]",
                "spec.containers[0].ports[2]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:81 Protocol:TCP HostIP:1.1.1.1}",
                "spec.containers[0].ports[0]: duplicate port name \"a\" with spec.initContainers[0].ports[0], services and probes that select ports by name will use spec.initContainers[0].ports[0]",
            ]
        );
    }

    #[test]
    fn pairs_are_compared_in_bounds() {
        let containers = |ports: Value| json!({"containers": [{"name": "c", "ports": ports}]});
        let same = of_pod("p", containers(vec![json!({"containerPort": 1}); 20_000].into()));
        assert_eq!(same.len(), super::MOST);
        assert_eq!(same[2], "spec.containers[0].ports[2]: duplicate port definition with spec.containers[0].ports[1]");
        // No two of them are in each other's way.
        let ports = (0..20_000).map(|n| json!({"containerPort": 1, "hostPort": n + 1})).collect();
        assert!(of_pod("p", containers(ports)).is_empty());
        let items = |items: Vec<Value>| {
            of_pod(
                "p",
                json!({"volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "m", "items": items}}]}}]}),
            )
        };
        assert_eq!(items(vec![json!({"path": "a"}); 20_000]).len(), super::MOST);
        assert!(items((0..20_000).map(|n| json!({"path": format!("a/{n}")})).collect()).is_empty());
        let long = json!({"path": format!("a/{}", "b/".repeat(200_000))});
        let texts = items(std::iter::repeat_n(json!({"path": "a"}), 20).chain(vec![long; 100]).collect());
        assert!(texts.iter().map(String::len).sum::<usize>() < 3 * 1024 * 1024, "{}", texts.len());
    }

    #[test]
    fn ports_and_files_that_overlap_in_order() {
        let port = |host: i64, address: &str| json!({"containerPort": 1, "hostPort": host, "hostIP": address});
        let ports = [port(1, ""), port(0, ""), port(1, "1.1.1.1"), port(1, "2.2.2.2"), port(1, ""), port(1, "2.2.2.2")];
        let at = |n: usize| format!("spec.containers[0].ports[{n}]");
        let (overlapping, ambiguous, duplicate) = ("overlapping", "dangerously ambiguous", "duplicate");
        let expected = [
            (1, overlapping, 0),
            (2, ambiguous, 0),
            (2, overlapping, 1),
            (3, ambiguous, 0),
            (3, overlapping, 1),
            (4, duplicate, 0),
            (4, overlapping, 1),
            (4, ambiguous, 2),
            (4, ambiguous, 3),
            (5, ambiguous, 0),
            (5, overlapping, 1),
            (5, duplicate, 3),
            (5, ambiguous, 4),
        ];
        let expected =
            expected.map(|(one, what, other)| format!("{}: {what} port definition with {}", at(one), at(other)));
        assert_eq!(of_pod("p", json!({"containers": [{"name": "c", "ports": ports}]})), expected);

        let paths = ["a/b/c", "a!", "a/", "a/b!/c", "ab", "a/b", "a/b/c", "", "a/b/c/d", "é/è", "é"];
        let items = paths.map(|path| json!({"path": path}));
        let spec = json!({"volumes": [{"name": "v", "secret": {"secretName": "s", "items": items}}]});
        let pairs = [(2, 0), (3, 2), (5, 0), (5, 2), (6, 0), (6, 2), (6, 5), (8, 0), (8, 2), (8, 5), (8, 6), (10, 9)];
        let path = |n: usize| paths[n].trim_end_matches('/');
        let expected = pairs.map(|(one, other)| {
            format!("volume \"v\" (Secret \"s\"): overlapping paths: \"{}\" with \"{}\"", path(one), path(other))
        });
        assert_eq!(of_pod("p", spec), expected);
    }
}
