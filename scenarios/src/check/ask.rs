//! Asking the webhook, and what its answers mean.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use admission::review::{Reply, ReplyBody};
use apimachinery::json_patch::Patch;
use apimachinery::value::Value;
use bytes::Bytes;
use tokio::time::Instant;

use super::case::Case;
use crate::https::{Answer, Connection, Endpoint, Error};
use crate::replay::Latency;

/// Asks one webhook; counts and measures.
pub(super) struct Asker {
    endpoint: Endpoint,
    paths: fn(&str) -> &str,
    idle: Mutex<Vec<Connection>>,
    calls: AtomicU64,
    latency: Mutex<Latency>,
}

/// A valid answer.
pub(super) struct Answered {
    /// `kind` and `apiVersion` as they came.
    pub(super) envelope: (String, String),
    pub(super) response: ReplyBody,
    pub(super) content_type: Option<String>,
    pub(super) took: Duration,
}

/// An object before and after the webhook's patch.
pub(super) struct Patched {
    pub(super) before: Value,
    pub(super) after: Value,
    pub(super) answered: Answered,
}

/// Why there is no patched object.
pub(super) enum Unpatched {
    /// The webhook refused the object, with this message.
    Denied(String),
    /// No valid answer, or a patch that does not apply.
    Failed(String),
}

impl Asker {
    pub(super) fn new(endpoint: Endpoint, paths: fn(&str) -> &str) -> Self {
        Self {
            endpoint,
            paths,
            idle: Mutex::default(),
            calls: AtomicU64::new(0),
            latency: Mutex::new(Latency::default()),
        }
    }

    /// Requests so far.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How long answers took so far.
    pub(super) fn latency(&self) -> Latency {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Posts any body, with any content type.
    pub(super) async fn post(
        &self,
        case: &Case,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<(Answer, Duration), Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = idle.unwrap_or_else(|| self.endpoint.connection());
        self.calls.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let answer = connection.send(&self.target(case), content_type, body).await?;
        let took = begun.elapsed();
        self.latency.lock().unwrap_or_else(PoisonError::into_inner).add(took);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok((answer, took))
    }

    /// Asks; the error says in words why the answer is none.
    pub(super) async fn ask(&self, case: &Case, review: &Value) -> Result<Answered, String> {
        let body = serde_json::to_vec(review).map_err(|error| error.to_string())?;
        let asked = self.post(case, Some("application/json"), body.into()).await;
        let (answer, took) = asked.map_err(|error| error.to_string())?;
        if !(200..300).contains(&answer.status) {
            let text = String::from_utf8_lossy(&answer.body[..answer.body.len().min(200)]).trim().to_owned();
            return Err(format!("HTTP {}: {text}", answer.status));
        }
        let reply =
            Reply::decode(&answer.body).map_err(|error| format!("the answer is no AdmissionReview: {error}"))?;
        let response = reply.response.ok_or("the answer has no response")?;
        let envelope = (reply.kind, reply.api_version);
        Ok(Answered { envelope, response, content_type: answer.content_type, took })
    }

    /// Asks, and applies the patch to the object as it was sent.
    pub(super) async fn patch(&self, case: &Case, review: &Value) -> Result<Patched, Unpatched> {
        let answered = self.ask(case, review).await.map_err(Unpatched::Failed)?;
        if !answered.response.allowed {
            let status = answered.response.status.unwrap_or_default();
            let message = [status.message, status.reason].into_iter().find(|text| !text.is_empty());
            return Err(Unpatched::Denied(message.unwrap_or_else(|| "without explanation".to_owned())));
        }
        let before = review["request"]["object"].clone();
        let patch = answered.response.patch.as_deref().unwrap_or_default();
        let after = if patch.is_empty() {
            before.clone()
        } else {
            let apply = Patch::parse(patch).and_then(|patch| patch.apply(before.clone()));
            apply.map_err(|error| Unpatched::Failed(format!("the patch does not apply: {error}")))?
        };
        Ok(Patched { before, after, answered })
    }

    fn target(&self, case: &Case) -> String {
        let path = match &*case.path {
            _ if self.endpoint.path() != "/" => self.endpoint.path(),
            recorded if recorded.starts_with('/') => (self.paths)(recorded),
            _ => (self.paths)(self.endpoint.path()),
        };
        format!("{path}?{}", case.query)
    }
}

impl Patched {
    /// Whether the patch changed anything.
    pub(super) fn changed(&self) -> bool {
        self.before != self.after
    }
}
