//! Jobs: pods that end, so many of them, tried again so often.

mod index;
mod tally;

use std::sync::Arc;

use apimachinery::labels::Selector;
use apimachinery::value::{Value, json};
use futures_util::future::join_all;
use tokio::time::Duration;

use self::tally::{Tally, is_indexed, is_tracked};
use super::claim::Claim;
use super::client::{Answered, Refusal, Verb};
use super::context::Context;
use super::informer::Change;
use super::kinds::{self, Kind};
use super::pods;
use super::queue::{BackOff, Queue};
use super::runner::Controller;
use super::slow_start::slow_start;
use super::template::pod_from_template;
use super::time;
use super::view::{
    condition, controller_key, controller_of, count, flag, int, is_deleting, items, key, labels, set_count, text, uid,
};
use crate::store::Object;

const JOB: &Kind = &kinds::JOB;
/// Keeps a pod until the Job has counted it.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// How many pods one sync creates or deletes at most.
const BURST: i64 = 500;
/// What a Job waits after a pod of it has failed, doubling up to ten minutes.
const POD_BACK_OFF: i64 = 10;
const POD_BACK_OFF_LIMIT: i64 = 600;

/// The controller of Jobs.
pub(crate) struct Jobs {
    context: Context,
}

/// How a Job has ended.
struct End {
    condition: &'static str,
    reason: &'static str,
    message: String,
}

impl Jobs {
    pub(crate) fn new(context: Context) -> Jobs {
        Jobs { context }
    }

    /// Whether the Job is over, by its pods or by its time.
    fn end(&self, job: &Value, tally: &Tally, queue: &Queue) -> Option<End> {
        let failed = |reason, message: &str| Some(End { condition: "Failed", reason, message: message.to_owned() });
        if tally.failed > int(job, "/spec/backoffLimit").unwrap_or(6) {
            return failed("BackoffLimitExceeded", "Job has reached the specified backoff limit");
        }
        if let (Some(limit), Some(start)) =
            (int(job, "/spec/activeDeadlineSeconds"), time::parse(text(job, "/status/startTime")))
            && !flag(job, "/spec/suspend")
        {
            let rest = start + limit - self.context.seconds();
            if rest <= 0 {
                return failed("DeadlineExceeded", "Job was active longer than specified deadline");
            }
            queue.add_after(key(job), Duration::from_secs(u64::try_from(rest).unwrap_or(0)));
        }
        let complete = match int(job, "/spec/completions") {
            None => tally.succeeded > 0 && tally.active.is_empty(),
            Some(completions) => tally.succeeded >= completions,
        };
        complete.then(|| End {
            condition: "Complete",
            reason: "CompletionsReached",
            message: "Reached expected number of succeeded pods".to_owned(),
        })
    }

    /// Creates or deletes pods; how many are active then.
    async fn manage(&self, job: &Value, tally: &Tally, queue: &Queue) -> (i64, Result<(), Refusal>) {
        let active = i64::try_from(tally.active.len()).unwrap_or(i64::MAX);
        if flag(job, "/spec/suspend") {
            let result = self.delete_pods(job, &tally.active).await;
            return (if result.is_ok() { 0 } else { active }, result);
        }
        let parallelism = int(job, "/spec/parallelism").unwrap_or(1);
        let wanted = tally.wanted_active(job);
        let excess = if int(job, "/spec/completions").is_some() { active - wanted } else { active - parallelism };
        if excess > 0 {
            let size = usize::try_from(excess.min(BURST)).unwrap_or(0);
            let doomed = pods::to_delete(&tally.active, &[], size);
            let result = self.delete_pods(job, &doomed).await;
            return (if result.is_ok() { active - excess.min(BURST) } else { active }, result);
        }
        let mut missing = wanted - active;
        if text(job, "/spec/podReplacementPolicy") == "Failed" {
            missing -= tally.terminating;
        }
        if missing <= 0 {
            return (active, Ok(()));
        }
        if let Some(wait) = self.wait_after_failure(job, tally) {
            queue.add_after(key(job), wait);
            return (active, Ok(()));
        }
        let missing = usize::try_from(missing.min(BURST)).unwrap_or(0);
        let pods = self.new_pods(job, tally, missing);
        let (made, refusal) = slow_start(pods.len(), |n| {
            let pod = pods.get(n).cloned().unwrap_or_default();
            async {
                match self.context.create_pod(pod, job, JOB).await {
                    Err(refusal) if !refusal.namespace_terminating => Err(refusal),
                    _ => Ok(()),
                }
            }
        })
        .await;
        let active = active.saturating_add(i64::try_from(made).unwrap_or(0));
        (active, refusal.map_or(Ok(()), Err))
    }

