//! What came of it.

use apimachinery::value::Value;
use serde::{Deserialize, Serialize};

use crate::replay::Latency;

/// Version of the JSON that a [`Checked`] is written as; raised when a field that exists changes its meaning.
pub const FORMAT_VERSION: u32 = 1;

/// What came of holding the laws against a webhook.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Checked {
    /// [`FORMAT_VERSION`] of whoever wrote it.
    pub format_version: u32,
    /// The webhook, as it was named.
    pub webhook: String,
    /// Records that were read.
    pub read: u64,
    /// Reviews that the laws were held against: one of each shape first.
    pub reviews: u64,
    /// Lines and records that hold no review.
    pub unreadable: u64,
    /// What was wrong with the first of them.
    pub problems: Vec<String>,
    /// The laws, in their order.
    pub laws: Vec<LawResult>,
    /// Requests that were sent.
    pub calls: u64,
    /// How long the answers took.
    pub latency: Latency,
    /// How long everything took, in seconds.
    pub seconds: f64,
}

/// What came of one law.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LawResult {
    /// Its name.
    pub name: String,
    /// What it claims.
    pub claim: String,
    /// Why it matters.
    pub why: String,
    /// What to do about a webhook that breaks it.
    pub remedy: String,
    /// Whether it holds.
    pub verdict: LawVerdict,
    /// Reviews of which it holds.
    pub held: u64,
    /// Reviews of which it does not.
    pub broken: u64,
    /// Reviews about which it says nothing: the webhook denied them, or changed nothing.
    pub silent: u64,
    /// Why it says nothing, if it does so of all.
    pub silence: Option<String>,
    /// The first reviews of which it does not hold, as `namespace/name`.
    pub broken_by: Vec<String>,
    /// The smallest of those, shrunk.
    pub finding: Option<Finding>,
}

/// Whether a law holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LawVerdict {
    /// Of every review it applies to.
    Holds,
    /// Not of all.
    Broken,
    /// It applied to no review.
    #[default]
    Silent,
}

/// A review that breaks a law.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Finding {
    /// Which: `namespace/name`.
    pub review: String,
    /// What was found, a line for each thing.
    pub evidence: Vec<String>,
    /// The review, shrunk as far as it goes: an AdmissionReview that breaks the law when it is sent.
    pub minimal: Value,
    /// Bytes of JSON of the object as captured, and shrunk.
    pub bytes: (usize, usize),
    /// Tests that shrinking took.
    pub tests: usize,
    /// The object as it was, or as it should have been; null if the law is not about objects.
    pub before: Value,
    /// The object as the webhook made it.
    pub after: Value,
    /// Files in which it was saved.
    pub saved: Vec<String>,
    /// The review as it was captured, for whoever takes secrets out: in a part it may not be told that something is one.
    #[serde(skip)]
    pub captured: Value,
}

impl Checked {
    /// The reviews of which findings show a part.
    #[must_use]
    pub fn captured(&self) -> Vec<&Value> {
        self.laws.iter().filter_map(|law| law.finding.as_ref()).map(|finding| &finding.captured).collect()
    }

    /// No law is broken, everything could be read, and there was something to hold the laws against.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.broken().next().is_none() && self.unreadable == 0 && self.reviews > 0
    }

    /// The laws that are broken.
    pub fn broken(&self) -> impl Iterator<Item = &LawResult> {
        self.laws.iter().filter(|law| law.verdict == LawVerdict::Broken)
    }
}
