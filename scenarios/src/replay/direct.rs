//! Straight at a webhook: the recorded bytes, to the recorded path.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use admission::capture::Record;
use admission::review::{AdmissionReview, Reply, ReplyBody, Version};
use bytes::Bytes;

use super::target::{Subject, Target, Verdict, Worker};
use crate::https::{Connection, Endpoint};

/// Posts each record's body, byte for byte as it was captured, to a webhook.
///
/// The path is the one in the webhook's URL, or the record's own if the URL has none; the record's query
/// (`timeout=10s`) is kept.
pub struct Direct {
    endpoint: Endpoint,
    paths: fn(&str) -> &str,
}

impl Direct {
    /// At this endpoint.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, paths: |path| path }
    }

    /// The sidecar injector at this endpoint; see [`injector_path`].
    #[must_use]
    pub fn injector(endpoint: Endpoint) -> Self {
        Self { endpoint, paths: injector_path }
    }
}

impl Target for Direct {
    fn worker(&self) -> Box<dyn Worker> {
        let (path, connection) = (self.endpoint.path().to_owned(), self.endpoint.connection());
        Box::new(DirectWorker { path, connection, paths: self.paths })
    }
}

struct DirectWorker {
    path: String,
    connection: Connection,
    paths: fn(&str) -> &str,
}

impl Worker for DirectWorker {
    fn send<'a>(&'a mut self, record: &'a Record) -> Pin<Box<dyn Future<Output = (Subject, Verdict)> + Send + 'a>> {
        Box::pin(async move {
            // Not a review: the webhook still gets it, it is what was captured; only the report cannot say whose it was.
            let review = record.review();
            let subject = review.as_ref().map_or_else(|_| Subject::unknown(), |review| Subject::of(&review.request));
            let target = target(&self.path, record, self.paths);
            let verdict = match self.connection.post(&target, Bytes::from(record.body.clone())).await {
                Ok((status, body)) => judge(review.as_ref().ok(), status, &body),
                Err(error) => Verdict::Failed(error.to_string()),
            };
            (subject, verdict)
        })
    }
}

/// Where our injector takes a review that was captured at this path: it serves `/inject`, with Istio's parameters after it,
/// and nothing else, whereas a log may come from a webhook of any path.
#[must_use]
pub fn injector_path(captured: &str) -> &str {
    if captured.starts_with("/inject/") { captured } else { "/inject" }
}

fn target(path: &str, record: &Record, paths: fn(&str) -> &str) -> String {
    let path = match &*record.path {
        _ if path != "/" => path,
        captured if captured.starts_with('/') => paths(captured),
        _ => paths(path),
    };
    if record.query.is_empty() { path.to_owned() } else { format!("{path}?{}", record.query) }
}

/// What an HTTP answer means, by the rules that an apiserver applies to it.
fn judge(asked: Option<&AdmissionReview<'_>>, status: u16, body: &[u8]) -> Verdict {
    if !(200..300).contains(&status) {
        let text = String::from_utf8_lossy(&body[..body.len().min(200)]);
        return Verdict::Failed(format!("HTTP {status}: {}", text.trim()));
    }
    let reply = match Reply::decode(body) {
        Ok(reply) => reply,
        Err(error) => return Verdict::Failed(format!("answer is not an AdmissionReview: {error}")),
    };
    let Some(response) = reply.response else {
        return Verdict::Failed("answer has no response".to_owned());
    };
    // v1beta1 forgives both.
    if let Some(asked) = asked
        && asked.version == Version::V1
    {
        if reply.api_version != asked.version.api_version() || reply.kind != "AdmissionReview" {
            return Verdict::Failed(format!(
                "answer says {} {}, not {} AdmissionReview",
                quoted(&reply.api_version),
                quoted(&reply.kind),
                asked.version
            ));
        }
        if response.uid != asked.request.uid {
            return Verdict::Failed(format!(
                "answer is for uid {}, asked was {}",
                quoted(&response.uid),
                quoted(&asked.request.uid)
            ));
        }
        if response.patch.is_some() && response.patch_type != "JSONPatch" {
            return Verdict::Failed(format!("patchType is {}, not JSONPatch", quoted(&response.patch_type)));
        }
    }
    verdict(&response)
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn verdict(response: &ReplyBody) -> Verdict {
    if !response.allowed {
        let status = response.status.clone().unwrap_or_default();
        let message = [status.message, status.reason].into_iter().find(|text| !text.is_empty());
        return Verdict::Denied(message.unwrap_or_else(|| "without explanation".to_owned()));
    }
    let patch = response.patch.as_deref().unwrap_or_default();
    let changes = !matches!(patch.trim_ascii(), b"" | b"[]" | b"null");
    if changes { Verdict::Injected } else { Verdict::Skipped(why(&response.audit_annotations, &response.warnings)) }
}

/// The audit annotation in which our injector says why it did or did not inject.
const DECISION: &str = "injection";

/// Why nothing was changed: what the webhook says for the audit log, else its warnings. Annotations may carry the
/// webhook's name in front, as they do in an audit event.
pub(super) fn why(annotations: &BTreeMap<String, String>, warnings: &[String]) -> String {
    let ours = annotations.iter().find(|(key, _)| key.rsplit('/').next() == Some(DECISION)).map(|(_, text)| {
        let inner = text.strip_prefix("not injected (").and_then(|text| text.strip_suffix(')'));
        inner.unwrap_or(text).to_owned()
    });
    ours.or_else(|| annotations.iter().next().map(|(key, text)| format!("{key}: {text}")))
        .or_else(|| warnings.first().cloned())
        .unwrap_or_else(|| "no patch, and no reason given".to_owned())
}
