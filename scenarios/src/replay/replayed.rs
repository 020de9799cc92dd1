//! The figures of a replay, kept small however many reviews there are.

use std::collections::BTreeMap;
use std::time::Duration;

use apimachinery::value::{Value, json, to_value};
use serde::{Deserialize, Serialize};

use super::{Latency, Problem, Subject, Verdict};

/// Different reasons (or messages) that are counted apart; what comes after is counted as "other".
const REASONS: usize = 200;
/// Namespaces and owners that are counted apart; what comes after is counted under `…`.
const GROUPS: usize = 10_000;
/// Lines that could not be read and are named; the rest is only counted.
const PROBLEMS: usize = 20;
/// Longest reason that is kept, in characters.
const REASON_LENGTH: usize = 400;

/// How many reviews ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Allowed and patched.
    pub injected: u64,
    /// Allowed, nothing changed.
    pub skipped: u64,
    /// Refused.
    pub denied: u64,
    /// Not sent, for it cannot be done again this way.
    #[serde(rename = "notReplayable")]
    pub not_replayable: u64,
    /// No valid answer.
    pub failed: u64,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub const fn reviews(&self) -> u64 {
        self.injected + self.skipped + self.denied + self.not_replayable + self.failed
    }

    pub(crate) fn add(&mut self, verdict: &Verdict) {
        *match verdict {
            Verdict::Injected => &mut self.injected,
            Verdict::Skipped(_) => &mut self.skipped,
            Verdict::Denied(_) => &mut self.denied,
            Verdict::NotReplayable(_) => &mut self.not_replayable,
            Verdict::Failed(_) => &mut self.failed,
        } += 1;
    }

    fn json(&self) -> Value {
        json!({
            "reviews": self.reviews(), "injected": self.injected, "skipped": self.skipped,
            "denied": self.denied, "notReplayable": self.not_replayable, "failed": self.failed,
        })
    }

    fn merge(&mut self, other: &Self) {
        self.injected += other.injected;
        self.skipped += other.skipped;
        self.denied += other.denied;
        self.not_replayable += other.not_replayable;
        self.failed += other.failed;
    }
}

/// The outcome of a replay.
#[derive(Debug, Default)]
pub struct Replayed {
    /// All reviews.
    pub totals: Counts,
    /// By namespace and owner.
    pub groups: BTreeMap<Subject, Counts>,
    /// Why reviews were skipped, and how many.
    pub skipped: BTreeMap<String, u64>,
    /// With which messages reviews were denied, and how many.
    pub denied: BTreeMap<String, u64>,
    /// Why reviews were not sent, and how many.
    pub not_replayable: BTreeMap<String, u64>,
    /// With which errors reviews failed, and how many.
    pub failed: BTreeMap<String, u64>,
    /// Lines that could not be read.
    pub unreadable: u64,
    /// What was wrong with the first of them.
    pub problems: Vec<String>,
    /// From the first request to the last answer.
    pub took: Duration,
    /// How long answers took, from the intended start.
    pub latency: Latency,
    /// Whether it was ended before the log was.
    pub interrupted: bool,
}

impl Replayed {
    /// How many reviews were sent.
    #[must_use]
    pub const fn reviews(&self) -> u64 {
        self.totals.reviews()
    }

