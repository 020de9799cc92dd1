//! CronJobs: a Job whenever the schedule says so.

mod schedule;

use std::sync::Arc;

use apimachinery::value::{Value, json};
use tokio::time::Duration;

use self::schedule::Schedule;
use super::client::Refusal;
use super::context::Context;
use super::informer::Change;
use super::kinds::{self, Kind};
use super::queue::Queue;
use super::runner::Controller;
use super::time;
use super::view::{
    condition, controller_key, controller_reference, flag, int, is_deleting, key, name, namespace, place,
    set_annotation, text, uid,
};
use crate::store::Object;

const CRON_JOB: &Kind = &kinds::CRON_JOB;
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// More missed times than this are not gone through one by one.
const MISSED: usize = 100;

/// The controller of CronJobs.
pub(crate) struct CronJobs {
    context: Context,
}

impl CronJobs {
    pub(crate) fn new(context: Context) -> CronJobs {
        CronJobs { context }
    }

    /// Makes the Job of one time.
    async fn start(&self, cron: &Value, at: i64) -> Result<Value, Refusal> {
        let template = cron.pointer("/spec/jobTemplate").unwrap_or(&Value::Null);
        let mut metadata = json!({
            "name": format!("{}-{}", name(cron), at.div_euclid(60)), "namespace": namespace(cron),
            "ownerReferences": [controller_reference(cron, CRON_JOB)],
        });
        for field in ["labels", "annotations"] {
            if let Some(value) = template.pointer(&format!("/metadata/{field}")).filter(|value| value.is_object()) {
                metadata[field] = value.clone();
            }
        }
        let mut job = json!({ "metadata": metadata, "spec": template.get("spec").cloned().unwrap_or_default() });
        if !job["metadata"]["annotations"].is_object() {
            job["metadata"]["annotations"] = json!({});
        }
        set_annotation(&mut job, SCHEDULED, &time::format(at));
        let job_name = name(&job).to_owned();
        match self.context.client.create(&kinds::JOB, namespace(cron), job).await {
            Ok(job) => {
                self.context.events.normal(cron, CRON_JOB, "SuccessfulCreate", format!("Created job {job_name}"));
                Ok(job.into_value())
            }
            Err(refusal) if refusal.is_already_exists() => {
                let existing = self.context.cache.get(&kinds::JOB, namespace(cron), &job_name);
                existing.map(|job| job.value().clone()).ok_or(refusal)
            }
            Err(refusal) => {
                if !refusal.namespace_terminating {
                    let message = format!("Error creating job: {refusal}");
                    self.context.events.warning(cron, CRON_JOB, "FailedCreate", message);
                }
                Err(refusal)
            }
        }
    }

    /// Deletes the oldest of the Jobs that are over, beyond the limits.
    async fn clean(&self, cron: &Value, jobs: &[Arc<Object>]) -> Result<(), Refusal> {
        for (end, limit) in
            [("Complete", "/spec/successfulJobsHistoryLimit"), ("Failed", "/spec/failedJobsHistoryLimit")]
        {
            let Some(limit) = int(cron, limit).and_then(|limit| usize::try_from(limit).ok()) else { continue };
            let mut over: Vec<_> = jobs.iter().filter(|job| has_ended(job.value(), end)).collect();
            over.sort_by(|a, b| a.meta("creationTimestamp").cmp(b.meta("creationTimestamp")));
            let excess = over.len().saturating_sub(limit);
            for job in over.into_iter().take(excess) {
                let options = json!({ "propagationPolicy": "Background" });
                match self.context.client.delete(&kinds::JOB, place(job.value()), Some(options)).await {
                    Err(refusal) if !refusal.is_not_found() => return Err(refusal),
                    _ => {
                        let message = format!("Deleted job {}", job.name());
                        self.context.events.normal(cron, CRON_JOB, "SuccessfulDelete", message);
                    }
                }
            }
        }
        Ok(())
    }
}

fn has_ended(job: &Value, end: &str) -> bool {
    let status = job.get("status").unwrap_or(&Value::Null);
    condition(status, end).is_some_and(|condition| condition["status"] == "True")
}

