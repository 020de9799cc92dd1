//! ReplicaSets and ReplicationControllers: so many pods of a template, no more and no fewer.

use std::marker::PhantomData;
use std::sync::Arc;

use apimachinery::labels::Selector;
use apimachinery::value::{Value, json};
use futures_util::future::join_all;
use tokio::time::{Duration, sleep};

use super::claim::{Claim, Claimed};
use super::client::Refusal;
use super::context::Context;
use super::informer::Change;
use super::kinds::{self, Kind};
use super::pods;
use super::queue::Queue;
use super::runner::Controller;
use super::slow_start::slow_start;
use super::template::pod_from_template;
use super::view::{
    condition, controller_key, controller_of, controller_uid, count, int, is_deleting, items, key, set_count, uid,
};
use crate::store::Object;

/// How many pods one sync creates or deletes at most.
const BURST: i64 = 500;

/// After pods were let go, replacements are made this much later. Upstream needs about as long; without it, a webhook that
/// takes the selector's labels away would fill the store as fast as the machine can (`controllers/webhook-removes-selector-label`).
const AFTER_RELEASE: Duration = Duration::from_millis(10);

/// What tells the two kinds apart.
pub(crate) trait Flavour: Send + Sync + 'static {
    /// The component of its events.
    const NAME: &'static str;
    /// Itself and its pods.
    const FOLLOWS: [&'static Kind; 2];
    /// Whether `status.terminatingReplicas` exists.
    const COUNTS_TERMINATING: bool;

    /// The selector of an object, none if it is not valid.
    fn selector(object: &Value) -> Option<Selector>;
}

/// `apps/v1` ReplicaSets.
pub(crate) struct ReplicaSets;

impl Flavour for ReplicaSets {
    const NAME: &'static str = "replicaset-controller";
    const FOLLOWS: [&'static Kind; 2] = [&kinds::REPLICA_SET, &kinds::POD];
    const COUNTS_TERMINATING: bool = true;

    fn selector(object: &Value) -> Option<Selector> {
        Selector::from_label_selector(object.pointer("/spec/selector")?).ok()
    }
}

/// `v1` ReplicationControllers.
pub(crate) struct ReplicationControllers;

impl Flavour for ReplicationControllers {
    const NAME: &'static str = "replication-controller";
    const FOLLOWS: [&'static Kind; 2] = [&kinds::REPLICATION_CONTROLLER, &kinds::POD];
    const COUNTS_TERMINATING: bool = false;

    fn selector(object: &Value) -> Option<Selector> {
        let labels = object.pointer("/spec/selector")?.as_object().filter(|labels| !labels.is_empty())?;
        Selector::from_label_selector(&json!({ "matchLabels": labels })).ok()
    }
}

/// The controller of one of the two kinds.
pub(crate) struct Replicas<F> {
    context: Context,
    flavour: PhantomData<F>,
}

impl<F: Flavour> Replicas<F> {
    pub(crate) fn new(context: Context) -> Replicas<F> {
        Replicas { context, flavour: PhantomData }
    }

    const KIND: &'static Kind = F::FOLLOWS[0];

    /// An orphan may be adopted by whoever selects it.
    fn observe_orphan(&self, pod: &Object, queue: &Queue) {
        if pod.labels().is_empty() {
            return;
        }
        for set in self.context.cache.list(Self::KIND, pod.namespace()) {
            if F::selector(set.value()).is_some_and(|selector| selector.matches(pod.labels())) {
                queue.add(set.key());
            }
        }
    }

    /// Creates or deletes pods.
    async fn manage(&self, set: &Value, active: &[Arc<Object>]) -> Result<(), Refusal> {
        let excess = count_of(active) - wanted(set);
        if excess < 0 {
            let template = set.pointer("/spec/template").unwrap_or(&Value::Null);
            let pod = pod_from_template(template, set, Self::KIND);
            let missing = usize::try_from(excess.saturating_neg().min(BURST)).unwrap_or(0);
            let (_, refusal) = slow_start(missing, |_| {
                let pod = pod.clone();
                async {
                    match self.context.create_pod(pod, set, Self::KIND).await {
                        // The namespace is on its way out, and so is this workload.
                        Err(refusal) if !refusal.namespace_terminating => Err(refusal),
                        _ => Ok(()),
                    }
                }
            })
            .await;
            return refusal.map_or(Ok(()), Err);
        }
        if excess > 0 {
            let related = self.related_pods(set);
            let doomed = pods::to_delete(active, &related, usize::try_from(excess.min(BURST)).unwrap_or(0));
            let deletions = doomed.iter().map(|pod| self.context.delete_pod(pod.value(), set, Self::KIND));
            return join_all(deletions).await.into_iter().collect();
        }
        Ok(())
    }

    /// The pods of the set and of its siblings under the same controller.
    fn related_pods(&self, set: &Value) -> Vec<Arc<Object>> {
        let cache = &self.context.cache;
        let owner = controller_uid(set);
        if owner.is_empty() {
            return cache.owned(&kinds::POD, uid(set));
        }
        let siblings = cache.owned(Self::KIND, owner);
        siblings.iter().flat_map(|sibling| cache.owned(&kinds::POD, uid(sibling.value()))).collect()
    }