    fn new_pods(&self, job: &Value, tally: &Tally, missing: usize) -> Vec<Value> {
        let template = job.pointer("/spec/template").unwrap_or(&Value::Null);
        let mut pod = pod_from_template(template, job, JOB);
        let mut finalizers = items(&pod, "/metadata/finalizers").to_vec();
        if !finalizers.iter().any(|one| one == TRACKING) {
            finalizers.push(TRACKING.into());
        }
        pod["metadata"]["finalizers"] = finalizers.into();
        if !is_indexed(job) {
            return vec![pod; missing];
        }
        let with_index = |index| {
            let mut pod = pod.clone();
            index::assign(&mut pod, job, index);
            pod
        };
        tally.missing_indexes(job, missing).into_iter().map(with_index).collect()
    }

    /// After failures the next pod waits: ten seconds, twenty, …, from the end of the last that failed.
    fn wait_after_failure(&self, job: &Value, tally: &Tally) -> Option<Duration> {
        if tally.failed == 0 {
            return None;
        }
        let pods = self.context.cache.owned(&kinds::POD, uid(job));
        let ended = pods.iter().map(|pod| pod.value()).filter(|pod| pods::phase(pod) == "Failed").filter_map(|pod| {
            let finished = items(pod, "/status/containerStatuses")
                .iter()
                .filter_map(|status| time::parse(text(status, "/state/terminated/finishedAt")));
            finished.max().or_else(|| {
                let ready = condition(pod.get("status")?, "Ready")?;
                time::parse(text(ready, "/lastTransitionTime"))
            })
        });
        let last = ended.max()?;
        let doublings = u32::try_from((tally.failed - 1).min(10)).unwrap_or(0);
        let wait = (POD_BACK_OFF << doublings).min(POD_BACK_OFF_LIMIT);
        let rest = last + wait - self.context.seconds();
        u64::try_from(rest).ok().filter(|rest| *rest > 0).map(Duration::from_secs)
    }

    async fn delete_pods(&self, job: &Value, doomed: &[Arc<Object>]) -> Result<(), Refusal> {
        let deletions = doomed.iter().map(|pod| async {
            if is_tracked(pod.value()) {
                self.untrack(pod).await?;
            }
            self.context.delete_pod(pod.value(), job, JOB).await
        });
        join_all(deletions).await.into_iter().collect()
    }

    /// Takes the tracking finalizer away; a pod that is gone is fine.
    async fn untrack(&self, pod: &Object) -> Result<(), Refusal> {
        let patch = json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": [TRACKING] } });
        let place = (pod.namespace(), pod.name());
        match self.context.client.patch(Verb::StrategicPatch, &kinds::POD, place, "", patch).await {
            Err(refusal) if !refusal.is_not_found() => Err(refusal),
            _ => Ok(()),
        }
    }

