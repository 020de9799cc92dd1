//! DaemonSets: one pod on every node that fits.

pub(in crate::controllers) mod placement;

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::labels::Selector;
use apimachinery::value::{Value, json};
use futures_util::future::join_all;
use tokio::time::Duration;

use self::placement::{bind_to, fits, node_of, tolerate};
use super::claim::Claim;
use super::client::Refusal;
use super::context::Context;
use super::informer::Change;
use super::kinds::{self, Kind};
use super::pods;
use super::queue::Queue;
use super::revisions::History;
use super::rolling::{Round, int_or_percent};
use super::runner::Controller;
use super::slow_start::slow_start;
use super::template::pod_from_template;
use super::view::{
    annotation, controller_key, controller_of, count, int, is_deleting, key, labels, set_count, set_label, text,
};
use crate::store::Object;

const SET: &Kind = &kinds::DAEMON_SET;
const HASH_LABEL: &str = "controller-revision-hash";
const GENERATION_LABEL: &str = "pod-template-generation";
const GENERATION_ANNOTATION: &str = "deprecated.daemonset.template.generation";
/// How many pods one sync creates or deletes at most.
const BURST: usize = 250;

/// The controller of DaemonSets.
pub(crate) struct DaemonSets {
    context: Context,
}

/// One DaemonSet while it is worked on.
struct Work<'a> {
    context: &'a Context,
    set: &'a Value,
    hash: &'a str,
    nodes: Vec<Arc<Object>>,
    /// Pods by the node that they are on or bound to.
    pods: BTreeMap<String, Vec<Arc<Object>>>,
    /// The spec of its pods, tolerations included, node not.
    spec: Value,
}

impl DaemonSets {
    pub(crate) fn new(context: Context) -> DaemonSets {
        DaemonSets { context }
    }
}

/// What of a node matters here.
fn same_for_us(a: &Value, b: &Value) -> bool {
    labels(a) == labels(b) && a.pointer("/spec/taints") == b.pointer("/spec/taints")
}

fn created(object: &Object) -> (&str, &str) {
    (object.meta("creationTimestamp"), object.name())
}

impl Controller for DaemonSets {
    const NAME: &'static str = "daemonset-controller";
    const WORKERS: usize = 2;

    fn follows(&self) -> &'static [&'static Kind] {
        &[&kinds::DAEMON_SET, &kinds::POD, &kinds::NODE]
    }

    fn observe(&self, kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        if kind == SET {
            return queue.add(change.object.key());
        }
        let cache = &self.context.cache;
        if *kind == kinds::NODE {
            let old = change.previous.filter(|_| !change.deleted);
            if !old.is_some_and(|old| same_for_us(old.value(), change.object.value())) {
                cache.list(SET, "").iter().for_each(|set| queue.add(set.key()));
            }
            return;
        }
        for pod in change.states() {
            if let Some(owner) = controller_key(pod.value(), SET) {
                queue.add(owner);
            }
        }
        let pod = change.object;
        if change.deleted || controller_of(pod.value()).is_some() || pod.labels().is_empty() {
            return;
        }
        for set in cache.list(SET, pod.namespace()) {
            let selector = set.value().pointer("/spec/selector").map(Selector::from_label_selector);
            if selector.is_some_and(|selector| selector.is_ok_and(|selector| selector.matches(pod.labels()))) {
                queue.add(set.key());
            }
        }
    }

    async fn sync(&self, key_: Arc<str>, queue: &Queue) -> Result<(), Refusal> {
        let Some(stored) = self.context.cache.by_key(SET, &key_) else { return Ok(()) };
        let set = stored.value();
        let Some(Ok(selector)) = set.pointer("/spec/selector").map(Selector::from_label_selector) else {
            return Ok(());
        };
        if selector.is_empty() || is_deleting(set) {
            return Ok(());
        }
        let claim = Claim {
            client: &self.context.client,
            cache: &self.context.cache,
            owner: set,
            owner_kind: SET,
            selector: &selector,
            dependent: &kinds::POD,
            finalizers: &[],
        };
        let claimed = claim.run(|_| true).await?.objects;
        let history = History { context: &self.context, owner: set, kind: SET, hash_label: HASH_LABEL };
        let (revision, collisions) = history.update().await?;
        let work = Work::new(&self.context, set, history.hash(&revision), claimed);
        let mut done = work.manage().await;
        if done.is_ok() && text(set, "/spec/updateStrategy/type") != "OnDelete" {
            done = work.roll().await;
        }
        // The status counts what the pods are after this.
        let rest = self.context.cache.owned(&kinds::POD, stored.meta("uid"));
        let work = Work::new(&self.context, set, history.hash(&revision), rest);
        let status = work.status(collisions);
        if set.get("status") != Some(&status) {
            self.context.write_status(SET, set, status).await?;
        }
        done?;
        let used = |hash: &str| work.pods.values().flatten().any(|pod| hash_of(pod.value()) == hash);
        history.truncate(|old| old.name() == revision.name() || used(history.hash(old))).await?;
        let min_ready = count(set, "/spec/minReadySeconds");
        let now = self.context.seconds();
        let pods = work.pods.values().flatten();
        let next = pods.filter_map(|pod| pods::seconds_until_available(pod.value(), min_ready, now)).min();
        if let Some(seconds) = next.and_then(|seconds| u64::try_from(seconds).ok()) {
            queue.add_after(key(set), Duration::from_secs(seconds));
        }
        Ok(())
    }
}

