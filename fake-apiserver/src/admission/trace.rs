//! The trace of a request: every webhook considered, called or not and why, what it answered and what changed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

/// Which of the two webhook phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Webhooks that may change the object, one after the other.
    Mutating,
    /// Webhooks that only judge, all at once.
    Validating,
}

impl Phase {
    /// `mutating` or `validating`.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Mutating => "mutating",
            Phase::Validating => "validating",
        }
    }
}

/// What became of one webhook (or policy, or plugin) in one round.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Not called; the text says which rule, selector or condition did not match.
    Skipped(String),
    /// Called and allowed; nothing changed.
    Allowed,
    /// Called, and its patch changed the object.
    Patched(Arc<Value>),
    /// Called and denied, with the message.
    Denied(String),
    /// The call failed and failurePolicy Ignore let the request pass.
    FailedOpen(String),
    /// The call failed and the request with it.
    Failed(String),
}

/// One line of the trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Mutating or validating.
    pub phase: Phase,
    /// 0, or 1 for the reinvocation.
    pub round: u8,
    /// Name of the configuration, policy or plugin.
    pub configuration: String,
    /// Name of the webhook; empty for plugins.
    pub webhook: String,
    /// uid of the review that was sent; empty when none was.
    pub uid: String,
    /// What came of it.
    pub outcome: Outcome,
    /// How long the call took; zero when there was none.
    pub took: Duration,
}

/// All lines of one request, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The lines.
    pub entries: Vec<Entry>,
}

impl Trace {
    /// Adds a line.
    pub fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// The trace as JSON: an array with one object per line.
    pub fn to_json(&self) -> Value {
        self.entries.iter().map(Entry::to_json).collect()
    }
}

impl Entry {
    fn to_json(&self) -> Value {
        let (outcome, detail) = match &self.outcome {
            Outcome::Skipped(why) => ("skipped", json!(why)),
            Outcome::Allowed => ("allowed", Value::Null),
            Outcome::Patched(patch) => ("patched", Value::clone(patch)),
            Outcome::Denied(message) => ("denied", json!(message)),
            Outcome::FailedOpen(error) => ("failedOpen", json!(error)),
            Outcome::Failed(error) => ("failed", json!(error)),
        };
        json!({
            "phase": self.phase.as_str(), "round": self.round, "configuration": self.configuration,
            "webhook": self.webhook, "uid": self.uid, "outcome": outcome, "detail": detail,
            "micros": u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
        })
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.iter().try_for_each(|entry| writeln!(f, "{entry}"))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} round {} {}", self.phase.as_str(), self.round, self.configuration)?;
        if !self.webhook.is_empty() {
            write!(f, "/{}", self.webhook)?;
        }
        match &self.outcome {
            Outcome::Skipped(why) => write!(f, ": not called: {why}"),
            Outcome::Allowed => write!(f, ": allowed in {:?}", self.took),
            Outcome::Patched(patch) => write!(f, ": patched in {:?}: {patch}", self.took),
            Outcome::Denied(message) => write!(f, ": denied in {:?}: {message}", self.took),
            Outcome::FailedOpen(error) => write!(f, ": failed, ignored, in {:?}: {error}", self.took),
            Outcome::Failed(error) => write!(f, ": failed in {:?}: {error}", self.took),
        }
    }
}