    /// The status after a sync that found these pods and ended so.
    fn status(
        &self,
        set: &Value,
        active: &[Arc<Object>],
        terminating: usize,
        managed: &Result<(), Refusal>,
    ) -> (Value, i64) {
        let (mut labelled, mut ready, mut available) = (0, 0, 0);
        let min_ready = count(set, "/spec/minReadySeconds");
        let wanted_labels = set.pointer("/spec/template/metadata/labels").and_then(Value::as_object);
        let now = self.context.seconds();
        for pod in active {
            let labels = pod.labels();
            if wanted_labels.is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value))) {
                labelled += 1;
            }
            if pods::is_ready(pod.value()) {
                ready += 1;
                available += i64::from(pods::is_available(pod.value(), min_ready, now));
            }
        }
        let mut status = set.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}));
        let failure = condition(&status, "ReplicaFailure");
        let mut conditions = items(&status, "/conditions").to_vec();
        match managed {
            Err(refusal) if failure.is_none() => {
                let reason = if count_of(active) < wanted(set) { "FailedCreate" } else { "FailedDelete" };
                conditions.push(json!({
                    "type": "ReplicaFailure", "status": "True", "lastTransitionTime": self.context.now(),
                    "reason": reason, "message": refusal.message,
                }));
            }
            Ok(()) => conditions.retain(|condition| condition["type"] != "ReplicaFailure"),
            Err(_) => {}
        }
        if let Some(fields) = status.as_object_mut() {
            if conditions.is_empty() {
                fields.remove("conditions");
            } else {
                fields.insert("conditions".to_owned(), conditions.into());
            }
            fields.insert("replicas".to_owned(), count_of(active).into());
            if F::COUNTS_TERMINATING {
                fields.insert("terminatingReplicas".to_owned(), terminating.into());
            }
        }
        set_count(&mut status, "fullyLabeledReplicas", labelled);
        set_count(&mut status, "readyReplicas", ready);
        set_count(&mut status, "availableReplicas", available);
        set_count(&mut status, "observedGeneration", count(set, "/metadata/generation"));
        (status, ready - available)
    }
}

fn wanted(set: &Value) -> i64 {
    int(set, "/spec/replicas").unwrap_or(1)
}

fn count_of(pods: &[Arc<Object>]) -> i64 {
    i64::try_from(pods.len()).unwrap_or(i64::MAX)
}

impl<F: Flavour> Controller for Replicas<F> {
    const NAME: &'static str = F::NAME;
    const WORKERS: usize = 5;

    fn follows(&self) -> &'static [&'static Kind] {
        &F::FOLLOWS
    }

    fn observe(&self, kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        if kind == Self::KIND {
            return queue.add(change.object.key());
        }
        let mut owned = false;
        for pod in change.states() {
            if let Some(owner) = controller_key(pod.value(), Self::KIND) {
                owned = true;
                queue.add(owner);
            }
        }
        let pod = change.object;
        if change.deleted || controller_of(pod.value()).is_some() {
            return;
        }
        let relabelled = change.previous.is_none_or(|previous| previous.labels() != pod.labels());
        if owned || relabelled {
            self.observe_orphan(pod, queue);
        }
    }

    async fn sync(&self, key_: Arc<str>, queue: &Queue) -> Result<(), Refusal> {
        let Some(set) = self.context.cache.by_key(Self::KIND, &key_) else { return Ok(()) };
        let Some(selector) = F::selector(set.value()) else { return Ok(()) };
        let set = set.value();
        let claim = Claim {
            client: &self.context.client,
            cache: &self.context.cache,
            owner: set,
            owner_kind: Self::KIND,
            selector: &selector,
            dependent: &kinds::POD,
            finalizers: &[],
        };
        let Claimed { objects, released } = claim.run(pods::is_active).await?;
        let terminating = objects.iter().filter(|pod| pods::is_terminating(pod.value())).count();
        let active: Vec<_> = objects.into_iter().filter(|pod| pods::is_active(pod.value())).collect();
        let managed = match () {
            () if is_deleting(set) => Ok(()),
            () => {
                if released && count_of(&active) < wanted(set) {
                    sleep(AFTER_RELEASE).await;
                }
                self.manage(set, &active).await
            }
        };
        let (status, not_yet) = self.status(set, &active, terminating, &managed);
        if set.get("status") != Some(&status) {
            match self.context.write_status(Self::KIND, set, status).await {
                Err(refusal) if !refusal.is_not_found() => return Err(refusal),
                _ => {}
            }
        }
        if not_yet > 0 {
            let (min_ready, now) = (count(set, "/spec/minReadySeconds"), self.context.seconds());
            let next = active.iter().filter_map(|pod| pods::seconds_until_available(pod.value(), min_ready, now)).min();
            if let Some(seconds) = next.and_then(|seconds| u64::try_from(seconds).ok()) {
                queue.add_after(key(set), Duration::from_secs(seconds));
            }
        }
        managed
    }
}
