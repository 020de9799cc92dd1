//! Disruption budgets, as evictions respect them.

use serde_json::{Value, json};

use crate::admission::Rejection;
use crate::core::Core;
use crate::store::Object;

/// Why a pod may not be evicted now (`operations/eviction-blocked-by-pdb`).
pub(super) fn refusal(core: &Core, namespace: &str, pod: &Object) -> Option<Rejection> {
    let phase = pod.value()["status"]["phase"].as_str().unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed" | "Pending" | "") || pod.metadata().contains_key("deletionTimestamp") {
        return None;
    }
    let (budgets, _) = core.store.list("poddisruptionbudgets.policy", namespace);
    let mut matching = budgets.iter().filter(|budget| {
        let selector = &budget.value()["spec"]["selector"];
        apimachinery::labels::Selector::from_label_selector(selector)
            .is_ok_and(|selector| selector.matches(pod.labels()))
    });
    let budget = matching.next()?;
    if matching.next().is_some() {
        return Some(Rejection::internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        ));
    }
    let state = State::of(core, namespace, budget.value());
    if state.current > state.desired {
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

/// How many of a budget's pods are healthy, and how many must be.
struct State {
    current: i64,
    desired: i64,
}

impl State {
    fn of(core: &Core, namespace: &str, budget: &Value) -> State {
        let selector = apimachinery::labels::Selector::from_label_selector(&budget["spec"]["selector"]);
        let pods = core.store.list("pods", namespace).0;
        let selected: Vec<_> =
            pods.iter().filter(|pod| selector.as_ref().is_ok_and(|selector| selector.matches(pod.labels()))).collect();
        let healthy = selected.iter().filter(|pod| {
            let mut conditions = pod.value()["status"]["conditions"].as_array().into_iter().flatten();
            conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        });
        let current = i64::try_from(healthy.count()).unwrap_or(i64::MAX);
        let expected = i64::try_from(selected.len()).unwrap_or(i64::MAX);
        let spec = &budget["spec"];
        let desired = match (&spec["minAvailable"], &spec["maxUnavailable"]) {
            (Value::Null, Value::Null) => 0,
            (Value::Null, most) => expected - scaled(most, expected),
            (least, _) => scaled(least, expected),
        };
        State { current, desired }
    }
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