    /// Every line was read and every review got a valid answer; a denial is one. A part of a log is not well.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.totals.failed == 0 && self.unreadable == 0 && self.reviews() > 0 && !self.interrupted
    }

    /// Reviews a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let seconds = self.took.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "for show")]
        if seconds > 0.0 { self.reviews() as f64 / seconds } else { 0.0 }
    }

    /// The latency below which this share (0 to 100) of the requests stayed.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        self.latency.percentile(share)
    }

    pub(crate) fn add(&mut self, subject: &Subject, verdict: Verdict, took: Duration) {
        self.totals.add(&verdict);
        let space = self.groups.len() < GROUPS;
        match self.groups.get_mut(subject) {
            Some(counts) => counts.add(&verdict),
            None => {
                let subject = if space { subject.clone() } else { Subject::new("…", "…") };
                self.groups.entry(subject).or_default().add(&verdict);
            }
        }
        if !matches!(verdict, Verdict::NotReplayable(_)) {
            self.latency.add(took);
        }
        let (reasons, text) = match verdict {
            Verdict::Injected => return,
            Verdict::Skipped(text) => (&mut self.skipped, text),
            Verdict::Denied(text) => (&mut self.denied, text),
            Verdict::NotReplayable(text) => (&mut self.not_replayable, text),
            Verdict::Failed(text) => (&mut self.failed, text),
        };
        count(reasons, one_line(&text), 1);
    }

    pub(crate) fn unreadable(&mut self, problem: Problem) {
        self.unreadable += 1;
        if self.problems.len() < PROBLEMS {
            self.problems.push(one_line(&problem.to_string()));
        }
    }

    /// Everything, for machines. Durations are in microseconds.
    #[must_use]
    pub fn json(&self) -> Value {
        let micros = |share| u64::try_from(self.percentile(share).as_micros()).unwrap_or(u64::MAX);
        let groups: Vec<Value> = self
            .groups
            .iter()
            .map(|(subject, counts)| {
                let mut group = counts.json();
                group["namespace"] = subject.namespace.as_str().into();
                group["owner"] = subject.owner.as_str().into();
                group
            })
            .collect();
        json!({
            "ok": self.is_ok(),
            "interrupted": self.interrupted,
            "totals": self.totals.json(),
            "groups": groups,
            "skipped": self.skipped, "denied": self.denied, "notReplayable": self.not_replayable, "failed": self.failed,
            "unreadable": { "lines": self.unreadable, "first": self.problems },
            "seconds": self.took.as_secs_f64(),
            "reviewsPerSecond": self.rate(),
            "latencyMicros": {
                "p50": micros(50.0), "p90": micros(90.0), "p99": micros(99.0), "p999": micros(99.9), "max": micros(100.0),
            },
            "latencyHistogram": to_value(&self.latency).unwrap_or_default(),
        })
    }

    /// Reads what [`json`](Self::json) wrote.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Written {
            totals: Counts,
            groups: Vec<Group>,
            skipped: BTreeMap<String, u64>,
            denied: BTreeMap<String, u64>,
            #[serde(default)]
            not_replayable: BTreeMap<String, u64>,
            failed: BTreeMap<String, u64>,
            unreadable: Unreadable,
            seconds: f64,
            latency_histogram: Latency,
            #[serde(default)]
            interrupted: bool,
        }
        #[derive(Deserialize)]
        struct Group {
            namespace: String,
            owner: String,
            #[serde(flatten)]
            counts: Counts,
        }
        #[derive(Deserialize)]
        struct Unreadable {
            lines: u64,
            first: Vec<String>,
        }
        let written =
            Written::deserialize(value.clone()).map_err(|error| format!("not the result of a replay: {error}"))?;
        Ok(Self {
            totals: written.totals,
            groups: written
                .groups
                .into_iter()
                .map(|group| (Subject { namespace: group.namespace, owner: group.owner }, group.counts))
                .collect(),
            skipped: written.skipped,
            denied: written.denied,
            not_replayable: written.not_replayable,
            failed: written.failed,
            unreadable: written.unreadable.lines,
            problems: written.unreadable.first,
            took: Duration::try_from_secs_f64(written.seconds).unwrap_or_default(),
            latency: written.latency_histogram,
            interrupted: written.interrupted,
        })
    }

    /// Adds the result of another part of the same log, replayed at the same time: counts and latencies add up, the longer
    /// time is the time of both.
    pub fn merge(&mut self, other: &Self) {
        self.totals.merge(&other.totals);
        for (subject, counts) in &other.groups {
            self.groups.entry(subject.clone()).or_default().merge(counts);
        }
        for (mine, theirs) in [
            (&mut self.skipped, &other.skipped),
            (&mut self.denied, &other.denied),
            (&mut self.not_replayable, &other.not_replayable),
            (&mut self.failed, &other.failed),
        ] {
            for (reason, times) in theirs {
                count(mine, reason.clone(), *times);
            }
        }
        self.unreadable += other.unreadable;
        let space = PROBLEMS.saturating_sub(self.problems.len());
        self.problems.extend(other.problems.iter().take(space).cloned());
        self.took = self.took.max(other.took);
        self.latency.merge(&other.latency);
        self.interrupted |= other.interrupted;
    }
}

/// Counts a reason; beyond the limit of different ones as "other".
fn count(reasons: &mut BTreeMap<String, u64>, reason: String, times: u64) {
    let known = reasons.len() < REASONS || reasons.contains_key(&reason);
    *reasons.entry(if known { reason } else { "other".to_owned() }).or_default() += times;
}

fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(REASON_LENGTH) {
        line.truncate(end);
        line.push('…');
    }
    line
}