fn hash_of(pod: &Value) -> &str {
    labels(pod).get(HASH_LABEL).and_then(Value::as_str).unwrap_or_default()
}

impl<'a> Work<'a> {
    fn new(context: &'a Context, set: &'a Value, hash: &'a str, claimed: Vec<Arc<Object>>) -> Work<'a> {
        let mut spec = set.pointer("/spec/template/spec").cloned().unwrap_or_else(|| json!({}));
        tolerate(&mut spec);
        let mut pods: BTreeMap<String, Vec<Arc<Object>>> = BTreeMap::new();
        for pod in claimed {
            if let Some(node) = node_of(pod.value()) {
                pods.entry(node.to_owned()).or_default().push(pod);
            }
        }
        let nodes = context.cache.list(&kinds::NODE, "");
        Work { context, set, hash, nodes, pods, spec }
    }

    fn on(&self, node: &str) -> &[Arc<Object>] {
        self.pods.get(node).map_or(&[], Vec::as_slice)
    }

    /// Pods where they are missing, none where they do not belong.
    async fn manage(&self) -> Result<(), Refusal> {
        let mut missing = Vec::new();
        let mut doomed: Vec<&Arc<Object>> = Vec::new();
        for node in &self.nodes {
            let (run, stay) = fits(&self.spec, node.value());
            let here: Vec<_> = self.on(node.name()).iter().filter(|pod| !is_deleting(pod.value())).collect();
            if !stay {
                doomed.extend(here);
                continue;
            }
            if !run && here.is_empty() {
                continue;
            }
            let (finished, mut rest): (Vec<_>, Vec<_>) =
                here.into_iter().partition(|pod| pods::is_finished(pod.value()));
            for pod in &finished {
                let word = pods::phase(pod.value());
                let message = format!(
                    "Found {} daemon pod {}/{} on node {}, will try to kill it",
                    word.to_lowercase(),
                    pod.namespace(),
                    pod.name(),
                    node.name()
                );
                let reason = if word == "Failed" { "FailedDaemonPod" } else { "SucceededDaemonPod" };
                self.context.events.warning(self.set, SET, reason, message);
            }
            if run && self.on(node.name()).is_empty() {
                missing.push(node.name());
            }
            doomed.extend(finished);
            rest.sort_by(|a, b| created(a).cmp(&created(b)));
            doomed.extend(rest.into_iter().skip(1));
        }
        let known = |name: &str| self.nodes.iter().any(|node| node.name() == name);
        for (_, pods) in self.pods.iter().filter(|(node, _)| !known(node)) {
            doomed.extend(pods.iter().filter(|pod| !is_deleting(pod.value())));
        }
        missing.truncate(BURST);
        doomed.truncate(BURST);
        let (_, refusal) = slow_start(missing.len(), |n| {
            let pod = missing.get(n).map(|node| self.pod(node));
            async {
                let Some(pod) = pod else { return Ok(()) };
                match self.context.create_pod(pod, self.set, SET).await {
                    Err(refusal) if !refusal.namespace_terminating => Err(refusal),
                    _ => Ok(()),
                }
            }
        })
        .await;
        self.delete(doomed).await?;
        refusal.map_or(Ok(()), Err)
    }

    async fn delete(&self, doomed: Vec<&Arc<Object>>) -> Result<(), Refusal> {
        let deletions = doomed.into_iter().map(|pod| self.context.delete_pod(pod.value(), self.set, SET));
        join_all(deletions).await.into_iter().collect()
    }

    fn pod(&self, node: &str) -> Value {
        let template = self.set.pointer("/spec/template").unwrap_or(&Value::Null);
        let mut pod = pod_from_template(template, self.set, SET);
        pod["spec"] = self.spec.clone();
        bind_to(&mut pod["spec"], node);
        if let Some(generation) = annotation(self.set, GENERATION_ANNOTATION) {
            set_label(&mut pod, GENERATION_LABEL, generation);
        }
        set_label(&mut pod, HASH_LABEL, self.hash);
        pod
    }

    fn is_updated(&self, pod: &Value) -> bool {
        hash_of(pod) == self.hash
    }

    fn is_available(&self, pod: &Value) -> bool {
        pods::is_available(pod, count(self.set, "/spec/minReadySeconds"), self.context.seconds())
    }

    /// Deletes pods of old templates: those that are not available at once, of the others as many as may be missing.
    async fn roll(&self) -> Result<(), Refusal> {
        let wanted = self.nodes.iter().filter(|node| fits(&self.spec, node.value()).0).count();
        let limit = self.set.pointer("/spec/updateStrategy/rollingUpdate/maxUnavailable").unwrap_or(&Value::Null);
        let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
        let mut room = int_or_percent(limit, wanted, Round::Up).max(1);
        let (mut doomed, mut candidates) = (Vec::new(), Vec::new());
        for node in self.nodes.iter().filter(|node| fits(&self.spec, node.value()).0) {
            let here = || self.on(node.name()).iter().filter(|pod| !is_deleting(pod.value()));
            let available = here().any(|pod| self.is_available(pod.value()));
            room -= i64::from(!available);
            let old = here().find(|pod| !self.is_updated(pod.value()));
            let new = here().any(|pod| self.is_updated(pod.value()));
            match old {
                Some(old) if !available && !new => doomed.push(old),
                Some(old) if !new => candidates.push(old),
                _ => {}
            }
        }
        candidates.truncate(usize::try_from(room).unwrap_or(0));
        doomed.extend(candidates);
        self.delete(doomed).await
    }

    fn status(&self, collisions: Option<i64>) -> Value {
        let (mut desired, mut current, mut misplaced, mut ready, mut updated, mut available) = (0, 0, 0, 0, 0, 0);
        for node in &self.nodes {
            let here = self.on(node.name());
            if !fits(&self.spec, node.value()).0 {
                misplaced += i64::from(!here.is_empty());
                continue;
            }
            desired += 1;
            let Some(oldest) = here.iter().min_by(|a, b| created(a).cmp(&created(b))) else { continue };
            let pod = oldest.value();
            current += 1;
            updated += i64::from(self.is_updated(pod));
            if pods::is_ready(pod) {
                ready += 1;
                available += i64::from(self.is_available(pod));
            }
        }
        let mut status = json!({
            "desiredNumberScheduled": desired, "currentNumberScheduled": current,
            "numberMisscheduled": misplaced, "numberReady": ready,
        });
        set_count(&mut status, "observedGeneration", count(self.set, "/metadata/generation"));
        set_count(&mut status, "updatedNumberScheduled", updated);
        set_count(&mut status, "numberAvailable", available);
        set_count(&mut status, "numberUnavailable", desired - available);
        if let Some(collisions) = collisions.or_else(|| int(self.set, "/status/collisionCount")) {
            status["collisionCount"] = collisions.into();
        }
        if let Some(conditions) = self.set.pointer("/status/conditions") {
            status["conditions"] = conditions.clone();
        }
        status
    }
}
