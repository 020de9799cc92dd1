//! The trace of a request: every webhook considered, called or not and why, what it answered and what changed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::value::{Value, json};

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
    /// The line as JSON: `detail` is the whole patch, or the text of why.
    pub fn to_json(&self) -> Value {
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

/// Operations of a patch that are shown; the JSON has all, with their values.
const SHOWN: usize = 6;

/// What a patch does, in short: `3 operations: add /spec/containers/-, …`.
struct Operations<'a>(&'a Value);

impl fmt::Display for Operations<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Policies give no patch.
        let Some(operations) = self.0.as_array() else { return f.write_str("by an expression") };
        write!(f, "{} operation{}", operations.len(), if operations.len() == 1 { "" } else { "s" })?;
        for (index, operation) in operations.iter().take(SHOWN).enumerate() {
            let text = |key: &str| operation[key].as_str().unwrap_or_default();
            write!(f, "{} {} {}", if index == 0 { ":" } else { "," }, text("op"), text("path"))?;
        }
        if operations.len() > SHOWN {
            write!(f, ", … and {} more", operations.len() - SHOWN)?;
        }
        Ok(())
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
            Outcome::Patched(patch) => write!(f, ": patched in {:?}: {}", self.took, Operations(patch)),
            Outcome::Denied(message) => write!(f, ": denied in {:?}: {message}", self.took),
            Outcome::FailedOpen(error) => write!(f, ": failed, ignored, in {:?}: {error}", self.took),
            Outcome::Failed(error) => write!(f, ": failed in {:?}: {error}", self.took),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use apimachinery::value::json;

    use super::{Entry, Outcome, Phase};

    #[test]
    fn a_patch_is_told_in_short_and_kept_whole() {
        let operation = |path: &str| json!({"op": "add", "path": path, "value": {"much": "more"}});
        let patch: Vec<_> = (0..9).map(|index| operation(&format!("/spec/{index}"))).collect();
        let entry = Entry {
            phase: Phase::Mutating,
            round: 1,
            configuration: "c".to_owned(),
            webhook: "h.example.com".to_owned(),
            uid: "u".to_owned(),
            outcome: Outcome::Patched(json!(patch).into()),
            took: Duration::from_millis(3),
        };
        assert_eq!(
            entry.to_string(),
            "mutating round 1 c/h.example.com: patched in 3ms: 9 operations: add /spec/0, add /spec/1, add /spec/2, \
             add /spec/3, add /spec/4, add /spec/5, … and 3 more"
        );
        assert_eq!(entry.to_json()["detail"], json!(patch));
        let one = Entry { outcome: Outcome::Patched(json!([operation("/a")]).into()), ..entry };
        assert!(one.to_string().ends_with("patched in 3ms: 1 operation: add /a"), "{one}");
    }
}
