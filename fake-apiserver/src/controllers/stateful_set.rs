//! StatefulSets: numbered pods, one after the other unless told otherwise.

mod identity;

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::labels::Selector;
use apimachinery::value::{Value, json};
use tokio::time::Duration;

use self::identity::{REVISION_LABEL, claims, first_ordinal, keeps_identity, ordinal, pod};
use super::claim::Claim;
use super::client::Refusal;
use super::context::Context;
use super::informer::Change;
use super::kinds::{self, Kind};
use super::pods;
use super::queue::Queue;
use super::revisions::{History, with_revision};
use super::rolling::{Round, int_or_percent};
use super::runner::Controller;
use super::slow_start::slow_start;
use super::view::{
    controller_key, controller_of, count, int, is_deleting, key, name, namespace, place, set_count, text,
};
use crate::store::Object;

const SET: &Kind = &kinds::STATEFUL_SET;

/// The controller of StatefulSets.
pub(crate) struct StatefulSets {
    context: Context,
}

/// One StatefulSet while it is worked on.
struct Work<'a> {
    context: &'a Context,
    set: &'a Value,
    /// The set with the template of its current revision, and that revision's name.
    current: (Value, String),
    /// Name of the revision that the set wants now.
    update: String,
    /// Pods within the wanted ordinals.
    wanted: BTreeMap<i64, Arc<Object>>,
    /// Pods beyond them.
    condemned: BTreeMap<i64, Arc<Object>>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    replicas: i64,
    ready: i64,
    available: i64,
    current: i64,
    updated: i64,
}

impl StatefulSets {
    pub(crate) fn new(context: Context) -> StatefulSets {
        StatefulSets { context }
    }
}

fn revision_of(pod: &Value) -> &str {
    pod.pointer("/metadata/labels").and_then(|labels| labels[REVISION_LABEL].as_str()).unwrap_or_default()
}

fn is_ready(pod: &Value) -> bool {
    pods::phase(pod) == "Running" && pods::is_ready(pod)
}

impl Controller for StatefulSets {
    const NAME: &'static str = "statefulset-controller";
    const WORKERS: usize = 5;

    fn follows(&self) -> &'static [&'static Kind] {
        &[&kinds::STATEFUL_SET, &kinds::POD]
    }

    fn observe(&self, kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        if kind == SET {
            return queue.add(change.object.key());
        }
        for pod in change.states() {
            if let Some(owner) = controller_key(pod.value(), SET) {
                queue.add(owner);
            }
        }
        let pod = change.object;
        if change.deleted || controller_of(pod.value()).is_some() {
            return;
        }
        // Only a pod of the right name can be adopted, so there is no need to look at all sets.
        if let Some((set, _)) = pod.name().rsplit_once('-')
            && self.context.cache.get(SET, pod.namespace(), set).is_some()
        {
            queue.add(crate::store::key(pod.namespace(), set));
        }
    }

    async fn sync(&self, key_: Arc<str>, queue: &Queue) -> Result<(), Refusal> {
        let Some(stored) = self.context.cache.by_key(SET, &key_) else { return Ok(()) };
        let set = stored.value();
        let Some(Ok(selector)) = set.pointer("/spec/selector").map(Selector::from_label_selector) else {
            return Ok(());
        };
        let claim = Claim {
            client: &self.context.client,
            cache: &self.context.cache,
            owner: set,
            owner_kind: SET,
            selector: &selector,
            dependent: &kinds::POD,
            finalizers: &[],
        };
        let set_name = stored.name();
        let pods = claim.run(|pod| ordinal(set_name, name(pod)).is_some()).await?.objects;
        let history =
            History { context: &self.context, owner: set, kind: SET, hash_label: "controller.kubernetes.io/hash" };
        let (update, collisions) = history.update().await?;
        let current_name = match text(set, "/status/currentRevision") {
            "" => update.name(),
            current => current,
        };
        let current = self.context.cache.get(&kinds::CONTROLLER_REVISION, stored.namespace(), current_name);
        let current = current.unwrap_or_else(|| update.clone());
        let mut work = Work::new(&self.context, set, &current, update.name(), pods);
        let done = work.run().await;
        let status = work.status(collisions);
        if set.get("status") != Some(&status) {
            self.context.write_status(SET, set, status).await?;
        }
        done?;
        let in_use: Vec<String> = work.pods().map(|pod| revision_of(pod.value()).to_owned()).collect();
        history
            .truncate(|revision| {
                let name = revision.name();
                name == update.name() || name == current.name() || in_use.iter().any(|used| used == name)
            })
            .await?;
        let min_ready = count(set, "/spec/minReadySeconds");
        let now = self.context.seconds();
        let next = work.pods().filter_map(|pod| pods::seconds_until_available(pod.value(), min_ready, now)).min();
        if let Some(seconds) = next.and_then(|seconds| u64::try_from(seconds).ok()) {
            queue.add_after(key(set), Duration::from_secs(seconds));
        }
        Ok(())
    }
}

