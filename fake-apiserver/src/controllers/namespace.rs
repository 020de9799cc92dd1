//! The end of a namespace: its contents are deleted, kind by kind, until nothing is left; then its finalizer goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::value::{Value, json};
use tokio::time::Duration;

use super::client::{Refusal, Verb, delete_options};
use super::context::Context;
use super::discovery::{Discovery, Served};
use super::informer::Change;
use super::kinds::{self, Kind};
use super::pods;
use super::queue::{BackOff, Queue};
use super::runner::Controller;
use super::view::{is_deleting, items, text};

/// Clients that create and delete in one go get this long.
const GRACE: Duration = Duration::from_secs(5);
/// The namespace controller's own finalizer, in `spec.finalizers`.
const FINALIZER: &str = "kubernetes";
/// How long an object with a finalizer is thought to stay.
const FINALIZER_SECONDS: i64 = 15;

/// The controller of namespaces that are being deleted.
pub(crate) struct Namespaces {
    context: Context,
    discovery: Discovery,
}

/// What was found while the contents were deleted.
#[derive(Default)]
struct Findings {
    failures: Vec<String>,
    /// `pods.` or `deployments.apps`, and how many are left.
    remaining: BTreeMap<String, usize>,
    finalizers: BTreeMap<String, usize>,
    /// In how many seconds it is worth looking again.
    estimate: i64,
}

impl Namespaces {
    pub(crate) fn new(context: Context, discovery: Discovery) -> Namespaces {
        Namespaces { context, discovery }
    }

    async fn delete_contents(&self, namespace: &str) -> Findings {
        let mut findings = Findings::default();
        for served in self.discovery.all().iter().filter(|served| served.namespaced) {
            if self.context.cache.store().list(&served.table, namespace).0.is_empty() {
                continue;
            }
            if let Err(refusal) = self.delete_kind(namespace, served).await {
                findings.failures.push(refusal.message);
            }
            self.look_at_rest(namespace, served, &mut findings);
        }
        findings
    }

