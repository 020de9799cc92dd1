//! What controllers ask about pods.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use apimachinery::value::Value;

use super::time;
use super::view::{condition, count, int, is_deleting, items, text};
use crate::store::Object;

pub(crate) fn phase(pod: &Value) -> &str {
    text(pod, "/status/phase")
}

/// Neither finished nor on its way out.
pub(crate) fn is_active(pod: &Value) -> bool {
    !is_finished(pod) && !is_deleting(pod)
}

pub(crate) fn is_finished(pod: &Value) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Being deleted, and not finished.
pub(crate) fn is_terminating(pod: &Value) -> bool {
    !is_finished(pod) && is_deleting(pod)
}

fn ready_condition(pod: &Value) -> Option<&Value> {
    condition(pod.get("status")?, "Ready")
}

pub(crate) fn is_ready(pod: &Value) -> bool {
    ready_condition(pod).is_some_and(|ready| ready["status"] == "True")
}

/// Since when the pod is ready, in Unix seconds.
fn ready_since(pod: &Value) -> Option<i64> {
    let ready = ready_condition(pod).filter(|ready| ready["status"] == "True")?;
    time::parse(text(ready, "/lastTransitionTime"))
}

/// Ready for at least so many seconds; `now` in Unix seconds.
pub(crate) fn is_available(pod: &Value, min_ready_seconds: i64, now: i64) -> bool {
    is_ready(pod) && (min_ready_seconds == 0 || ready_since(pod).is_some_and(|since| since + min_ready_seconds <= now))
}

/// In how many seconds the pod becomes available if it stays ready; none if it is not ready, or available already.
pub(crate) fn seconds_until_available(pod: &Value, min_ready_seconds: i64, now: i64) -> Option<i64> {
    let rest = ready_since(pod)? + min_ready_seconds - now;
    (rest > 0).then_some(rest)
}

/// The sum of its containers' restarts, the largest of them first: what deletion looks at.
fn restarts(pod: &Value) -> i64 {
    items(pod, "/status/containerStatuses").iter().map(|status| count(status, "/restartCount")).max().unwrap_or(0)
}

fn deletion_cost(pod: &Value) -> i64 {
    super::view::annotation(pod, "controller.kubernetes.io/pod-deletion-cost")
        .and_then(|cost| cost.parse().ok())
        .unwrap_or(0)
}

/// Times as order: none is the latest.
fn later_first(a: Option<i64>, b: Option<i64>) -> Ordering {
    b.unwrap_or(i64::MAX).cmp(&a.unwrap_or(i64::MAX))
}

/// Which of two pods is deleted first when there are too many: not yet on a node, then by phase, readiness, cost, how many
/// of its siblings share its node, how long it is ready, restarts, age (the younger first).
fn deletion_order((a, on_node_a): (&Value, usize), (b, on_node_b): (&Value, usize)) -> Ordering {
    let assigned = |pod: &Value| !text(pod, "/spec/nodeName").is_empty();
    let phase_rank = |pod: &Value| match phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    assigned(a)
        .cmp(&assigned(b))
        .then_with(|| phase_rank(a).cmp(&phase_rank(b)))
        .then_with(|| is_ready(a).cmp(&is_ready(b)))
        .then_with(|| deletion_cost(a).cmp(&deletion_cost(b)))
        .then_with(|| on_node_b.cmp(&on_node_a))
        .then_with(|| later_first(ready_since(a), ready_since(b)))
        .then_with(|| restarts(b).cmp(&restarts(a)))
        .then_with(|| later_first(created(a), created(b)))
}

fn created(pod: &Value) -> Option<i64> {
    time::parse(text(pod, "/metadata/creationTimestamp"))
}

/// The `excess` pods to delete of `pods`. `related` are the pods of the ReplicaSet and its siblings under one Deployment:
/// the more of them share a node, the sooner one of them goes.
pub(crate) fn to_delete(pods: &[Arc<Object>], related: &[Arc<Object>], excess: usize) -> Vec<Arc<Object>> {
    if excess >= pods.len() {
        return pods.to_vec();
    }
    let mut on_node: HashMap<&str, usize> = HashMap::new();
    for pod in related.iter().filter(|pod| is_active(pod.value())) {
        *on_node.entry(text(pod.value(), "/spec/nodeName")).or_default() += 1;
    }
    let rank = |pod: &Object| {
        let node = text(pod.value(), "/spec/nodeName");
        if node.is_empty() { 0 } else { on_node.get(node).copied().unwrap_or(0) }
    };
    let mut ranked: Vec<(usize, &Arc<Object>)> = pods.iter().map(|pod| (rank(pod), pod)).collect();
    ranked.sort_by(|(rank_a, a), (rank_b, b)| deletion_order((a.value(), *rank_a), (b.value(), *rank_b)));
    ranked.into_iter().take(excess).map(|(_, pod)| pod.clone()).collect()
}

/// The grace period of a pod's deletion, if it is being deleted.
pub(crate) fn grace_seconds(pod: &Value) -> Option<i64> {
    int(pod, "/metadata/deletionGracePeriodSeconds")
}