fn is_active(job: &Value) -> bool {
    !has_ended(job, "Complete") && !has_ended(job, "Failed")
}

fn reference(job: &Value) -> Value {
    json!({
        "kind": "Job", "apiVersion": "batch/v1", "namespace": namespace(job), "name": name(job), "uid": uid(job),
        "resourceVersion": text(job, "/metadata/resourceVersion"),
    })
}

impl Controller for CronJobs {
    const NAME: &'static str = "cronjob-controller";
    const WORKERS: usize = 5;

    fn follows(&self) -> &'static [&'static Kind] {
        &[&kinds::CRON_JOB, &kinds::JOB]
    }

    fn observe(&self, kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        if kind == CRON_JOB {
            return queue.add(change.object.key());
        }
        for job in change.states() {
            if let Some(owner) = controller_key(job.value(), CRON_JOB) {
                queue.add(owner);
            }
        }
    }

    async fn sync(&self, key_: Arc<str>, queue: &Queue) -> Result<(), Refusal> {
        let Some(stored) = self.context.cache.by_key(CRON_JOB, &key_) else { return Ok(()) };
        let cron = stored.value();
        let jobs = self.context.cache.owned(&kinds::JOB, uid(cron));
        self.clean(cron, &jobs).await?;
        let mut active: Vec<Value> =
            jobs.iter().filter(|job| is_active(job.value())).map(|job| reference(job.value())).collect();
        let mut last = time::parse(text(cron, "/status/lastScheduleTime"));
        let mut result = Ok(());
        let schedule = Schedule::parse(text(cron, "/spec/schedule"));
        if let Some(schedule) = schedule.filter(|_| !is_deleting(cron) && !flag(cron, "/spec/suspend")) {
            let now = self.context.seconds();
            let created = time::parse(text(cron, "/metadata/creationTimestamp")).unwrap_or(now);
            let mut since = last.unwrap_or(created);
            if let Some(deadline) = int(cron, "/spec/startingDeadlineSeconds") {
                since = since.max(now - deadline);
            }
            let due = schedule.after(since).take_while(|at| *at <= now).take(MISSED).last();
            let policy = text(cron, "/spec/concurrencyPolicy");
            if let Some(at) = due.filter(|_| policy != "Forbid" || active.is_empty()) {
                if policy == "Replace" {
                    for job in jobs.iter().filter(|job| is_active(job.value())) {
                        let options = json!({ "propagationPolicy": "Background" });
                        let gone = self.context.client.delete(&kinds::JOB, place(job.value()), Some(options)).await;
                        if let Err(refusal) = gone
                            && !refusal.is_not_found()
                        {
                            return Err(refusal);
                        }
                    }
                    active.clear();
                }
                match self.start(cron, at).await {
                    Ok(job) => {
                        if !active.iter().any(|known| known["uid"] == uid(&job)) {
                            active.push(reference(&job));
                        }
                        last = Some(at);
                    }
                    Err(refusal) => result = Err(refusal),
                }
            }
            if let Some(next) = schedule.after(now).next() {
                let wait = Duration::from_secs(u64::try_from(next - now).unwrap_or(1));
                queue.add_after(key(cron), wait);
            }
        }
        let mut status = cron.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}));
        let same = |a: &Value, b: &Value| a["uid"] == b["uid"];
        let before = super::view::items(&status, "/active").to_vec();
        let changed = before.len() != active.len() || !active.iter().all(|one| before.iter().any(|old| same(old, one)));
        let known = time::parse(text(&status, "/lastScheduleTime"));
        if changed || known != last {
            if let Some(fields) = status.as_object_mut() {
                if active.is_empty() {
                    fields.remove("active");
                } else {
                    fields.insert("active".to_owned(), active.into());
                }
                if let Some(last) = last {
                    fields.insert("lastScheduleTime".to_owned(), time::format(last).into());
                }
            }
            self.context.write_status(CRON_JOB, cron, status).await?;
        }
        result
    }
}
