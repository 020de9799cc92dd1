//! The result of a comparison, as reports show it and machines read it.

use std::collections::BTreeMap;

use apimachinery::value::Value;
use serde::{Deserialize, Serialize};

use super::names::names;
use crate::replay::{Counts, Latency};

/// Version of the JSON that a [`Comparison`] is written as; raised when a field that exists changes its meaning.
pub const FORMAT_VERSION: u32 = 1;

/// The result of a comparison. Every review is in exactly one of `equal`, `different`, `one_sided`, `unanswered` and
/// `not_recorded`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Comparison {
    /// [`FORMAT_VERSION`] of whoever wrote it.
    pub format_version: u32,
    /// Names of the logs.
    pub logs: Vec<String>,
    /// What is in place.
    pub baseline: Side,
    /// What might take its place.
    pub candidate: Side,
    /// Reviews that were read.
    pub reviews: u64,
    /// Reviews of which both sides made the same.
    pub equal: u64,
    /// Reviews that both sides answered, in different ways.
    pub different: u64,
    /// Reviews that only one side gave a valid answer to. Each is in a class of kind [`ChangeKind::Decision`], too.
    pub one_sided: u64,
    /// Reviews that neither side gave a valid answer to.
    pub unanswered: u64,
    /// Records without a response, where a side is what was recorded.
    pub not_recorded: u64,
    /// Lines of the logs that could not be read.
    pub unreadable: u64,
    /// What was wrong with the first of them.
    pub problems: Vec<String>,
    /// What changed, the largest class first.
    pub classes: Vec<Class>,
    /// Differences beyond the classes that are kept apart; 0 in all but the strangest logs.
    pub unclassified: u64,
    /// Differing reviews in the log's order, for a list that can be searched; bounded.
    pub pods: Vec<PodRow>,
    /// Differing reviews that are not in `pods`.
    pub pods_unlisted: u64,
    /// Patterns of the allow-list that no class matched.
    pub allowed_unused: Vec<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Whether it was ended before the logs were.
    pub interrupted: bool,
}

/// One of the two that are compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Side {
    /// As it was named on the command line: a URL, a file, `recorded`, `exec:…`.
    pub name: String,
    /// What became of the reviews.
    pub counts: Counts,
    /// How long its answers took; empty for recorded ones without times.
    pub latency: Latency,
}

/// What kind of difference a class is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// A value is another.
    #[default]
    Changed,
    /// Something is there that was not.
    Added,
    /// Something is gone.
    Removed,
    /// The same items in another order.
    Reordered,
    /// It is in another list; both values are names of lists.
    Moved,
    /// Injected, skipped, denied (with its message) or failed, where the other side did something else.
    Decision,
    /// Warnings for the client.
    Warning,
    /// Annotations for the audit log.
    AuditAnnotation,
}

/// One difference, at one place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Change {
    /// What kind it is.
    pub kind: ChangeKind,
    /// Where: a JSON pointer in which items of lists are named by their merge key
    /// (`/spec/containers[name=istio-proxy]/image`), and `:json` enters JSON that is the text of a string
    /// (`/metadata/annotations/sidecar.istio.io~1status:json/version`). Names of the pod's own are placeholders, such as
    /// `<name>`. For the kinds that are not about the object: `decision`, `warnings`, `auditAnnotations/KEY`.
    pub path: String,
    /// The baseline's value, the pod's own names replaced by placeholders; none if it has none.
    pub before: Option<Value>,
    /// The candidate's.
    pub after: Option<Value>,
}

/// What changed about one thing (a container, a volume, an annotation, the probes of the pod's own containers), or about
/// several of a kind that always change together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Class {
    /// Twelve hexadecimal digits, the same in every run for the same things.
    pub id: String,
    /// In words, such as `container istio-proxy: changed image; added env ×2`.
    pub title: String,
    /// What changed about it, the most frequent first; at least one.
    pub parts: Vec<Part>,
    /// Reviews in which any of the parts was found.
    pub count: u64,
    /// Those reviews by namespace; `…` stands for namespaces beyond the limit.
    pub namespaces: BTreeMap<String, u64>,
    /// Those reviews by controlling owner, `Deployment/web`; `…` stands for owners beyond the limit.
    pub owners: BTreeMap<String, u64>,
    /// The first of them; none beyond the limit of examples.
    pub example: Option<Example>,
    /// Why the allow-list expects all of its parts; none if it does not.
    pub allowed: Option<String>,
}

/// One change at one place, whatever its values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Part {
    /// Twelve hexadecimal digits, the same in every run for the same kind of change at the same place.
    pub id: String,
    /// In words, such as `image of container istio-proxy: a → b`.
    pub title: String,
    /// What changed and where; the values are those found first.
    pub change: Change,
    /// Reviews in which it was found.
    pub count: u64,
    /// How many different pairs of values there were.
    pub variants: u64,
    /// The first of them, and how often each was found; one if something was added or removed whole.
    pub values: Vec<Values>,
    /// Why the allow-list expects it; none if it does not.
    pub allowed: Option<String>,
}

/// A pair of values at a place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Values {
    /// The baseline's, the pod's own names replaced by placeholders; none if it has none.
    pub before: Option<Value>,
    /// The candidate's.
    pub after: Option<Value>,
    /// How often it was found.
    pub count: u64,
}

/// A review as both sides left its object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Example {
    /// The log.
    pub log: String,
    /// Line in the log, from 1.
    pub line: u64,
    /// The review's uid.
    pub uid: String,
    /// Namespace, empty if there is none.
    pub namespace: String,
    /// Name, or `generateName` followed by `…`.
    pub name: String,
    /// The object after the baseline's patch; null if it was denied or not answered.
    pub before: Value,
    /// The object after the candidate's patch.
    pub after: Value,
    /// The smallest object found that still shows the class, before any patch; none if it was not shrunk.
    pub minimal: Option<Value>,
    /// The file that the reproduction was saved in.
    pub scenario: Option<String>,
}

/// A differing review, as a row of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodRow {
    /// Line in the log, from 1.
    pub line: u64,
    /// Namespace.
    pub namespace: String,
    /// Name, or `generateName` followed by `…`.
    pub name: String,
    /// Controlling owner, `ReplicaSet/web`; empty if there is none.
    pub owner: String,
    /// Ids of its classes.
    pub classes: Vec<String>,
}

/// How many differences are expected and how many are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Classes that the allow-list does not expect.
    pub unexpected: usize,
    /// Classes that it expects.
    pub allowed: usize,
}

impl Comparison {
    /// What baseline and candidate are called where there is little room: as short as tells them apart.
    #[must_use]
    pub fn names(&self) -> (String, String) {
        names(&self.baseline.name, &self.candidate.name)
    }

    /// Classes by whether they are expected.
    #[must_use]
    pub fn tallies(&self) -> Tallies {
        let allowed = self.classes.iter().filter(|class| class.allowed.is_some()).count();
        Tallies { unexpected: self.classes.len() - allowed, allowed }
    }

    /// No difference but those that are expected, and everything was read and compared to the end: exit code 0.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        let all_read = self.unclassified == 0 && self.unanswered == 0 && self.unreadable == 0 && !self.interrupted;
        self.tallies().unexpected == 0 && all_read
    }
}
