//! The validating phase: all webhooks at once, all waited for, the first denial to finish is the answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::value::Value;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::super::attributes::{Attributes, GroupVersionKind};
use super::super::client::Client;
use super::super::cluster::Cluster;
use super::super::rejection::Rejection;
use super::super::trace::{Entry, Outcome, Phase};
use super::call::{Call, Failure, denial};
use super::configuration::Webhook;
use super::reply::Verdict;
use super::rules::{Invocation, exempt};
use super::{Match, in_kind, observe, should_call};

struct Relevant<'a> {
    hook: &'a Webhook,
    invocation: Invocation,
    uid: String,
}

/// New and old object in one kind.
type Versions = BTreeMap<GroupVersionKind, (Option<Value>, Option<Value>)>;

/// Calls all validating webhooks that match.
///
/// # Errors
/// The first denial or unforgiven failure to arrive.
pub(crate) async fn dispatch(
    hooks: &[Arc<Webhook>],
    client: &Client,
    cluster: &dyn Cluster,
    attributes: &mut Attributes,
) -> Result<(), Rejection> {
    if hooks.is_empty() || exempt(&attributes.kind) {
        return Ok(());
    }
    let mut relevant = Vec::new();
    let mut others = Versions::new();
    for hook in hooks {
        match should_call(hook, attributes, &attributes.kind, cluster, false)? {
            Match::No(why) => trace(attributes, hook, "", Outcome::Skipped(why), Instant::now()),
            Match::Yes(invocation) => {
                if invocation.kind != attributes.kind && !others.contains_key(&invocation.kind) {
                    let convert = |object: Option<&Value>| {
                        in_kind(object, &attributes.kind, &invocation.kind, cluster)
                            .map(|object| object.map(std::borrow::Cow::into_owned))
                    };
                    let both = (convert(attributes.object.as_ref())?, convert(attributes.old_object.as_deref())?);
                    others.insert(invocation.kind.clone(), both);
                }
                relevant.push(Relevant { hook, invocation, uid: cluster.uid() });
            }
        }
    }
    let started = Instant::now();
    let finished = {
        let attributes = &*attributes;
        let others = &others;
        let mut calls: FuturesUnordered<_> =
            relevant
                .iter()
                .enumerate()
                .map(|(index, one)| async move {
                    (index, send(one, client, cluster, attributes, others).await, Instant::now())
                })
                .collect();
        let mut finished = Vec::with_capacity(relevant.len());
        while let Some(done) = calls.next().await {
            finished.push(done);
        }
        finished
    };
    let mut refusal = None;
    for (index, result, ended) in finished {
        let one = &relevant[index];
        let took = ended.duration_since(started);
        let result = result.and_then(|verdict| judge(attributes, one.hook, verdict));
        observe(cluster, attributes, one.hook, false, result.as_ref().err(), took);
        let outcome = conclude(attributes, index, one.hook, result, &mut refusal);
        attributes.trace.push(entry(one.hook, &one.uid, outcome, took));
    }
    refusal.map_or(Ok(()), Err)
}

async fn send(
    one: &Relevant<'_>,
    client: &Client,
    cluster: &dyn Cluster,
    attributes: &Attributes,
    others: &Versions,
) -> Result<Verdict, Failure> {
    let (object, old_object) = match others.get(&one.invocation.kind) {
        Some((object, old)) => (object.as_ref(), old.as_ref()),
        None => (attributes.object.as_ref(), attributes.old_object.as_deref()),
    };
    let call = Call { client, cluster, memory: None, attributes, object, old_object, mutating: false };
    call.send(one.hook, &one.invocation, &one.uid).await
}

/// What a verdict says besides: annotations and warnings; a "no" is a failure.
fn judge(attributes: &mut Attributes, hook: &Webhook, verdict: Verdict) -> Result<(), Failure> {
    for (key, value) in &verdict.annotations {
        attributes.annotate(&format!("{}/{key}", hook.name), value);
    }
    for warning in &verdict.warnings {
        attributes.warn(warning);
    }
    if verdict.allowed { Ok(()) } else { Err(Failure::Denied(denial(&hook.name, verdict.status))) }
}

fn conclude(
    attributes: &mut Attributes,
    index: usize,
    hook: &Webhook,
    result: Result<(), Failure>,
    refusal: &mut Option<Rejection>,
) -> Outcome {
    match result {
        Ok(()) => Outcome::Allowed,
        Err(Failure::Denied(rejection)) => {
            let message = rejection.message().to_owned();
            refusal.get_or_insert(rejection);
            Outcome::Denied(message)
        }
        Err(Failure::Rejected(rejection)) => {
            let message = rejection.message().to_owned();
            refusal.get_or_insert(rejection);
            Outcome::Failed(message)
        }
        Err(Failure::Calling { error, .. }) => {
            let error = Failure::text(&hook.name, &error);
            if hook.ignore_failures {
                let key = format!("failed-open.validating.webhook.admission.k8s.io/round_0_index_{index}");
                attributes.audit.insert(key, hook.name.clone());
                return Outcome::FailedOpen(error);
            }
            refusal.get_or_insert_with(|| Rejection::internal(&error));
            Outcome::Failed(error)
        }
    }
}

fn trace(attributes: &mut Attributes, hook: &Webhook, uid: &str, outcome: Outcome, started: Instant) {
    attributes.trace.push(entry(hook, uid, outcome, started.elapsed()));
}

fn entry(hook: &Webhook, uid: &str, outcome: Outcome, took: std::time::Duration) -> Entry {
    Entry {
        phase: Phase::Validating,
        round: 0,
        configuration: hook.configuration.clone(),
        webhook: hook.name.clone(),
        uid: uid.to_owned(),
        outcome,
        took,
    }
}
