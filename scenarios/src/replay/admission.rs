//! Through an apiserver: what the clients did then is done again.
//!
//! A CREATE review's object is POSTed to its namespace by the user who created it (impersonated, with uid, groups and
//! extra), and the apiserver calls the webhooks as its configuration says. The POST has `dryRun=All`: admission runs
//! whole, nothing is stored, so objects do not collide however often a log is replayed, and memory stays flat. A webhook
//! can tell only by `dryRun: true` in its review; one whose `sideEffects` are `Some` or `Unknown` is refused by the
//! apiserver for that.
//!
//! What admission looks up exists: namespaces with the labels of the log's meta file (or none), service accounts,
//! priority classes and runtime classes that the pods name.

mod meta;
mod sent;

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use admission::capture::Record;
use admission::review::{AdmissionReview, Received};
use apimachinery::value::{Value, json};
use fake_apiserver::admission::Outcome;
use http::Method;

pub use meta::{Meta, MetaError, Place};

use sent::{Needs, Parted, Sent, path, refused};

use super::target::{Subject, Target, Verdict, Worker};
use super::traced::Traced;
use super::wire::why;
use crate::abreast::stage;
use crate::cluster::{Answer, Api, Ask, Kinds};

/// Replays through an apiserver.
pub struct Admission {
    shared: Arc<Shared>,
}

struct Shared {
    api: Box<dyn Api>,
    /// Whether workers keep what admission did with their last request.
    traces: bool,
    /// Paths of what has been created.
    there: Mutex<HashSet<String>>,
    /// Held while something is created: a namespace is there before its service account is.
    creating: tokio::sync::Mutex<()>,
}

/// The apiserver refused what a replay needs.
#[derive(Debug, thiserror::Error)]
#[error("the apiserver refused {object}: {message}")]
pub struct SetupError {
    object: String,
    message: String,
}

impl Admission {
    /// Creates the namespaces and webhook configurations of a log in an apiserver.
    ///
    /// # Errors
    /// The apiserver refuses one of them.
    pub async fn new(api: Box<dyn Api>, meta: &Meta) -> Result<Self, SetupError> {
        for (name, labels) in &meta.namespaces {
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
            create(&*api, "/api/v1/namespaces", &namespace).await?;
        }
        if !meta.objects.is_empty() {
            let kinds = Kinds::discover(&*api).await;
            for object in &meta.objects {
                let refused = |message| SetupError { object: named_object(object), message };
                let kind = kinds.of(object).map_err(|unknown| refused(unknown.to_string()))?;
                let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
                create(&*api, &kind.path(namespace, ""), object).await?;
            }
        }
        for configuration in &meta.sparing_setup() {
            let kind = configuration["kind"].as_str().unwrap_or_default().to_lowercase();
            let path = format!("/apis/admissionregistration.k8s.io/v1/{kind}s");
            create(&*api, &path, configuration).await?;
        }
        let there = meta.namespaces.iter().map(|(name, _)| format!("/api/v1/namespaces/{name}")).collect();
        Ok(Self {
            shared: Arc::new(Shared {
                api,
                traces: false,
                there: Mutex::new(there),
                creating: tokio::sync::Mutex::default(),
            }),
        })
    }

    /// Workers keep what admission did with their last request.
    #[must_use]
    pub fn with_traces(mut self) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.traces = true;
        }
        self
    }
}

/// Creates an object; one that exists is fine.
async fn create(api: &dyn Api, path: &str, object: &Value) -> Result<(), SetupError> {
    let answer = api.ask(Ask::new(Method::POST, path).body(object)).await;
    if answer.is_success() || answer.status == 409 {
        return Ok(());
    }
    Err(SetupError { object: named_object(object), message: answer.message() })
}

fn named_object(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    format!("{} {name}", object["kind"].as_str().unwrap_or_default())
}

impl Target for Admission {
    fn worker(&self) -> Box<dyn Worker> {
        Box::new(AdmissionWorker { shared: Arc::clone(&self.shared), traced: None })
    }
}

struct AdmissionWorker {
    shared: Arc<Shared>,
    traced: Option<Traced>,
}

impl Worker for AdmissionWorker {
    fn send<'a>(&'a mut self, record: &'a Record) -> Pin<Box<dyn Future<Output = (Subject, Verdict)> + Send + 'a>> {
        Box::pin(async move {
            self.traced = None;
            if !self.shared.traces
                && let Some(Parted { rest, sent }) = Parted::of(&record.body)
                && let Ok(review) = AdmissionReview::decode(rest.as_bytes())
            {
                let subject = Subject::new(&review.request.namespace, &sent.owner);
                let sent = refused(&review.request).map_or(Ok(sent), Err);
                let verdict = self.admit(&review.request, sent).await;
                // Nobody but the apiserver has read the object.
                if !matches!(verdict, Verdict::Failed(_)) || record.review().is_ok() {
                    return (subject, verdict);
                }
            }
            match record.review() {
                Ok(review) => {
                    let sent = Sent::of_review(&review.request);
                    (Subject::of(&review.request), self.admit(&review.request, sent).await)
                }
                Err(error) => (Subject::unknown(), Verdict::Failed(error.to_string())),
            }
        })
    }

    fn traced(&mut self) -> Option<Traced> {
        self.traced.take()
    }
}