    async fn delete_kind(&self, namespace: &str, served: &Served) -> Result<(), Refusal> {
        let options = delete_options(json!({ "propagationPolicy": "Background" }));
        let resource = (&*served.group, &*served.version, &*served.resource);
        if served.deletes_collections {
            let place = (namespace, "");
            return self.context.client.call(Verb::DeleteCollection, resource, place, Some(options)).await.map(|_| ());
        }
        let mut failure = None;
        for object in self.context.cache.store().list(&served.table, namespace).0 {
            let place = (namespace, object.name());
            match self.context.client.call(Verb::Delete, resource, place, Some(options.clone())).await {
                Err(refusal) if !refusal.is_not_found() => failure = Some(refusal),
                _ => {}
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn look_at_rest(&self, namespace: &str, served: &Served, findings: &mut Findings) {
        let (rest, _) = self.context.cache.store().list(&served.table, namespace);
        if rest.is_empty() {
            return;
        }
        findings.remaining.insert(format!("{}.{}", served.resource, served.group), rest.len());
        let mut held = false;
        for object in &rest {
            for finalizer in items(object.value(), "/metadata/finalizers").iter().filter_map(Value::as_str) {
                held = true;
                *findings.finalizers.entry(finalizer.to_owned()).or_default() += 1;
            }
        }
        let mut estimate = if held { FINALIZER_SECONDS } else { 0 };
        if *served.table == *kinds::POD.table {
            let grace = rest.iter().filter_map(|pod| pods::grace_seconds(pod.value())).max();
            estimate = grace.filter(|grace| *grace > 0).unwrap_or(estimate);
        }
        if estimate == 0 {
            findings.failures.push(format!(
                "unexpected items still remain in namespace: {namespace} for gvr: {}/{}, Resource={}",
                served.group, served.version, served.resource
            ));
        }
        findings.estimate = findings.estimate.max(estimate);
    }

    /// The five conditions of a namespace that is on its way out.
    fn conditions(&self, before: &[Value], findings: &Findings) -> Vec<Value> {
        let list = |counts: &BTreeMap<String, usize>, word: &str| {
            let texts: Vec<_> =
                counts.iter().map(|(name, count)| format!("{name} {word} {count} resource instances")).collect();
            texts.join(", ")
        };
        let failed = |texts: &[String], reason, text: &str| {
            (!texts.is_empty()).then(|| (reason, format!("{text}{}", texts.join(", "))))
        };
        let remaining = (!findings.remaining.is_empty()).then(|| {
            ("SomeResourcesRemain", format!("Some resources are remaining: {}", list(&findings.remaining, "has")))
        });
        let finalizers = (!findings.finalizers.is_empty()).then(|| {
            let text = list(&findings.finalizers, "in");
            ("SomeFinalizersRemain", format!("Some content in the namespace has finalizers remaining: {text}"))
        });
        let contents =
            failed(&findings.failures, "ContentDeletionFailed", "Failed to delete all resource types, 1 remaining: ");
        let now = self.context.now();
        let mut conditions = before.to_vec();
        let all = [
            ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered", None),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
                None,
            ),
            (
                "NamespaceDeletionContentFailure",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
                contents,
            ),
            ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed", remaining),
            (
                "NamespaceFinalizersRemaining",
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished",
                finalizers,
            ),
        ];
        for (condition_type, good_reason, good_text, bad) in all {
            let (status, reason, message) = match bad {
                Some((reason, message)) => ("True", reason, message),
                None => ("False", good_reason, good_text.to_owned()),
            };
            let next = json!({
                "type": condition_type, "status": status, "reason": reason, "message": message,
                "lastTransitionTime": now,
            });
            match conditions.iter_mut().find(|condition| condition["type"] == condition_type) {
                None => conditions.push(next),
                Some(old) if ["status", "reason", "message"].iter().all(|field| old[*field] == next[*field]) => {}
                Some(old) => *old = next,
            }
        }
        conditions
    }

    async fn write_conditions(&self, namespace: &Value, findings: &Findings) -> Result<(), Refusal> {
        let before = items(namespace, "/status/conditions");
        let conditions = self.conditions(before, findings);
        if conditions == before {
            return Ok(());
        }
        let mut status = namespace.get("status").cloned().unwrap_or_else(|| json!({}));
        status["conditions"] = conditions.into();
        self.context.write_status(&kinds::NAMESPACE, namespace, status).await.map(|_| ())
    }
}

impl Controller for Namespaces {
    const NAME: &'static str = "namespace-controller";
    const WORKERS: usize = 10;
    const BACK_OFF: BackOff = BackOff::NAMESPACE;

    fn follows(&self) -> &'static [&'static Kind] {
        &[&kinds::NAMESPACE]
    }

    fn observe(&self, _kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        if !change.deleted && is_deleting(change.object.value()) {
            queue.add_after(change.object.key(), GRACE);
        }
    }

    async fn sync(&self, key: Arc<str>, queue: &Queue) -> Result<(), Refusal> {
        let cache = &self.context.cache;
        let Some(namespace) = cache.get(&kinds::NAMESPACE, "", &key).filter(|object| is_deleting(object.value()))
        else {
            return Ok(());
        };
        if !items(namespace.value(), "/spec/finalizers").iter().any(|finalizer| finalizer == FINALIZER) {
            return Ok(());
        }
        if text(namespace.value(), "/status/phase") != "Terminating" {
            let mut status = namespace.value().get("status").cloned().unwrap_or_else(|| json!({}));
            status["phase"] = "Terminating".into();
            self.context.write_status(&kinds::NAMESPACE, namespace.value(), status).await?;
        }
        let findings = self.delete_contents(&key).await;
        let Some(namespace) = cache.get(&kinds::NAMESPACE, "", &key) else { return Ok(()) };
        self.write_conditions(namespace.value(), &findings).await?;
        if let Some(failure) = findings.failures.first() {
            return Err(Refusal::own(failure.clone()));
        }
        if findings.estimate > 0 {
            let seconds = u64::try_from(findings.estimate / 2 + 1).unwrap_or(1);
            queue.add_after(key, Duration::from_secs(seconds));
            return Ok(());
        }
        let Some(namespace) = cache.get(&kinds::NAMESPACE, "", &key) else { return Ok(()) };
        let mut last = namespace.value().clone();
        if let Some(finalizers) = last.pointer_mut("/spec/finalizers").and_then(Value::as_array_mut) {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        match self.context.client.put(&kinds::NAMESPACE, "finalize", last).await {
            Err(refusal) if !refusal.is_not_found() => Err(refusal),
            _ => Ok(()),
        }
    }
}
