//! Deployments: one ReplicaSet per template, and the way from the old ones to the new one.
//!
//! ```text
//! sync ──► replica_sets   which is the new one (made if need be), revisions, history
//!   ├────► scale          sizes: rolling, all at once, in proportion
//!   └────► status         counts and conditions
//! ```

mod replica_sets;
mod scale;
mod status;

use std::sync::Arc;

use apimachinery::labels::Selector;
use apimachinery::value::Value;

use super::claim::Claim;
use super::client::Refusal;
use super::context::Context;
use super::informer::Change;
use super::kinds::{self, Kind};
use super::pods;
use super::queue::Queue;
use super::rolling::Room;
use super::runner::Controller;
use super::view::{controller_key, controller_of, count, flag, int, is_deleting, text, uid};
use crate::store::Object;

const DEPLOYMENT: &Kind = &kinds::DEPLOYMENT;
const REPLICA_SET: &Kind = &kinds::REPLICA_SET;

/// `progressDeadlineSeconds` of those that have none.
const NO_DEADLINE: i64 = 2_147_483_647;

/// The controller of Deployments.
pub(crate) struct Deployments {
    context: Context,
}

/// One Deployment while it is worked on.
struct Rollout<'a> {
    context: &'a Context,
    queue: &'a Queue,
    /// As it is stored, or as this sync is about to store it.
    deployment: Value,
    /// All ReplicaSets that are claimed, oldest first.
    all: Vec<Arc<Object>>,
}

impl Deployments {
    pub(crate) fn new(context: Context) -> Deployments {
        Deployments { context }
    }

    fn observe_replica_set(&self, change: &Change<'_>, queue: &Queue) {
        for set in change.states() {
            if let Some(owner) = controller_key(set.value(), DEPLOYMENT) {
                queue.add(owner);
            }
        }
        let set = change.object;
        if change.deleted || controller_of(set.value()).is_some() || set.labels().is_empty() {
            return;
        }
        if change
            .previous
            .is_some_and(|previous| previous.labels() == set.labels() && controller_of(previous.value()).is_none())
        {
            return;
        }
        for deployment in self.context.cache.list(DEPLOYMENT, set.namespace()) {
            let selector = deployment.value().pointer("/spec/selector").map(Selector::from_label_selector);
            if selector.is_some_and(|selector| selector.is_ok_and(|selector| selector.matches(set.labels()))) {
                queue.add(deployment.key());
            }
        }
    }

    /// A Deployment that replaces all pods at once waits for the last old one to go.
    fn observe_pod(&self, change: &Change<'_>, queue: &Queue) {
        if !change.deleted {
            return;
        }
        let cache = &self.context.cache;
        let set = controller_key(change.object.value(), REPLICA_SET).and_then(|key| cache.by_key(REPLICA_SET, &key));
        let Some(owner) = set.and_then(|set| controller_key(set.value(), DEPLOYMENT)) else { return };
        if cache.by_key(DEPLOYMENT, &owner).is_some_and(|owner| is_recreate(owner.value())) {
            queue.add(owner);
        }
    }
}

impl Controller for Deployments {
    const NAME: &'static str = "deployment-controller";
    const WORKERS: usize = 5;

    fn follows(&self) -> &'static [&'static Kind] {
        &[&kinds::DEPLOYMENT, &kinds::REPLICA_SET, &kinds::POD]
    }

    fn observe(&self, kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        match kind {
            _ if kind == DEPLOYMENT => queue.add(change.object.key()),
            _ if kind == REPLICA_SET => self.observe_replica_set(change, queue),
            _ => self.observe_pod(change, queue),
        }
    }

    async fn sync(&self, key: Arc<str>, queue: &Queue) -> Result<(), Refusal> {
        let Some(stored) = self.context.cache.by_key(DEPLOYMENT, &key) else { return Ok(()) };
        let deployment = stored.value();
        let Some(Ok(selector)) = deployment.pointer("/spec/selector").map(Selector::from_label_selector) else {
            return Ok(());
        };
        let claim = Claim {
            client: &self.context.client,
            cache: &self.context.cache,
            owner: deployment,
            owner_kind: DEPLOYMENT,
            selector: &selector,
            dependent: REPLICA_SET,
            finalizers: &[],
        };
        let mut all = claim.run(|_| true).await?.objects;
        all.sort_by_cached_key(|set| (set.meta("creationTimestamp").to_owned(), set.name().to_owned()));
        let mut rollout = Rollout { context: &self.context, queue, deployment: deployment.clone(), all };
        rollout.run().await
    }
}