    /// Moves ended pods into the counts: first their uids into the status, then their finalizers away, then the counts.
    async fn account(&self, mut job: Value, tally: &Tally, status: Value) -> Result<Value, Refusal> {
        if job.get("status") != Some(&status) {
            job = self.context.write_status(JOB, &job, status).await?.into_value();
        }
        let uncounted = |job: &Value, list: &str| -> Vec<String> {
            let uids = items(job, &format!("/status/uncountedTerminatedPods/{list}"));
            uids.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (succeeded, failed) = (uncounted(&job, "succeeded"), uncounted(&job, "failed"));
        // Pods that count for nothing (a second success of an index) are let go as well.
        let all = self.context.cache.owned(&kinds::POD, uid(&job));
        let ended = all.iter().filter(|pod| is_tracked(pod.value()));
        let ended = ended.filter(|pod| pods::is_finished(pod.value()) || is_deleting(pod.value()));
        join_all(ended.map(|pod| self.untrack(pod))).await.into_iter().collect::<Result<(), _>>()?;
        if succeeded.is_empty() && failed.is_empty() {
            return Ok(job);
        }
        let mut status = job.get("status").cloned().unwrap_or_default();
        status["uncountedTerminatedPods"] = json!({});
        let total = |field: &str, more: usize| count(&status, field) + i64::try_from(more).unwrap_or(0);
        let (succeeded, failed) = (total("/succeeded", succeeded.len()), total("/failed", failed.len()));
        let succeeded = if is_indexed(&job) { tally.succeeded } else { succeeded };
        set_count(&mut status, "succeeded", succeeded);
        set_count(&mut status, "failed", failed);
        self.context.write_status(JOB, &job, status).await.map(Answered::into_value)
    }

    /// Says that the Job is over; nothing of it is active any more.
    fn note_end(&self, job: &Value, status: &mut Value, end: &End) {
        let now = self.context.now();
        let first = if end.condition == "Complete" { "SuccessCriteriaMet" } else { "FailureTarget" };
        let mut conditions = items(status, "/conditions").to_vec();
        for condition_type in [first, end.condition] {
            if !conditions.iter().any(|condition| condition["type"] == condition_type) {
                conditions.push(json!({
                    "type": condition_type, "status": "True", "lastProbeTime": now, "lastTransitionTime": now,
                    "reason": end.reason, "message": end.message,
                }));
            }
        }
        status["conditions"] = conditions.into();
        if end.condition == "Complete" {
            status["completionTime"] = now.into();
            self.context.events.normal(job, JOB, "Completed", "Job completed".to_owned());
        } else {
            self.context.events.warning(job, JOB, end.reason, end.message.clone());
        }
    }

    /// The condition that says whether the Job is suspended, if that is news.
    fn note_suspension(&self, job: &Value, status: &mut Value) {
        let suspended = flag(job, "/spec/suspend");
        let known = condition(status, "Suspended").map(|condition| condition["status"] == "True");
        let (value, reason, message) = match (suspended, known) {
            (true, None | Some(false)) => ("True", "JobSuspended", "Job suspended"),
            (false, Some(true)) => ("False", "JobResumed", "Job resumed"),
            _ => return,
        };
        let now = self.context.now();
        let next = json!({
            "type": "Suspended", "status": value, "lastProbeTime": now, "lastTransitionTime": now,
            "reason": reason, "message": message,
        });
        let mut conditions = items(status, "/conditions").to_vec();
        match conditions.iter_mut().find(|condition| condition["type"] == "Suspended") {
            Some(condition) => *condition = next,
            None => conditions.push(next),
        }
        status["conditions"] = conditions.into();
        if let Some(fields) = status.as_object_mut() {
            if suspended {
                fields.remove("startTime");
            } else {
                fields.insert("startTime".to_owned(), now.into());
            }
        }
        let reason = if suspended { "Suspended" } else { "Resumed" };
        self.context.events.normal(job, JOB, reason, message.to_owned());
    }

    /// Pods whose Job is gone or over need not be tracked any more.
    async fn release_pods(&self, owner: &str) -> Result<(), Refusal> {
        let pods = self.context.cache.owned(&kinds::POD, owner);
        let tracked = pods.iter().filter(|pod| is_tracked(pod.value()));
        join_all(tracked.map(|pod| self.untrack(pod))).await.into_iter().collect()
    }
}

fn is_over(job: &Value) -> bool {
    let status = job.get("status").unwrap_or(&Value::Null);
    ["Complete", "Failed"].iter().any(|one| condition(status, one).is_some_and(|one| one["status"] == "True"))
}

/// The key under which pods of a Job that is gone are let go: there is no Job of that name.
fn orphan_key(owner: &str) -> String {
    format!(" {owner}")
}

impl Controller for Jobs {
    const NAME: &'static str = "job-controller";
    const WORKERS: usize = 5;
    const BACK_OFF: BackOff = BackOff::JOB;