impl<'a> Work<'a> {
    fn new(context: &'a Context, set: &'a Value, current: &Object, update: &str, pods: Vec<Arc<Object>>) -> Work<'a> {
        let (first, size) = (first_ordinal(set), int(set, "/spec/replicas").unwrap_or(1));
        let (mut wanted, mut condemned) = (BTreeMap::new(), BTreeMap::new());
        for pod in pods {
            let Some(ordinal) = ordinal(name(set), pod.name()) else { continue };
            let within = (first..first.saturating_add(size)).contains(&ordinal);
            if within { &mut wanted } else { &mut condemned }.insert(ordinal, pod);
        }
        let current = (with_revision(set, current.value()), current.name().to_owned());
        let mut work =
            Work { context, set, current, update: update.to_owned(), wanted, condemned, counts: Counts::default() };
        work.count();
        work
    }

    fn pods(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.wanted.values().chain(self.condemned.values())
    }

    fn count(&mut self) {
        let mut counts = Counts::default();
        for pod in self.pods() {
            let pod = pod.value();
            counts.replicas += 1;
            if is_ready(pod) {
                counts.ready += 1;
                counts.available += i64::from(self.is_available(pod));
            }
            if !is_deleting(pod) {
                counts.current += i64::from(revision_of(pod) == self.current.1);
                counts.updated += i64::from(revision_of(pod) == self.update);
            }
        }
        self.counts = counts;
    }

    fn is_available(&self, pod: &Value) -> bool {
        pods::is_available(pod, count(self.set, "/spec/minReadySeconds"), self.context.seconds())
    }

    /// Whether the next pod has to wait for this one.
    fn holds_up(&self, pod: &Value) -> bool {
        is_deleting(pod) || !is_ready(pod) || !self.is_available(pod)
    }

    fn in_order(&self) -> bool {
        text(self.set, "/spec/podManagementPolicy") != "Parallel"
    }

    fn rolls(&self) -> bool {
        text(self.set, "/spec/updateStrategy/type") != "OnDelete"
    }

    /// Ordinals below are left at the current revision.
    fn partition(&self) -> i64 {
        first_ordinal(self.set) + count(self.set, "/spec/updateStrategy/rollingUpdate/partition")
    }

    async fn run(&mut self) -> Result<(), Refusal> {
        if is_deleting(self.set) {
            return Ok(());
        }
        let first = first_ordinal(self.set);
        let ordinals = first..first.saturating_add(int(self.set, "/spec/replicas").unwrap_or(1));
        if self.in_order() {
            for ordinal in ordinals {
                if !self.bring_up(ordinal).await? {
                    return Ok(());
                }
            }
        } else {
            self.bring_up_at_once(ordinals.collect()).await?;
        }
        if !self.take_down().await? {
            return Ok(());
        }
        if self.rolls() { self.roll().await } else { Ok(()) }
    }

    /// In order: false if what follows has to wait.
    async fn bring_up(&mut self, ordinal: i64) -> Result<bool, Refusal> {
        match self.wanted.get(&ordinal).cloned() {
            None => {
                self.create(ordinal).await?;
                self.created(ordinal);
                Ok(false)
            }
            Some(pod) if pods::is_finished(pod.value()) => {
                self.replace_finished(&pod).await?;
                Ok(false)
            }
            Some(pod) => {
                self.keep_identity(&pod).await?;
                Ok(!self.holds_up(pod.value()))
            }
        }
    }

    async fn bring_up_at_once(&mut self, ordinals: Vec<i64>) -> Result<(), Refusal> {
        let this = &*self;
        let (_, refusal) = slow_start(ordinals.len(), |n| {
            let ordinal = ordinals.get(n).copied().unwrap_or_default();
            async move {
                match this.wanted.get(&ordinal) {
                    None => this.create(ordinal).await,
                    Some(pod) if pods::is_finished(pod.value()) => this.replace_finished(pod).await,
                    Some(pod) => this.keep_identity(pod).await,
                }
            }
        })
        .await;
        for ordinal in ordinals {
            if !self.wanted.contains_key(&ordinal) {
                self.created(ordinal);
            }
        }
        refusal.map_or(Ok(()), Err)
    }

    /// Counts a pod that was just made.
    fn created(&mut self, ordinal: i64) {
        let pod_name = format!("{}-{ordinal}", name(self.set));
        if let Some(pod) = self.context.cache.get(&kinds::POD, namespace(self.set), &pod_name) {
            self.wanted.insert(ordinal, pod);
            self.count();
        }
    }

    async fn create(&self, ordinal: i64) -> Result<(), Refusal> {
        for claim in claims(self.set, ordinal) {
            if self.context.cache.get(&kinds::PERSISTENT_VOLUME_CLAIM, namespace(self.set), name(&claim)).is_none() {
                self.create_claim(claim, ordinal).await?;
            }
        }
        let keeps_current = self.rolls() && ordinal < self.partition();
        let (set, revision) = if keeps_current { (&self.current.0, &self.current.1) } else { (self.set, &self.update) };
        let pod = pod(set, ordinal, revision);
        let pod_name = name(&pod).to_owned();
        let result = self.context.client.create(&kinds::POD, namespace(self.set), pod).await;
        self.record("Create", &pod_name, result.map(|_| ()))
    }

    async fn create_claim(&self, claim: Value, ordinal: i64) -> Result<(), Refusal> {
        let (set, claim_name) = (name(self.set), name(&claim).to_owned());
        let about = format!("Create Claim {claim_name} Pod {set}-{ordinal} in StatefulSet {set}");
        match self.context.client.create(&kinds::PERSISTENT_VOLUME_CLAIM, namespace(self.set), claim).await {
            Ok(_) => {
                self.context.events.normal(self.set, SET, "SuccessfulCreate", format!("{about} success"));
                Ok(())
            }
            Err(refusal) => {
                let message = format!("{about} failed error: {refusal}");
                self.context.events.warning(self.set, SET, "FailedCreate", message);
                Err(refusal)
            }
        }
    }

    async fn delete(&self, pod: &Object) -> Result<(), Refusal> {
        match self.context.client.delete(&kinds::POD, place(pod.value()), None).await {
            Err(refusal) if refusal.is_not_found() => Ok(()),
            result => self.record("Delete", pod.name(), result.map(|_| ())),
        }
    }

    async fn replace_finished(&self, pod: &Object) -> Result<(), Refusal> {
        if is_deleting(pod.value()) {
            return Ok(());
        }
        if pods::phase(pod.value()) == "Failed" {
            let (set, namespace) = (name(self.set), namespace(self.set));
            let message = format!("StatefulSet {namespace}/{set} is recreating failed Pod {}", pod.name());
            self.context.events.warning(self.set, SET, "RecreatingFailedPod", message);
        }
        self.delete(pod).await
    }

    /// Puts back labels that somebody took away.
    async fn keep_identity(&self, pod: &Object) -> Result<(), Refusal> {
        if keeps_identity(pod.value()) || is_deleting(pod.value()) {
            return Ok(());
        }
        let mut next = pod.value().clone();
        super::view::set_label(&mut next, identity::NAME_LABEL, pod.name());
        if let Some(ordinal) = ordinal(name(self.set), pod.name()) {
            super::view::set_label(&mut next, identity::INDEX_LABEL, &ordinal.to_string());
        }
        let result = self.context.client.update(&kinds::POD, next).await;
        self.record("Update", pod.name(), result.map(|_| ()))
    }

    fn record(&self, verb: &str, pod: &str, result: Result<(), Refusal>) -> Result<(), Refusal> {
        let about = format!("{verb} Pod {pod} in StatefulSet {}", name(self.set));
        let events = &self.context.events;
        match &result {
            Ok(()) => {
                let reason = match verb {
                    "Create" => "SuccessfulCreate",
                    "Delete" => "SuccessfulDelete",
                    _ => "SuccessfulUpdate",
                };
                events.normal(self.set, SET, reason, format!("{about} successful"));
            }
            Err(refusal) if refusal.namespace_terminating => {}
            Err(refusal) => {
                let reason = match verb {
                    "Create" => "FailedCreate",
                    "Delete" => "FailedDelete",
                    _ => "FailedUpdate",
                };
                events.warning(self.set, SET, reason, format!("{about} failed error: {refusal}"));
            }
        }
        result
    }

    /// Deletes pods beyond the wanted ones, the highest first. False if what follows has to wait.
    async fn take_down(&self) -> Result<bool, Refusal> {
        for pod in self.condemned.values().rev() {
            if is_deleting(pod.value()) {
                if self.in_order() {
                    return Ok(false);
                }
                continue;
            }
            self.delete(pod).await?;
            if self.in_order() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Deletes pods of other revisions, the highest first, as many at a time as may be missing.
    async fn roll(&self) -> Result<(), Refusal> {
        let wanted = int(self.set, "/spec/replicas").unwrap_or(1);
        let limit = self.set.pointer("/spec/updateStrategy/rollingUpdate/maxUnavailable").unwrap_or(&Value::Null);
        let mut room = int_or_percent(limit, wanted, Round::Up).max(1);
        for pod in self.wanted.range(self.partition()..).map(|(_, pod)| pod).rev() {
            let value = pod.value();
            if revision_of(value) != self.update && !is_deleting(value) {
                self.delete(pod).await?;
                room -= 1;
            } else if self.holds_up(value) {
                room -= 1;
            }
            if room <= 0 {
                break;
            }
        }
        Ok(())
    }

    fn status(&self, collisions: Option<i64>) -> Value {
        let counts = &self.counts;
        let before = self.set.get("status").unwrap_or(&Value::Null);
        let collisions = collisions.or_else(|| int(before, "/collisionCount")).unwrap_or(0);
        let rolled_out = self.rolls()
            && counts.updated == counts.replicas
            && counts.ready == counts.replicas
            && self.update != self.current.1;
        let (current, current_count) =
            if rolled_out { (&self.update, counts.updated) } else { (&self.current.1, counts.current) };
        let mut status = json!({
            "replicas": counts.replicas, "availableReplicas": counts.available, "collisionCount": collisions,
            "currentRevision": current, "updateRevision": self.update,
        });
        set_count(&mut status, "observedGeneration", count(self.set, "/metadata/generation"));
        set_count(&mut status, "readyReplicas", counts.ready);
        set_count(&mut status, "currentReplicas", current_count);
        set_count(&mut status, "updatedReplicas", counts.updated);
        if let Some(conditions) = before.get("conditions") {
            status["conditions"] = conditions.clone();
        }
        status
    }
}
