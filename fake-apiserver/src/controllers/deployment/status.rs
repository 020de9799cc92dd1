//! A Deployment's counts and conditions.

use std::sync::Arc;

use apimachinery::value::{List, Value, json};
use tokio::time::Duration;

use super::{DEPLOYMENT, Rollout, replicas};
use crate::controllers::client::Refusal;
use crate::controllers::time;
use crate::controllers::view::{condition, count, flag, int, items, key, map_mut, name, set_count, text};
use crate::store::Object;

const PROGRESSING: &str = "Progressing";
const AVAILABLE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// Puts a condition at the end of the list, unless it says what is there already (status and reason).
fn set_condition(conditions: &mut List, mut next: Value) {
    if let Some(current) = conditions.iter().find(|condition| condition["type"] == next["type"])
        && current["status"] == next["status"]
    {
        if current["reason"] == next["reason"] {
            return;
        }
        next["lastTransitionTime"] = current["lastTransitionTime"].clone();
    }
    conditions.retain(|condition| condition["type"] != next["type"]);
    conditions.push(next);
}

fn remove_condition(conditions: &mut List, condition_type: &str) {
    conditions.retain(|condition| condition["type"] != condition_type);
}

fn sum(sets: &[Arc<Object>], field: &str) -> i64 {
    sets.iter().map(|set| count(set.value(), field)).sum()
}

