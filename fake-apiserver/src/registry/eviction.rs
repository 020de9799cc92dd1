//! Disruption budgets, as evictions respect them.

use std::collections::BTreeSet;
use std::sync::Arc;

use apimachinery::labels::Selector;
use apimachinery::value::{Value, json};

use crate::admission::Rejection;
use crate::core::Core;
use crate::store::{Object, Store};

/// Why a pod may not be evicted now (`operations/eviction-blocked-by-pdb`).
pub(super) fn refusal(core: &Core, namespace: &str, pod: &Object) -> Option<Rejection> {
    let phase = pod.value()["status"]["phase"].as_str().unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed" | "Pending" | "") || pod.metadata().contains_key("deletionTimestamp") {
        return None;
    }
    let (budgets, _) = core.store.list("poddisruptionbudgets.policy", namespace);
    let mut matching = budgets.iter().filter(|budget| {
        let selector = &budget.value()["spec"]["selector"];
        Selector::from_label_selector(selector).is_ok_and(|selector| selector.matches(pod.labels()))
    });
    let budget = matching.next()?;
    if matching.next().is_some() {
        return Some(Rejection::internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        ));
    }
    let state = Budget::of(&core.store, budget).0;
    // A pod that is not ready takes nothing away (`spec.unhealthyPodEvictionPolicy`).
    let spared = match budget.value()["spec"]["unhealthyPodEvictionPolicy"].as_str() {
        Some("AlwaysAllow") => true,
        _ => state.current >= state.desired && state.desired > 0,
    };
    if state.allowed() > 0 || (spared && !is_healthy(pod)) {
        return None;
    }
    let message = format!(
        "The disruption budget {} needs {} healthy pods and has {} currently",
        budget.name(),
        state.desired,
        state.current
    );
    let mut rejection =
        Rejection::new(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.");
    rejection.status["details"] = json!({"causes": [{"reason": "DisruptionBudget", "message": message}]});
    Some(rejection)
}

/// What a PodDisruptionBudget comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// How many of its pods are healthy.
    pub(crate) current: i64,
    /// How many have to be.
    pub(crate) desired: i64,
    /// How many there should be.
    pub(crate) expected: i64,
}

impl Budget {
    /// How many may be evicted now.
    pub(crate) fn allowed(&self) -> i64 {
        if self.expected > 0 { (self.current - self.desired).max(0) } else { 0 }
    }

    /// Counts a budget's pods; and whether there are any without a controller where its replicas are needed.
    pub(crate) fn of(store: &Store, budget: &Object) -> (Budget, bool) {
        let spec = &budget.value()["spec"];
        let Ok(selector) = Selector::from_label_selector(&spec["selector"]) else {
            return (Budget { current: 0, desired: 0, expected: 0 }, false);
        };
        let mut pods = store.list("pods", budget.namespace()).0;
        pods.retain(|pod| selector.matches(pod.labels()));
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let current = number(pods.iter().filter(|pod| is_healthy(pod)).count());
        let (desired, expected, unmanaged) = match (&spec["minAvailable"], &spec["maxUnavailable"]) {
            (Value::Number(least), _) => (least.as_i64().unwrap_or(0), number(pods.len()), false),
            (Value::Null, Value::Null) => (0, number(pods.len()), false),
            (Value::Null, most) => {
                let (expected, unmanaged) = replicas(store, &pods);
                ((expected - scaled(most, expected)).max(0), expected, unmanaged)
            }
            (least, _) => {
                let (expected, unmanaged) = replicas(store, &pods);
                (scaled(least, expected), expected, unmanaged)
            }
        };
        (Budget { current, desired, expected }, unmanaged)
    }
}

/// Ready, and not on its way out.
fn is_healthy(pod: &Object) -> bool {
    let mut conditions = pod.value()["status"]["conditions"].as_array().into_iter().flatten();
    !pod.metadata().contains_key("deletionTimestamp")
        && conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn controller(object: &Value) -> Option<&Value> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)
}

/// How many replicas the controllers of these pods are to have, and whether a pod has none that says.
fn replicas(store: &Store, pods: &[Arc<Object>]) -> (i64, bool) {
    let mut seen = BTreeSet::new();
    let (mut total, mut unmanaged) = (0, false);
    for pod in pods {
        let scale = controller(pod.value()).and_then(|owner| {
            let table = match owner["kind"].as_str()? {
                "ReplicaSet" => "replicasets.apps",
                "ReplicationController" => "replicationcontrollers",
                "StatefulSet" => "statefulsets.apps",
                _ => return None,
            };
            let set = store.get(table, pod.namespace(), owner["name"].as_str()?)?;
            let deployment = controller(set.value()).filter(|owner| owner["kind"] == "Deployment");
            let deployment =
                deployment.and_then(|owner| store.get("deployments.apps", pod.namespace(), owner["name"].as_str()?));
            let scaled = deployment.unwrap_or(set);
            Some((scaled.meta("uid").to_owned(), scaled.value()["spec"]["replicas"].as_i64().unwrap_or(1)))
        });
        let Some((uid, replicas)) = scale else {
            unmanaged = true;
            continue;
        };
        if seen.insert(uid) {
            total += replicas;
        }
    }
    (total, unmanaged)
}

/// A number, or a percentage of the total, rounded up.
fn scaled(value: &Value, total: i64) -> i64 {
    match value {
        Value::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            total.saturating_mul(percent).saturating_add(99) / 100
        }
        other => other.as_i64().unwrap_or(0),
    }
}
