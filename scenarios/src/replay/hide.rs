//! Secrets out of what a replay tells: a webhook's message may quote what it was sent.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use admission::capture::{Answer, Record, Redactor};
use apimachinery::value::{Value, json};
use fake_apiserver::admission::Outcome;

use super::{Traced, Verdict};
use crate::secrets;

/// Texts that have been shown as they are; beyond them each is looked at again.
const KNOWN: usize = 10_000;
/// Longer texts are looked at each time.
const LONGEST_KNOWN: usize = 1024;
/// In place of what could not be searched.
const UNKNOWN: &str = "a text that could not be searched for secrets (--show-values shows it)";

/// Takes secrets out of verdicts and traces, by the rules of captured logs, with a key that nobody knows.
pub struct Hide {
    redactor: Redactor,
    /// Looking at a text means looking at its whole review, and most texts are said again and again. What one review let
    /// pass is shown by then: to hide the same text for another one, of which it quotes something, would hide nothing.
    harmless: Mutex<HashSet<String>>,
}

impl std::fmt::Debug for Hide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hide").finish_non_exhaustive()
    }
}

impl Hide {
    /// # Errors
    /// The system has no randomness for a key.
    pub fn new() -> Result<Self, String> {
        Ok(Self { redactor: secrets::redactor()?, harmless: Mutex::default() })
    }

    /// A verdict that quotes no secret of the review.
    pub(super) fn verdict(&self, record: &Record, verdict: Verdict) -> Verdict {
        let text = |text| self.text(record, text);
        match verdict {
            Verdict::Skipped(why) => Verdict::Skipped(text(why)),
            Verdict::Denied(why) => Verdict::Denied(text(why)),
            Verdict::Failed(why) => Verdict::Failed(text(why)),
            other @ (Verdict::Injected | Verdict::NotReplayable(_)) => other,
        }
    }

    /// A trace that shows no secret and quotes none.
    pub(super) fn traced(&self, record: &Record, mut traced: Traced) -> Traced {
        let review = serde_json::from_str(&record.body).unwrap_or(Value::Null);
        let all = json!({ "review": review, "traced": traced.json() });
        let shown = secrets::hidden(&self.redactor, &all).map(|mut all| all["traced"].take());
        traced.shown = Some(shown.unwrap_or_else(|_| UNKNOWN.into()));
        traced.verdict = self.verdict(record, traced.verdict);
        for text in traced.warnings.iter_mut().chain(traced.audit.values_mut()) {
            *text = self.text(record, std::mem::take(text));
        }
        for entry in &mut traced.admission.entries {
            if let Outcome::Skipped(text) | Outcome::Denied(text) | Outcome::FailedOpen(text) | Outcome::Failed(text) =
                &mut entry.outcome
            {
                *text = self.text(record, std::mem::take(text));
            }
            if let Outcome::Patched(patch) = &mut entry.outcome {
                // Paths may hold what was an annotation's value; values are not shown as text at all.
                *patch = Arc::new(secrets::hidden(&self.redactor, patch).unwrap_or_default());
            }
        }
        traced
    }

    fn text(&self, record: &Record, text: String) -> String {
        let known =
            |known: &Mutex<HashSet<String>>| known.lock().unwrap_or_else(PoisonError::into_inner).contains(&text);
        if text.is_empty() || known(&self.harmless) {
            return text;
        }
        // As if the webhook had said it as a warning.
        let answer = json!({ "kind": "AdmissionReview", "response": { "allowed": true, "warnings": [text] } });
        let mut asked = Record {
            query: record.query.clone(),
            headers: record.headers.clone(),
            body: record.body.clone(),
            response: Some(Answer { status: 200, headers: Vec::new(), body: answer.to_string() }),
            ..Record::default()
        };
        self.redactor.record(&mut asked);
        let answer: Value =
            asked.response.and_then(|answer| serde_json::from_str(&answer.body).ok()).unwrap_or_default();
        let Some(shown) = answer["response"]["warnings"][0].as_str() else { return UNKNOWN.to_owned() };
        if shown == text {
            let mut harmless = self.harmless.lock().unwrap_or_else(PoisonError::into_inner);
            if harmless.len() < KNOWN && text.len() <= LONGEST_KNOWN {
                harmless.insert(text.clone());
            }
            return text;
        }
        shown.to_owned()
    }
}
