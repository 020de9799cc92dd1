//! What admission did with single requests of a replay, for `--trace`: told as they end, in the log's order, and not kept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use admission::review::Received;
use apimachinery::value::{Value, json};
use fake_apiserver::admission::Trace;

use super::Verdict;
use crate::cluster::Answer;

/// One request of a replay, with every webhook that was considered.
#[derive(Clone, Debug)]
pub struct Traced {
    /// Name of the log.
    pub log: String,
    /// The line in it, from 1.
    pub line: u64,
    /// Who asked.
    pub user: String,
    /// `CREATE`; others are not replayed through an apiserver.
    pub operation: String,
    /// `pods`, `deployments.apps/scale`.
    pub resource: String,
    /// `namespace/name`, or the name; a generated name ends in `*`.
    pub object: String,
    /// What became of it, as the report counts it.
    pub verdict: Verdict,
    /// HTTP status of the apiserver's answer; 0 if nothing was sent.
    pub status: u16,
    /// Every webhook that was considered, in order.
    pub admission: Trace,
    /// Texts of the `Warning` headers.
    pub warnings: Vec<String>,
    /// Audit annotations, such as `<webhook>/<key>`.
    pub audit: BTreeMap<String, String>,
    /// It as JSON, where that is not to hold everything.
    pub(super) shown: Option<Value>,
}

impl Traced {
    /// Of a request and its answer; the line is filled in by who knows it.
    pub(super) fn new(request: &Received<'_>, verdict: Verdict, answer: Option<Answer>) -> Self {
        let of = &request.resource;
        let mut resource = of.resource.to_string();
        if !of.group.is_empty() {
            resource = format!("{resource}.{}", of.group);
        }
        if !request.sub_resource.is_empty() {
            resource = format!("{resource}/{}", request.sub_resource);
        }
        let name = match &*request.name {
            "" => generated(request),
            name => name.to_owned(),
        };
        let namespace = &*request.namespace;
        let cluster_wide = namespace.is_empty() || of.resource == "namespaces";
        let answer = answer.unwrap_or_default();
        Self {
            log: String::new(),
            line: 0,
            user: request.user().map(|user| user.username).unwrap_or_default(),
            operation: request.operation.to_string(),
            resource,
            object: if cluster_wide { name } else { format!("{namespace}/{name}") },
            verdict,
            status: answer.status,
            admission: answer.trace,
            warnings: answer.warnings,
            audit: answer.audit,
            shown: None,
        }
    }

    /// The request as JSON; `admission` is as in `towtank run --trace --json`.
    #[must_use]
    pub fn json(&self) -> Value {
        if let Some(shown) = &self.shown {
            return shown.clone();
        }
        let (outcome, why) = told(&self.verdict);
        json!({
            "log": self.log, "line": self.line, "user": self.user, "operation": self.operation, "resource": self.resource,
            "object": self.object, "outcome": outcome, "why": why, "status": self.status,
            "admission": self.admission.to_json(), "warnings": self.warnings, "audit": self.audit,
        })
    }
}

/// The name that the apiserver is to make, as far as it is known.
fn generated(request: &Received<'_>) -> String {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Default, serde::Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Metadata {
        name: String,
        generate_name: String,
    }
    let object: Option<Object> = request.object.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let metadata = object.unwrap_or_default().metadata;
    if metadata.name.is_empty() { format!("{}*", metadata.generate_name) } else { metadata.name }
}

/// A verdict's column in the report, and its text.
fn told(verdict: &Verdict) -> (&'static str, &str) {
    match verdict {
        Verdict::Injected => ("injected", ""),
        Verdict::Skipped(why) => ("skipped", why),
        Verdict::Denied(why) => ("denied", why),
        Verdict::NotReplayable(why) => ("notReplayable", why),
        Verdict::Failed(why) => ("failed", why),
    }
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (outcome, why) = told(&self.verdict);
        write!(
            f,
            "{}:{} {} {} {} by {}: ",
            self.log, self.line, self.operation, self.resource, self.object, self.user
        )?;
        write!(f, "{}", if outcome == "notReplayable" { "not sent" } else { outcome })?;
        if !why.is_empty() {
            write!(f, ": {why}")?;
        }
        writeln!(f)?;
        for entry in &self.admission.entries {
            writeln!(f, "    {entry}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "    warning: {warning}")?;
        }
        Ok(())
    }
}

/// Which requests' traces are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Which {
    /// A webhook's patch changed the object.
    Injected,
    /// Nothing changed.
    Skipped,
    /// Refused by a webhook, or invalid after the webhooks.
    Denied,
    /// No valid answer.
    Failed,
}

/// Where traces go.
type Sink = dyn FnMut(&Traced) + Send;

/// Takes traces as requests end.
pub struct Tracer {
    only: Vec<Which>,
    left: AtomicU64,
    sink: Mutex<Box<Sink>>,
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("only", &self.only).field("left", &self.left).finish_non_exhaustive()
    }
}

impl Tracer {
    /// Hands at most `limit` traces to `sink`: those with one of these outcomes (none named: all that were sent). Traces wait
    /// for earlier lines of the log, no more than the limit of them.
    pub fn new(only: Vec<Which>, limit: u64, sink: impl FnMut(&Traced) + Send + 'static) -> Self {
        Self { only, left: AtomicU64::new(limit), sink: Mutex::new(Box::new(sink)) }
    }

    /// Whether this one is wanted; if so one less is from now on.
    pub(super) fn wants(&self, verdict: &Verdict) -> bool {
        let which = match verdict {
            Verdict::Injected => Which::Injected,
            Verdict::Skipped(_) => Which::Skipped,
            Verdict::Denied(_) => Which::Denied,
            Verdict::Failed(_) => Which::Failed,
            Verdict::NotReplayable(_) => return false,
        };
        (self.only.is_empty() || self.only.contains(&which))
            && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    pub(super) fn tell(&self, traced: &Traced) {
        (self.sink.lock().unwrap_or_else(PoisonError::into_inner))(traced);
    }
}
