//! The figures of a replay, kept small however many reviews there are.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Latency, Problem, Subject, Verdict};

/// Different reasons (or messages) that are counted apart; what comes after is counted as "other".
const REASONS: usize = 200;
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
    /// No valid answer.
    pub failed: u64,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub const fn reviews(&self) -> u64 {
        self.injected + self.skipped + self.denied + self.failed
    }

    pub(crate) fn add(&mut self, verdict: &Verdict) {
        *match verdict {
            Verdict::Injected => &mut self.injected,
            Verdict::Skipped(_) => &mut self.skipped,
            Verdict::Denied(_) => &mut self.denied,
            Verdict::Failed(_) => &mut self.failed,
        } += 1;
    }

    fn json(&self) -> Value {
        json!({
            "reviews": self.reviews(), "injected": self.injected, "skipped": self.skipped,
            "denied": self.denied, "failed": self.failed,
        })
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
}

impl Replayed {
    /// How many reviews were sent.
    #[must_use]
    pub const fn reviews(&self) -> u64 {
        self.totals.reviews()
    }

    /// Every line was read and every review got a valid answer; a denial is one.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.totals.failed == 0 && self.unreadable == 0 && self.reviews() > 0
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
        match self.groups.get_mut(subject) {
            Some(counts) => counts.add(&verdict),
            None => self.groups.entry(subject.clone()).or_default().add(&verdict),
        }
        self.latency.add(took);
        let (reasons, text) = match verdict {
            Verdict::Injected => return,
            Verdict::Skipped(text) => (&mut self.skipped, text),
            Verdict::Denied(text) => (&mut self.denied, text),
            Verdict::Failed(text) => (&mut self.failed, text),
        };
        let text = one_line(&text);
        let known = reasons.len() < REASONS || reasons.contains_key(&text);
        *reasons.entry(if known { text } else { "other".to_owned() }).or_default() += 1;
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
            "totals": self.totals.json(),
            "groups": groups,
            "skipped": self.skipped, "denied": self.denied, "failed": self.failed,
            "unreadable": { "lines": self.unreadable, "first": self.problems },
            "seconds": self.took.as_secs_f64(),
            "reviewsPerSecond": self.rate(),
            "latencyMicros": {
                "p50": micros(50.0), "p90": micros(90.0), "p99": micros(99.0), "p999": micros(99.9), "max": micros(100.0),
            },
        })
    }
}

fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(REASON_LENGTH) {
        line.truncate(end);
        line.push('…');
    }
    line
}
