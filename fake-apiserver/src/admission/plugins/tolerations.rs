//! DefaultTolerationSeconds and TaintNodesByCondition.

use apimachinery::value::{Value, json};

use super::super::attributes::{Attributes, Operation};
use super::super::cluster::Cluster;
use super::super::rejection::Rejection;
use super::pod;

const SECONDS: u32 = 300;

/// Pods tolerate nodes that are not ready or unreachable for 300 seconds, unless they say otherwise.
pub(crate) fn tolerate(_cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    let written = matches!(attributes.operation, Operation::Create | Operation::Update);
    if !attributes.is_for("", "pods") || !written {
        return Ok(());
    }
    let spec = attributes.object.as_mut().and_then(|object| object.get_mut("spec")).and_then(Value::as_object_mut);
    let Some(tolerations) = spec.and_then(|spec| {
        let missing: Vec<_> = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
            .into_iter()
            .filter(|key| !covers(spec.get("tolerations"), key))
            .collect();
        if missing.is_empty() { None } else { pod::list(spec, "tolerations").map(|list| (list, missing)) }
    }) else {
        return Ok(());
    };
    let (list, missing) = tolerations;
    for key in missing {
        list.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}));
    }
    Ok(())
}

fn covers(tolerations: Option<&Value>, key: &str) -> bool {
    let any = |value: &Value, text: &str| value.is_null() || value == "" || value == text;
    tolerations.and_then(Value::as_array).is_some_and(|list| {
        list.iter().any(|toleration| any(&toleration["key"], key) && any(&toleration["effect"], "NoExecute"))
    })
}

/// New nodes start as not ready.
pub(crate) fn taint_node(_cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    if !attributes.is_for("", "nodes") || attributes.operation != Operation::Create {
        return Ok(());
    }
    let Some(node) = attributes.object.as_mut().and_then(Value::as_object_mut) else { return Ok(()) };
    let spec = node.entry("spec").or_insert_with(|| json!({}));
    let Some(taints) = spec.as_object_mut().and_then(|spec| pod::list(spec, "taints")) else { return Ok(()) };
    let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
    let there = |one: &Value| one["key"] == taint["key"] && one["effect"] == taint["effect"];
    if !taints.iter().any(there) {
        taints.push(taint);
    }
    Ok(())
}
