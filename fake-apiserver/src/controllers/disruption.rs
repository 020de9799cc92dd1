//! PodDisruptionBudgets: how many of their pods may be evicted now.

use std::sync::Arc;

use apimachinery::labels::Selector;
use apimachinery::value::{Value, json};

use super::client::Refusal;
use super::context::Context;
use super::informer::Change;
use super::kinds::{self, Kind};
use super::queue::Queue;
use super::runner::Controller;
use super::view::{condition, count, is_deleting, labels};
use crate::registry::eviction::Budget;

const BUDGET: &Kind = &kinds::POD_DISRUPTION_BUDGET;

/// The controller of their status.
pub(crate) struct Disruptions {
    context: Context,
}

impl Disruptions {
    pub(crate) fn new(context: Context) -> Disruptions {
        Disruptions { context }
    }
}

fn status(budget: &Value, counted: Budget, now: &str) -> Value {
    let allowed = counted.allowed();
    let (flag, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let generation = count(budget, "/metadata/generation");
    let known = condition(&budget["status"], "DisruptionAllowed").filter(|known| known["status"] == flag);
    let since = known.map_or(Value::from(now), |known| known["lastTransitionTime"].clone());
    json!({
        "conditions": [{
            "type": "DisruptionAllowed", "status": flag, "reason": reason, "message": "",
            "lastTransitionTime": since, "observedGeneration": generation,
        }],
        "currentHealthy": counted.current, "desiredHealthy": counted.desired, "disruptionsAllowed": allowed,
        "expectedPods": counted.expected, "observedGeneration": generation,
    })
}

impl Controller for Disruptions {
    const NAME: &'static str = "disruption-controller";
    const WORKERS: usize = 1;

    fn follows(&self) -> &'static [&'static Kind] {
        // The replicas that are wanted show in the pods soon after.
        &[BUDGET, &kinds::POD, &kinds::REPLICA_SET, &kinds::STATEFUL_SET]
    }

    fn observe(&self, kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        if kind == BUDGET {
            if !change.deleted {
                queue.add(change.object.key());
            }
            return;
        }
        let pods = *kind == kinds::POD;
        for budget in self.context.cache.list(BUDGET, change.object.namespace()) {
            let selector = Selector::from_label_selector(&budget.value()["spec"]["selector"]);
            let mut states = change.states();
            if selector.is_ok_and(|selector| !pods || states.any(|pod| selector.matches(labels(pod.value())))) {
                queue.add(budget.key());
            }
        }
    }

    async fn sync(&self, key: Arc<str>, _queue: &Queue) -> Result<(), Refusal> {
        let Some(stored) = self.context.cache.by_key(BUDGET, &key) else { return Ok(()) };
        let budget = stored.value();
        if is_deleting(budget) {
            return Ok(());
        }
        let (counted, unmanaged) = Budget::of(self.context.cache.store(), &stored);
        if unmanaged {
            let message = "Pods selected by this PodDisruptionBudget were found to be unmanaged, so its status cannot be counted. Give it an integer as \".spec.minAvailable\".";
            self.context.events.warning(budget, BUDGET, "UnmanagedPods", message.to_owned());
        }
        let status = status(budget, counted, &self.context.now());
        if budget["status"] == status {
            return Ok(());
        }
        self.context.write_status(BUDGET, budget, status).await.map(|_| ())
    }
}