impl AdmissionWorker {
    async fn admit(&mut self, request: &Received<'_>, sent: Result<Sent, Verdict>) -> Verdict {
        let admitted = match sent {
            Ok(sent) => self.shared.admit(request, sent).await,
            Err(verdict) => Err(verdict),
        };
        let (verdict, answer) = match admitted {
            Ok(answer) => (judge(&answer), Some(answer)),
            Err(verdict) => (verdict, None),
        };
        if self.shared.traces {
            self.traced = Some(Traced::new(request, verdict.clone(), answer));
        }
        verdict
    }
}

impl Shared {
    async fn admit(&self, request: &Received<'_>, sent: Sent) -> Result<Answer, Verdict> {
        let failed = |message: String| Verdict::Failed(message);
        let user = request.user().map_err(|error| failed(format!("userInfo: {error}")))?;
        self.prepare(request, &sent.needs).await.map_err(|error| failed(error.to_string()))?;
        let mut ask = Ask::new(Method::POST, path(request)).only_refusals();
        ask.body = sent.body;
        ask.user = (!user.username.is_empty()).then_some(user);
        stage().await;
        Ok(self.api.ask(ask).await)
    }

    /// Creates what admission will look up for this object.
    async fn prepare(&self, request: &Received<'_>, needs: &Needs) -> Result<(), SetupError> {
        let namespace = &*request.namespace;
        if !namespace.is_empty() && request.resource.resource != "namespaces" {
            self.need("/api/v1/namespaces", "v1", "Namespace", namespace, &Value::Null).await?;
        }
        if request.kind.kind != "Pod" || !request.kind.group.is_empty() {
            return Ok(());
        }
        if let Some(account) = named(&needs.service_account_name) {
            let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
            self.need(&path, "v1", "ServiceAccount", account, &Value::Null).await?;
        }
        if let Some(class) = named(&needs.priority_class_name) {
            let value = json!({ "value": needs.priority.unwrap_or_default() });
            let path = "/apis/scheduling.k8s.io/v1/priorityclasses";
            self.need(path, "scheduling.k8s.io/v1", "PriorityClass", class, &value).await?;
        }
        if let Some(class) = named(&needs.runtime_class_name) {
            let path = "/apis/node.k8s.io/v1/runtimeclasses";
            // Admission compares the pod's overhead with the class's.
            let mut fields = json!({ "handler": class });
            if !needs.overhead.is_null() {
                fields["overhead"] = json!({ "podFixed": needs.overhead });
            }
            self.need(path, "node.k8s.io/v1", "RuntimeClass", class, &fields).await?;
        }
        Ok(())
    }

    async fn need(&self, path: &str, version: &str, kind: &str, name: &str, fields: &Value) -> Result<(), SetupError> {
        let key = format!("{path}/{name}");
        let there = || self.there.lock().unwrap_or_else(PoisonError::into_inner);
        // Nearly always it is there, and nobody waits.
        if there().contains(&key) {
            return Ok(());
        }
        let _one = self.creating.lock().await;
        if there().contains(&key) {
            return Ok(());
        }
        // system- classes are the cluster's own, and exist.
        if !(kind == "PriorityClass" && name.starts_with("system-")) {
            let mut object = json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name } });
            for (field, value) in fields.as_object().into_iter().flatten() {
                object[field] = value.clone();
            }
            create(&*self.api, path, &object).await?;
        }
        there().insert(key);
        Ok(())
    }
}

fn named(name: &Option<String>) -> Option<&str> {
    name.as_deref().filter(|name| !name.is_empty())
}

/// A denial's own words: which webhook said them matters less than how often they were said.
fn without_name(message: &str) -> &str {
    let own = message.strip_prefix("admission webhook ").and_then(|rest| rest.split_once(" denied the request: "));
    own.map_or(message, |(_, own)| own)
}

/// What is invalid, without the object's name: many objects are invalid in the same way.
fn causes(answer: &Answer) -> String {
    let causes = answer.body["details"]["causes"].as_array().into_iter().flatten();
    let causes: Vec<String> = causes
        .map(|cause| {
            let text = |key: &str| cause[key].as_str().unwrap_or_default();
            format!("{}: {}", text("field"), text("message"))
        })
        .collect();
    if causes.is_empty() { answer.message() } else { causes.join("; ") }
}

/// A denial is a webhook's; an object that fails validation counts as denied too, for every webhook answered, and many
/// an object was as invalid when it was captured.
fn judge(answer: &Answer) -> Verdict {
    let entries = &answer.trace.entries;
    if !answer.is_success() {
        let denied = entries.iter().find_map(|entry| match &entry.outcome {
            Outcome::Denied(message) => Some(without_name(message).to_owned()),
            _ => None,
        });
        return match denied {
            Some(message) => Verdict::Denied(message),
            None if answer.status == 422 => Verdict::Denied(format!(
                "not a valid object, said the apiserver after the webhooks: {}",
                causes(answer)
            )),
            None => Verdict::Failed(format!("HTTP {}: {}", answer.status, answer.message())),
        };
    }
    let mut skipped = None;
    for entry in entries.iter().filter(|entry| !entry.webhook.is_empty()) {
        match &entry.outcome {
            Outcome::Patched(_) => return Verdict::Injected,
            Outcome::FailedOpen(error) => return Verdict::Failed(format!("ignored by failurePolicy: {error}")),
            Outcome::Allowed => skipped = Some(why(&answer.audit, &answer.warnings)),
            Outcome::Skipped(reason) => {
                skipped.get_or_insert_with(|| format!("no webhook was called: {reason}"));
            }
            _ => {}
        }
    }
    Verdict::Skipped(skipped.unwrap_or_else(|| "no webhook is configured".to_owned()))
}
