//! A webhook asked straight, without an apiserver, and what its answer means.

use std::collections::BTreeMap;
use std::sync::Arc;

use admission::capture::Record;
use admission::review::{Reply, ReplyBody, Version};
use apimachinery::skim::Skim;
use bytes::Bytes;
use injector::Injector;

use super::target::{Subject, Verdict, owner_kind};
use crate::https::{Connection, Endpoint};

/// A webhook that can be asked straight.
#[derive(Clone)]
pub enum Webhook {
    /// At a URL. Bodies are posted byte for byte, to the URL's path, or to the recorded one if the URL has none; the
    /// recorded query (`timeout=10s`) is kept.
    Url {
        /// Where.
        endpoint: Endpoint,
        /// Whether it is the sidecar injector: then recorded paths that it does not serve become `/inject`.
        injector: bool,
    },
    /// The sidecar injector in this process, handed the same bytes without a connection.
    Local(Arc<Injector>),
    /// What the log says was answered.
    Recorded,
}

/// A webhook's answer.
pub(crate) enum Heard {
    /// HTTP status and body.
    Answer(u16, Bytes),
    /// No answer, and why.
    Nothing(String),
    /// The log does not say what was answered.
    NotRecorded,
}

/// A way to a webhook, for one request at a time.
pub(crate) enum Wire {
    Url { path: String, connection: Connection, injector: bool },
    Local(Arc<Injector>),
    Recorded,
}

impl Webhook {
    /// A way to it of one's own; it is opened with the first request.
    pub(crate) fn wire(&self) -> Wire {
        match self {
            Self::Url { endpoint, injector } => {
                Wire::Url { path: endpoint.path().to_owned(), connection: endpoint.connection(), injector: *injector }
            }
            Self::Local(injector) => Wire::Local(Arc::clone(injector)),
            Self::Recorded => Wire::Recorded,
        }
    }
}

impl Wire {
    /// Asks what a record asked, with this body in place of the recorded one if there is one.
    pub(crate) async fn ask(&mut self, record: &Record, body: Option<&[u8]>) -> Heard {
        match self {
            Self::Url { path, connection, injector } => {
                let target = target(path, record, *injector);
                let body = Bytes::copy_from_slice(body.unwrap_or(record.body.as_bytes()));
                match connection.post(&target, body).await {
                    Ok((status, body)) => Heard::Answer(status, body),
                    Err(error) => Heard::Nothing(error.to_string()),
                }
            }
            Self::Local(injector) => {
                let body = body.unwrap_or(record.body.as_bytes());
                Heard::Answer(200, injector.review(body, injector_path(&record.path)).body.into())
            }
            Self::Recorded => match &record.response {
                Some(answer) if body.is_none() => Heard::Answer(answer.status, Bytes::from(answer.body.clone())),
                _ => Heard::NotRecorded,
            },
        }
    }
}

/// Where our injector takes a review that was captured at this path: it serves `/inject`, with Istio's parameters after it,
/// and nothing else, whereas a log may come from a webhook of any path.
#[must_use]
pub fn injector_path(captured: &str) -> &str {
    if captured.starts_with("/inject/") { captured } else { "/inject" }
}

fn target(path: &str, record: &Record, injector: bool) -> String {
    let served = |path| if injector { injector_path(path) } else { path };
    let path = match &*record.path {
        _ if path != "/" => path,
        captured if captured.starts_with('/') => served(captured),
        _ => served(path),
    };
    if record.query.is_empty() { path.to_owned() } else { format!("{path}?{}", record.query) }
}

/// What has to be known of a question to judge and count its answer.
pub(crate) struct Asked {
    pub(crate) version: Version,
    pub(crate) uid: String,
    pub(crate) subject: Subject,
}

impl Asked {
    /// Reads it from a record; `None` if that holds no review.
    pub(crate) fn of(record: &Record) -> Option<Self> {
        Self::glance(&record.body).or_else(|| {
            let review = record.review().ok()?;
            let subject = Subject::of(&review.request);
            Some(Self { version: review.version, uid: review.request.uid.into_owned(), subject })
        })
    }

    /// One look through the body, for the shape that nearly every review has.
    fn glance(body: &str) -> Option<Self> {
        let (mut kind, mut version, mut uid, mut namespace, mut owner, mut ended) = ("", "", None, "", "", false);
        // An apiserver writes the object after all else that is looked for: then what follows its metadata is left unread.
        let walked = Skim::new(body).members(&["kind", "apiVersion", "request"], |skim, member| {
            match member {
                0 => kind = skim.plain()?,
                1 => version = skim.plain()?,
                _ => skim.members(&["uid", "namespace", "object"], |skim, member| {
                    match member {
                        0 => uid = Some(skim.plain()?),
                        1 => namespace = skim.plain()?,
                        _ => {
                            let more = [kind, version, namespace].contains(&"") || uid.is_none();
                            owner = owner_kind(skim, more)?;
                            ended = !more;
                            more.then_some(())?;
                        }
                    }
                    Some(())
                })?,
            }
            Some(())
        });
        if walked.is_none() && !ended || kind != "AdmissionReview" {
            return None;
        }
        let version = Version::from_api_version(version)?;
        Some(Self { version, uid: uid?.to_owned(), subject: Subject::new(namespace, owner) })
    }
}

/// What an answer means, by the rules that an apiserver applies to it, and what it holds if it is valid.
pub(crate) fn judge(asked: Option<&Asked>, heard: &Heard) -> (Verdict, Option<ReplyBody>) {
    match heard {
        Heard::Answer(status, body) => match valid(asked, *status, body) {
            Ok(response) => (verdict(&response), Some(response)),
            Err(message) => (Verdict::Failed(message), None),
        },
        Heard::Nothing(message) => (Verdict::Failed(message.clone()), None),
        Heard::NotRecorded => (Verdict::Failed("the log holds no response".to_owned()), None),
    }
}

fn valid(asked: Option<&Asked>, status: u16, body: &[u8]) -> Result<ReplyBody, String> {
    if !(200..300).contains(&status) {
        let text = String::from_utf8_lossy(&body[..body.len().min(200)]);
        return Err(format!("HTTP {status}: {}", text.trim()));
    }
    let reply = Reply::decode(body).map_err(|error| format!("answer is not an AdmissionReview: {error}"))?;
    let Some(response) = reply.response else {
        return Err("answer has no response".to_owned());
    };
    // v1beta1 forgives both.
    if let Some(asked) = asked
        && asked.version == Version::V1
    {
        if reply.api_version != asked.version.api_version() || reply.kind != "AdmissionReview" {
            return Err(format!(
                "answer says {:?} {:?}, not {} AdmissionReview",
                reply.api_version, reply.kind, asked.version
            ));
        }
        if response.uid != asked.uid {
            return Err(format!("answer is for uid {:?}, asked was {:?}", response.uid, asked.uid));
        }
        if response.patch.is_some() && response.patch_type != "JSONPatch" {
            return Err(format!("patchType is {:?}, not JSONPatch", response.patch_type));
        }
    }
    Ok(response)
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