impl Rollout<'_> {
    pub(super) fn condition(&self, condition_type: &str) -> Option<&Value> {
        condition(self.deployment.get("status")?, condition_type)
    }

    fn new_condition(&self, condition_type: &str, status: &str, reason: &str, message: &str) -> Value {
        let now = self.context.now();
        json!({
            "type": condition_type, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": now, "lastUpdateTime": now,
        })
    }

    /// Sets a condition of the Deployment that is about to be written.
    pub(super) fn set_condition(&mut self, condition_type: &str, status: &str, reason: &str, message: &str) {
        let next = self.new_condition(condition_type, status, reason, message);
        let status = self.deployment.get("status").unwrap_or(&Value::Null);
        let mut conditions = List::from(items(status, "/conditions"));
        set_condition(&mut conditions, next);
        if let Some(status) = map_mut(&mut self.deployment, "status") {
            status.insert("conditions".to_owned(), conditions.into());
        }
    }

    /// Writes the Deployment's status and annotations, and goes on with what came of it.
    pub(super) async fn write_deployment(&mut self) -> Result<(), Refusal> {
        self.deployment = self.context.client.update_status(DEPLOYMENT, self.deployment.clone()).await?.into_value();
        Ok(())
    }

    /// A pause and its end are conditions, so that the deadline does not count the pause.
    pub(super) async fn note_pause(&mut self) -> Result<(), Refusal> {
        if !self.has_deadline() {
            return Ok(());
        }
        let reason = self.condition(PROGRESSING).map_or("", |condition| text(condition, "/reason")).to_owned();
        if reason == TIMED_OUT {
            return Ok(());
        }
        let paused = flag(&self.deployment, "/spec/paused");
        let (reason, message) = match (paused, reason == "DeploymentPaused") {
            (true, false) => ("DeploymentPaused", "Deployment is paused"),
            (false, true) => ("DeploymentResumed", "Deployment is resumed"),
            _ => return Ok(()),
        };
        self.set_condition(PROGRESSING, "Unknown", reason, message);
        self.write_deployment().await
    }

    /// Counts, and whether enough is available.
    fn counts(&self, all: &[Arc<Object>], new: Option<&Arc<Object>>) -> (Value, List) {
        let old_status = self.deployment.get("status").unwrap_or(&Value::Null);
        let mut status = json!({});
        let total: i64 = all.iter().map(|set| replicas(set.value())).sum();
        let available = sum(all, "/status/availableReplicas");
        set_count(&mut status, "observedGeneration", count(&self.deployment, "/metadata/generation"));
        set_count(&mut status, "replicas", sum(all, "/status/replicas"));
        set_count(&mut status, "updatedReplicas", new.map_or(0, |new| count(new.value(), "/status/replicas")));
        set_count(&mut status, "readyReplicas", sum(all, "/status/readyReplicas"));
        set_count(&mut status, "availableReplicas", available);
        set_count(&mut status, "unavailableReplicas", (total - available).max(0));
        if let Some(collisions) = int(old_status, "/collisionCount") {
            status["collisionCount"] = collisions.into();
        }
        if all.iter().any(|set| int(set.value(), "/status/terminatingReplicas").is_some()) {
            status["terminatingReplicas"] = sum(all, "/status/terminatingReplicas").into();
        }
        let mut conditions = List::from(items(old_status, "/conditions"));
        let enough = available >= self.wanted() - self.room().unavailable;
        let next = if enough {
            self.new_condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            self.new_condition(
                "Available",
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            )
        };
        set_condition(&mut conditions, next);
        (status, conditions)
    }

    /// Writes counts without judging progress: while paused, while scaling, on the way out.
    pub(super) async fn write_counts(&mut self, new: Option<&Arc<Object>>) -> Result<(), Refusal> {
        let all = self.with_new(new);
        let (status, conditions) = self.counts(&all, new);
        self.write_status(status, conditions).await.map(|_| ())
    }

    /// Writes counts, progress, and the ReplicaSets' failures.
    pub(super) async fn write_rollout_status(&mut self, new: Option<&Arc<Object>>) -> Result<(), Refusal> {
        let all = self.with_new(new);
        let (status, mut conditions) = self.counts(&all, new);
        let current = self.condition(PROGRESSING).cloned();
        if self.has_deadline() {
            let rolled_out = count(&status, "/replicas") == count(&status, "/updatedReplicas")
                && current.as_ref().is_some_and(|current| current["reason"] == AVAILABLE);
            if !rolled_out {
                self.judge_progress(&status, &mut conditions, current.as_ref(), new);
            }
        } else {
            remove_condition(&mut conditions, PROGRESSING);
        }
        match failure(&all, new) {
            Some(failure) => set_condition(&mut conditions, failure),
            None => remove_condition(&mut conditions, "ReplicaFailure"),
        }
        if !self.write_status(status, conditions).await? {
            self.look_again_at_deadline();
        }
        Ok(())
    }

    fn judge_progress(
        &self,
        status: &Value,
        conditions: &mut List,
        current: Option<&Value>,
        new: Option<&Arc<Object>>,
    ) {
        let subject = match new {
            Some(new) => format!("ReplicaSet \"{}\"", new.name()),
            None => format!("Deployment \"{}\"", name(&self.deployment)),
        };
        if self.is_complete(status) {
            let message = format!("{subject} has successfully progressed.");
            set_condition(conditions, self.new_condition(PROGRESSING, "True", AVAILABLE, &message));
        } else if self.is_progressing(status) {
            let message = format!("{subject} is progressing.");
            let mut next = self.new_condition(PROGRESSING, "True", "ReplicaSetUpdated", &message);
            if let Some(current) = current {
                if current["status"] == "True" {
                    next["lastTransitionTime"] = current["lastTransitionTime"].clone();
                }
                // Progress is news even if it reads the same: its time is what the deadline counts from.
                remove_condition(conditions, PROGRESSING);
            }
            set_condition(conditions, next);
        } else if self.is_timed_out(current) {
            let message = format!("{subject} has timed out progressing.");
            set_condition(conditions, self.new_condition(PROGRESSING, "False", TIMED_OUT, &message));
        }
    }

    /// Whether this status says that the rollout is over.
    pub(super) fn is_complete(&self, status: &Value) -> bool {
        let wanted = self.wanted();
        ["/updatedReplicas", "/replicas", "/availableReplicas"].iter().all(|field| count(status, field) == wanted)
            && count(status, "/observedGeneration") >= count(&self.deployment, "/metadata/generation")
    }

    fn is_progressing(&self, status: &Value) -> bool {
        let before = self.deployment.get("status").unwrap_or(&Value::Null);
        let old = |status| count(status, "/replicas") - count(status, "/updatedReplicas");
        let more = |field| count(status, field) > count(before, field);
        more("/updatedReplicas") || old(status) < old(before) || more("/readyReplicas") || more("/availableReplicas")
    }

    fn deadline(&self, current: &Value) -> Option<i64> {
        let since = time::parse(text(current, "/lastUpdateTime"))?;
        Some(since + int(&self.deployment, "/spec/progressDeadlineSeconds")?)
    }

    fn is_timed_out(&self, current: Option<&Value>) -> bool {
        let Some(current) = current else { return false };
        match text(current, "/reason") {
            AVAILABLE => false,
            TIMED_OUT => true,
            _ => self.deadline(current).is_some_and(|deadline| deadline < self.context.seconds()),
        }
    }

    /// Nothing changed: the deadline is the only thing that can still happen by itself.
    fn look_again_at_deadline(&self) {
        let Some(current) = self.condition(PROGRESSING).filter(|_| self.has_deadline()) else { return };
        let reason = text(current, "/reason");
        if reason == TIMED_OUT || self.is_complete(self.deployment.get("status").unwrap_or(&Value::Null)) {
            return;
        }
        if let Some(rest) = self.deadline(current).map(|deadline| deadline - self.context.seconds() + 1) {
            let rest = u64::try_from(rest.max(1)).unwrap_or(1);
            self.queue.add_after(key(&self.deployment), Duration::from_secs(rest));
        }
    }

    /// Writes the status if it is another one; true if so.
    async fn write_status(&mut self, mut status: Value, conditions: List) -> Result<bool, Refusal> {
        status["conditions"] = conditions.into();
        if self.deployment.get("status") == Some(&status) {
            return Ok(false);
        }
        self.deployment["status"] = status;
        self.write_deployment().await?;
        Ok(true)
    }
}

/// The new ReplicaSet's failure to make pods, or any other's, as the Deployment's condition.
fn failure(all: &[Arc<Object>], new: Option<&Arc<Object>>) -> Option<Value> {
    let of = |set: &Arc<Object>| {
        let found = condition(set.value().get("status")?, "ReplicaFailure")?;
        let mut own = found.clone();
        own["lastUpdateTime"] = found["lastTransitionTime"].clone();
        Some(own)
    };
    new.and_then(of).or_else(|| all.iter().find_map(of))
}