impl Rollout<'_> {
    async fn run(&mut self) -> Result<(), Refusal> {
        if is_deleting(&self.deployment) {
            let new = self.find_new();
            return self.write_counts(new.as_ref()).await;
        }
        self.note_pause().await?;
        if flag(&self.deployment, "/spec/paused") || self.is_scaling() {
            let new = self.new_replica_set(false).await?;
            self.scale_all(new.as_ref()).await?;
            if flag(&self.deployment, "/spec/paused") {
                self.clean_history(new.as_ref()).await?;
            }
            return self.write_counts(new.as_ref()).await;
        }
        if is_recreate(&self.deployment) { self.recreate().await } else { self.roll().await }
    }

    async fn roll(&mut self) -> Result<(), Refusal> {
        let new = self.new_replica_set(true).await?;
        let moved = match &new {
            Some(new) => self.grow_new(new).await? || self.shrink_old(new).await?,
            None => false,
        };
        if !moved && self.is_complete(self.deployment.get("status").unwrap_or(&Value::Null)) {
            self.clean_history(new.as_ref()).await?;
        }
        self.write_rollout_status(new.as_ref()).await
    }

    /// First nothing of the old, then all of the new.
    async fn recreate(&mut self) -> Result<(), Refusal> {
        let new = self.new_replica_set(false).await?;
        let mut moved = false;
        for set in self.old(new.as_ref()) {
            if replicas(set.value()) > 0 {
                moved |= self.resize(&set, 0).await?;
            }
        }
        let old_runs = self.old(new.as_ref()).iter().any(|set| {
            let pods = self.context.cache.owned(&kinds::POD, uid(set.value()));
            pods.iter().any(|pod| !pods::is_finished(pod.value()))
        });
        if moved || old_runs {
            return self.write_rollout_status(new.as_ref()).await;
        }
        let new = match new {
            Some(new) => Some(new),
            None => self.new_replica_set(true).await?,
        };
        if let Some(set) = &new {
            self.resize(set, self.wanted()).await?;
        }
        if self.is_complete(self.deployment.get("status").unwrap_or(&Value::Null)) {
            self.clean_history(new.as_ref()).await?;
        }
        self.write_rollout_status(new.as_ref()).await
    }

    fn wanted(&self) -> i64 {
        int(&self.deployment, "/spec/replicas").unwrap_or(1)
    }

    /// All but the new one.
    fn old(&self, new: Option<&Arc<Object>>) -> Vec<Arc<Object>> {
        let new = new.map_or("", |new| uid(new.value()));
        self.all.iter().filter(|set| uid(set.value()) != new).cloned().collect()
    }

    /// The old ones as they were listed, with the new one as it is now.
    fn with_new(&self, new: Option<&Arc<Object>>) -> Vec<Arc<Object>> {
        let mut all = self.old(new);
        all.extend(new.cloned());
        all
    }

    fn room(&self) -> Room {
        if is_recreate(&self.deployment) {
            return Room { surge: 0, unavailable: 0 };
        }
        let rolling = self.deployment.pointer("/spec/strategy/rollingUpdate").unwrap_or(&Value::Null);
        Room::of(&rolling["maxSurge"], &rolling["maxUnavailable"], self.wanted())
    }

    fn has_deadline(&self) -> bool {
        int(&self.deployment, "/spec/progressDeadlineSeconds").is_some_and(|seconds| seconds != NO_DEADLINE)
    }
}

fn is_recreate(deployment: &Value) -> bool {
    text(deployment, "/spec/strategy/type") == "Recreate"
}

/// `spec.replicas` of a ReplicaSet.
fn replicas(set: &Value) -> i64 {
    count(set, "/spec/replicas")
}