    fn follows(&self) -> &'static [&'static Kind] {
        &[&kinds::JOB, &kinds::POD]
    }

    fn observe(&self, kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        if kind == JOB {
            queue.add(change.object.key());
            if change.deleted {
                queue.add(orphan_key(change.object.meta("uid")));
            }
            return;
        }
        for pod in change.states() {
            if let Some(owner) = controller_key(pod.value(), JOB) {
                queue.add(owner);
            }
        }
        let pod = change.object;
        if change.deleted {
            return;
        }
        match controller_of(pod.value()) {
            Some(reference) if is_tracked(pod.value()) && is_deleting(pod.value()) => {
                queue.add(orphan_key(text(reference, "/uid")));
            }
            None if !pod.labels().is_empty() => {
                for job in self.context.cache.list(JOB, pod.namespace()) {
                    let selector = job.value().pointer("/spec/selector").map(Selector::from_label_selector);
                    if selector.is_some_and(|one| one.is_ok_and(|one| one.matches(labels(pod.value())))) {
                        queue.add(job.key());
                    }
                }
            }
            _ => {}
        }
    }

    async fn sync(&self, key_: Arc<str>, queue: &Queue) -> Result<(), Refusal> {
        if let Some(owner) = key_.strip_prefix(' ') {
            let pods = self.context.cache.owned(&kinds::POD, owner);
            let lives = pods.first().and_then(|pod| controller_key(pod.value(), JOB));
            let lives = lives.and_then(|key| self.context.cache.by_key(JOB, &key));
            // A Job that is there looks after its own pods.
            return match lives {
                Some(job) if job.meta("uid") == owner => Ok(()),
                _ => self.release_pods(owner).await,
            };
        }
        let Some(stored) = self.context.cache.by_key(JOB, &key_) else { return Ok(()) };
        let job = stored.value();
        if !text(job, "/spec/managedBy").is_empty() && text(job, "/spec/managedBy") != "kubernetes.io/job-controller" {
            return Ok(());
        }
        if is_over(job) {
            return self.release_pods(uid(job)).await;
        }
        let Some(Ok(selector)) = job.pointer("/spec/selector").map(Selector::from_label_selector) else {
            return Ok(());
        };
        let claim = Claim {
            client: &self.context.client,
            cache: &self.context.cache,
            owner: job,
            owner_kind: JOB,
            selector: &selector,
            dependent: &kinds::POD,
            finalizers: &[TRACKING],
        };
        let all = claim.run(|_| true).await?.objects;
        let tally = Tally::new(job, &all);
        let end = self.end(job, &tally, queue);
        let mut managed = Ok(());
        let mut active = i64::try_from(tally.active.len()).unwrap_or(i64::MAX);
        if end.is_some() {
            managed = self.delete_pods(job, &tally.active).await;
            active = 0;
        } else if !is_deleting(job) {
            (active, managed) = self.manage(job, &tally, queue).await;
        }
        let mut status = tally.status(job, active);
        if !flag(job, "/spec/suspend") && text(&status, "/startTime").is_empty() {
            status["startTime"] = self.context.now().into();
        }
        self.note_suspension(job, &mut status);
        let counted = self.account(job.clone(), &tally, status).await?;
        if let Some(end) = end.filter(|_| managed.is_ok()) {
            let mut status = counted.get("status").cloned().unwrap_or_default();
            status["ready"] = 0.into();
            self.note_end(job, &mut status, &end);
            self.context.write_status(JOB, &counted, status).await?;
        }
        managed
    }
}
