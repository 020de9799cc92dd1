//! What a Job's pods amount to.

use std::collections::BTreeSet;
use std::sync::Arc;

use apimachinery::value::{Value, json};

use super::{TRACKING, index};
use crate::controllers::pods;
use crate::controllers::view::{count, int, is_deleting, items, set_count, text, uid};
use crate::store::Object;

pub(super) fn is_tracked(pod: &Value) -> bool {
    items(pod, "/metadata/finalizers").iter().any(|one| one == TRACKING)
}

pub(super) fn is_indexed(job: &Value) -> bool {
    text(job, "/spec/completionMode") == "Indexed"
}

/// A pod that counts as failed: it failed, or it was deleted before it ended.
fn has_failed(job: &Value, pod: &Value) -> bool {
    let replaced_when_failed = text(job, "/spec/podReplacementPolicy") == "Failed";
    pods::phase(pod) == "Failed" || (is_deleting(pod) && pods::phase(pod) != "Succeeded" && !replaced_when_failed)
}

/// The pods, sorted by what they are to the Job.
pub(super) struct Tally {
    pub(super) active: Vec<Arc<Object>>,
    pub(super) ready: i64,
    pub(super) terminating: i64,
    /// Ended, not counted yet: their uids.
    pub(super) new_succeeded: Vec<Arc<Object>>,
    pub(super) new_failed: Vec<Arc<Object>>,
    /// Everything that has succeeded, the new ones included.
    pub(super) succeeded: i64,
    pub(super) failed: i64,
    /// Of an indexed Job.
    pub(super) done: BTreeSet<i64>,
}

impl Tally {
    pub(super) fn new(job: &Value, all: &[Arc<Object>]) -> Tally {
        let counted = |list: &str| -> BTreeSet<&str> {
            let uids = items(job, &format!("/status/uncountedTerminatedPods/{list}"));
            uids.iter().filter_map(Value::as_str).collect()
        };
        let (uncounted_succeeded, uncounted_failed) = (counted("succeeded"), counted("failed"));
        let completions = int(job, "/spec/completions").unwrap_or(0);
        let indexed = is_indexed(job);
        let mut tally = Tally {
            active: Vec::new(),
            ready: 0,
            terminating: 0,
            new_succeeded: Vec::new(),
            new_failed: Vec::new(),
            succeeded: 0,
            failed: 0,
            done: index::parse(text(job, "/status/completedIndexes"), completions),
        };
        for pod in all {
            let value = pod.value();
            if pods::is_active(value) {
                tally.ready += i64::from(pods::is_ready(value));
                tally.active.push(pod.clone());
            }
            tally.terminating += i64::from(pods::is_terminating(value));
            if !is_tracked(value) {
                continue;
            }
            let known = uncounted_succeeded.contains(uid(value)) || uncounted_failed.contains(uid(value));
            if pods::phase(value) == "Succeeded" {
                // A second success of an index is not one more.
                let counts = !indexed
                    || index::of(value)
                        .is_some_and(|index| (0..completions).contains(&index) && tally.done.insert(index));
                if !known && counts {
                    tally.new_succeeded.push(pod.clone());
                }
            } else if has_failed(job, value) && !known {
                tally.new_failed.push(pod.clone());
            }
        }
        let so_far = |field: &str, uncounted: usize, new: usize| {
            count(job, field) + i64::try_from(uncounted + new).unwrap_or(i64::MAX)
        };
        tally.failed = so_far("/status/failed", uncounted_failed.len(), tally.new_failed.len());
        tally.succeeded = if indexed {
            i64::try_from(tally.done.len()).unwrap_or(i64::MAX)
        } else {
            so_far("/status/succeeded", uncounted_succeeded.len(), tally.new_succeeded.len())
        };
        tally
    }

    /// How many pods should run now.
    pub(super) fn wanted_active(&self, job: &Value) -> i64 {
        let parallelism = int(job, "/spec/parallelism").unwrap_or(1);
        match int(job, "/spec/completions") {
            None if self.succeeded > 0 => parallelism.min(i64::try_from(self.active.len()).unwrap_or(i64::MAX)),
            None => parallelism,
            Some(completions) => (completions - self.succeeded).max(0).min(parallelism),
        }
    }

    /// The indexes that have neither succeeded nor a pod that runs, lowest first, `limit` of them.
    pub(super) fn missing_indexes(&self, job: &Value, limit: usize) -> Vec<i64> {
        let running: BTreeSet<i64> = self.active.iter().filter_map(|pod| index::of(pod.value())).collect();
        let completions = int(job, "/spec/completions").unwrap_or(0);
        (0..completions).filter(|index| !self.done.contains(index) && !running.contains(index)).take(limit).collect()
    }

    /// The status that says so; conditions and times are the caller's.
    pub(super) fn status(&self, job: &Value, active: i64) -> Value {
        let mut status = job.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}));
        set_count(&mut status, "active", active);
        status["ready"] = self.ready.into();
        status["terminating"] = self.terminating.into();
        if is_indexed(job) && !self.done.is_empty() {
            status["completedIndexes"] = index::print(&self.done).into();
        }
        let mut uncounted = status.get("uncountedTerminatedPods").cloned().unwrap_or_else(|| json!({}));
        for (list, pods) in [("succeeded", &self.new_succeeded), ("failed", &self.new_failed)] {
            if pods.is_empty() {
                continue;
            }
            let mut uids = items(&uncounted, &format!("/{list}")).to_vec();
            uids.extend(pods.iter().map(|pod| Value::from(uid(pod.value()))));
            uncounted[list] = uids.into();
        }
        status["uncountedTerminatedPods"] = uncounted;
        status
    }
}
