//! Which nodes a DaemonSet's pods belong on, and how a pod is bound to its node.

use apimachinery::value::{Value, json};

use crate::controllers::view::{flag, items, labels, map_mut, name, text};

/// Tolerations that every daemon pod has: key and effect.
const TOLERATIONS: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
/// And those on the host's network also this one.
const HOST_NETWORK: (&str, &str) = ("node.kubernetes.io/network-unavailable", "NoSchedule");

/// Adds the tolerations of daemon pods, unless they are there.
pub(super) fn tolerate(spec: &mut Value) {
    let host_network = flag(spec, "/hostNetwork");
    let mut tolerations = items(spec, "/tolerations").to_vec();
    for (key, effect) in TOLERATIONS.into_iter().chain(host_network.then_some(HOST_NETWORK)) {
        let toleration = json!({ "key": key, "operator": "Exists", "effect": effect });
        let same = |other: &Value| {
            ["key", "operator", "effect"].iter().all(|field| other[*field] == toleration[*field])
                && text(other, "/value").is_empty()
        };
        match tolerations.iter_mut().find(|other| same(other)) {
            Some(other) => *other = toleration,
            None => tolerations.push(toleration),
        }
    }
    spec["tolerations"] = tolerations.into();
}

/// Makes the scheduler bind the pod to this node: required node affinity to its name, in place of whatever was required.
pub(super) fn bind_to(spec: &mut Value, node: &str) {
    let term = json!({ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": [node] }] });
    if let Some(affinity) = map_mut(spec, "affinity") {
        let node_affinity = affinity.entry("nodeAffinity").or_insert(Value::Null);
        if !node_affinity.is_object() {
            *node_affinity = json!({});
        }
        node_affinity["requiredDuringSchedulingIgnoredDuringExecution"] = json!({ "nodeSelectorTerms": [term] });
    }
}

/// The node that a pod is on, or is bound to.
pub(in crate::controllers) fn node_of(pod: &Value) -> Option<&str> {
    let on = text(pod, "/spec/nodeName");
    if !on.is_empty() {
        return Some(on);
    }
    let required = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let terms = items(pod, required).iter();
    let mut fields = terms.flat_map(|term| items(term, "/matchFields"));
    let field = fields.find(|field| field["key"] == "metadata.name" && field["operator"] == "In")?;
    match items(field, "/values") {
        [Value::String(node)] => Some(node),
        _ => None,
    }
}

/// Whether a pod of this spec (tolerations included) should be on the node, and whether one that is there may stay.
pub(in crate::controllers) fn fits(spec: &Value, node: &Value) -> (bool, bool) {
    let wanted = text(spec, "/nodeName");
    if !(wanted.is_empty() || wanted == name(node)) || !selects(spec, node) {
        return (false, false);
    }
    let taints = items(node, "/spec/taints");
    let bears = |effect: &str| {
        taints
            .iter()
            .filter(|taint| taint["effect"] == effect)
            .all(|taint| items(spec, "/tolerations").iter().any(|toleration| tolerates(toleration, taint)))
    };
    let stays = bears("NoExecute");
    (stays && bears("NoSchedule"), stays)
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let effect = text(toleration, "/effect");
    let key = text(toleration, "/key");
    if !(effect.is_empty() || effect == text(taint, "/effect")) || !(key.is_empty() || key == text(taint, "/key")) {
        return false;
    }
    text(toleration, "/operator") == "Exists" || text(toleration, "/value") == text(taint, "/value")
}

/// nodeSelector and required node affinity.
fn selects(spec: &Value, node: &Value) -> bool {
    let have = labels(node);
    let selected = spec.get("nodeSelector").and_then(Value::as_object);
    if !selected.is_none_or(|wanted| wanted.iter().all(|(key, value)| have.get(key) == Some(value))) {
        return false;
    }
    let required = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    let Some(required) = spec.pointer(required).filter(|required| !required.is_null()) else { return true };
    items(required, "/nodeSelectorTerms").iter().any(|term| {
        let (expressions, fields) = (items(term, "/matchExpressions"), items(term, "/matchFields"));
        // A term without requirements selects nothing.
        !(expressions.is_empty() && fields.is_empty())
            && expressions.iter().all(|one| meets(one, have.get(text(one, "/key")).and_then(Value::as_str)))
            && fields.iter().all(|one| meets(one, (one["key"] == "metadata.name").then(|| name(node))))
    })
}

fn meets(requirement: &Value, value: Option<&str>) -> bool {
    let values = items(requirement, "/values");
    let listed = || value.is_some_and(|value| values.iter().any(|listed| listed == value));
    let compare = |accept: fn(i64, i64) -> bool| {
        let bound = values.first().and_then(Value::as_str).and_then(|bound| bound.parse().ok());
        let value = value.and_then(|value| value.parse().ok());
        value.zip(bound).is_some_and(|(value, bound)| accept(value, bound))
    };
    match text(requirement, "/operator") {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compare(|value, bound| value > bound),
        "Lt" => compare(|value, bound| value < bound),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(taints: Value) -> Value {
        json!({ "metadata": { "name": "n1", "labels": { "zone": "a", "cpus": "8" } }, "spec": { "taints": taints } })
    }

    fn spec(extra: Value) -> Value {
        let mut spec = extra;
        tolerate(&mut spec);
        spec
    }

    #[test]
    fn daemon_pods_bear_a_node_in_trouble() {
        let sick = json!([{ "key": "node.kubernetes.io/not-ready", "effect": "NoExecute" }]);
        assert_eq!(fits(&spec(json!({})), &node(sick)), (true, true));
        let reserved = json!([{ "key": "dedicated", "value": "x", "effect": "NoSchedule" }]);
        assert_eq!(fits(&spec(json!({})), &node(reserved.clone())), (false, true), "who is there may stay");
        let own = json!({ "tolerations": [{ "key": "dedicated", "operator": "Equal", "value": "x" }] });
        assert_eq!(fits(&spec(own), &node(reserved)), (true, true));
        let evicting = json!([{ "key": "gone", "effect": "NoExecute" }]);
        assert_eq!(fits(&spec(json!({})), &node(evicting)), (false, false));
    }

    #[test]
    fn host_network_adds_a_toleration_at_the_end() {
        let spec = spec(json!({ "hostNetwork": true, "tolerations": [{ "key": "mine", "operator": "Exists" }] }));
        let keys: Vec<_> = items(&spec, "/tolerations").iter().map(|one| text(one, "/key")).collect();
        assert_eq!(keys.len(), 8);
        assert_eq!((keys[0], keys[7]), ("mine", "node.kubernetes.io/network-unavailable"));
    }

    #[test]
    fn selectors_choose_nodes() {
        let fits = |spec: Value| fits(&spec, &node(json!([]))).0;
        assert!(fits(json!({ "nodeSelector": { "zone": "a" } })));
        assert!(!fits(json!({ "nodeSelector": { "zone": "b" } })));
        assert!(!fits(json!({ "nodeName": "n2" })));
        let required = |terms: Value| {
            let required = json!({ "nodeSelectorTerms": terms });
            json!({ "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": required } } })
        };
        assert!(fits(required(
            json!([{ "matchExpressions": [{ "key": "cpus", "operator": "Gt", "values": ["4"] }] }])
        )));
        assert!(!fits(required(json!([{}]))));
        assert!(fits(required(
            json!([{}, { "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["n1"] }] }])
        )));
    }

    #[test]
    fn a_pod_is_bound_to_its_node() {
        let mut spec = json!({ "affinity": { "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [{ "matchExpressions": [] }] },
            "preferredDuringSchedulingIgnoredDuringExecution": [1],
        }, "podAffinity": 2 } });
        bind_to(&mut spec, "n1");
        assert_eq!(node_of(&json!({ "spec": spec })), Some("n1"));
        assert_eq!(spec["affinity"]["podAffinity"], 2);
        assert_eq!(spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"], json!([1]));
    }
}
