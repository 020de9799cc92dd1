//! Webhooks: which are called, with what, and what their answers do.

mod call;
mod configuration;
mod mutating;
mod reply;
mod rules;
mod selectors;
mod validating;

use std::borrow::Cow;
use std::time::Duration;

use apimachinery::value::Value;
use tokio::time::Instant;

use super::attributes::{Attributes, GroupVersionKind};
use super::cel::variables;
use super::cluster::Cluster;
use super::rejection::Rejection;
use crate::metrics::{Called, Matched};

use call::Failure;
pub(crate) use configuration::{Webhook, Webhooks, selector};
pub(crate) use mutating::{Reinvocation, decode, dispatch as mutate};
pub(crate) use rules::{Invocation, Rule, exempt, invocation};
pub(crate) use selectors::{namespace_matches, object_matches};
pub(crate) use validating::dispatch as validate;

/// Why a webhook is not called.
pub(crate) enum Match {
    /// It is called, addressed like this.
    Yes(Invocation),
    /// It is not; for the trace.
    No(String),
}

/// Decides whether a webhook is called, in the order of kube-apiserver: selectors, rules, match conditions; an error of
/// the namespace lookup counts only for webhooks whose rules match.
pub(crate) fn should_call(
    hook: &Webhook,
    attributes: &Attributes,
    held: &GroupVersionKind,
    cluster: &dyn Cluster,
    mutating: bool,
) -> Result<Match, Rejection> {
    let in_namespace = namespace_matches(&hook.namespace_selector, attributes, cluster);
    if let Ok(false) = in_namespace {
        let namespace = &attributes.namespace;
        // A Namespace that is written is judged by its own labels.
        let own = attributes.object.as_ref().filter(|_| attributes.resource.resource == "namespaces");
        let stored = if own.is_none() { cluster.get("", "namespaces", "", namespace) } else { None };
        let mut why = String::with_capacity(256);
        for part in ["namespaceSelector does not match namespace ", namespace, " with "] {
            why.push_str(part);
        }
        push_labels(&mut why, own.or(stored.as_deref()));
        return Ok(Match::No(why));
    }
    let object = object_matches(&hook.object_selector, attributes);
    if let Ok(false) = object {
        let mut why = "objectSelector does not match an object with ".to_owned();
        push_labels(&mut why, attributes.object.as_ref().or(attributes.old_object.as_deref()));
        return Ok(Match::No(why));
    }
    let Some(invocation) = invocation(&hook.rules, hook.equivalent, attributes, cluster) else {
        let resource = &attributes.resource;
        let (group, version) = (resource.group_resource(), &resource.version);
        let slash = if attributes.subresource.is_empty() { "" } else { "/" };
        let what = format!("{} {group}{slash}{} {version}", attributes.operation, attributes.subresource);
        return Ok(Match::No(format!("no rule matches {what}")));
    };
    in_namespace?;
    object?;
    if !hook.conditions.is_empty() && cluster.version().has_match_conditions() {
        let new = in_kind(attributes.object.as_ref(), held, &invocation.kind, cluster)?;
        let old = in_kind(attributes.old_object.as_deref(), &attributes.kind, &invocation.kind, cluster)?;
        let addressed = (&invocation.resource, &invocation.kind);
        let variables = variables(attributes, addressed, new.as_deref(), old.as_deref(), cluster);
        let started = Instant::now();
        let result = hook.conditions.evaluate(&variables);
        if let Some(metrics) = cluster.metrics() {
            let matched = match &result {
                Ok(None) => Matched::Included,
                Ok(Some(_)) => Matched::Excluded,
                Err(_) => Matched::Failed,
            };
            let phase = if mutating { "admit" } else { "validating" };
            let operation = attributes.operation.as_str();
            metrics.conditions(("webhook", &hook.name), phase, operation, matched, started.elapsed());
        }
        match result {
            Ok(None) => {}
            Ok(Some(name)) => return Ok(Match::No(format!("matchCondition {name} is false"))),
            Err(error) => {
                let resource = &attributes.resource;
                return Err(Rejection::forbidden(&resource.group, &resource.resource, &attributes.name, &error));
            }
        }
    }
    Ok(Match::Yes(invocation))
}

/// Labels that are told at most.
const LABELS: usize = 8;

/// Appends an object's labels, for the trace. Most webhooks of most requests are passed over, so it is not formatted.
fn push_labels(text: &mut String, object: Option<&Value>) {
    let all = object.and_then(|object| object["metadata"]["labels"].as_object());
    let Some(all) = all.filter(|all| !all.is_empty()) else { return text.push_str("no labels") };
    for (index, (key, value)) in all.iter().take(LABELS).enumerate() {
        text.push_str(if index == 0 { "labels " } else { "," });
        text.push_str(key);
        text.push('=');
        text.push_str(value.as_str().unwrap_or_default());
    }
    if all.len() > LABELS {
        text.push_str(", …");
    }
}

/// Counts a call.
pub(crate) fn observe(
    cluster: &dyn Cluster,
    attributes: &Attributes,
    hook: &Webhook,
    mutating: bool,
    failure: Option<&Failure>,
    took: Duration,
) {
    let Some(metrics) = cluster.metrics() else { return };
    let called = match failure {
        None => Called::Allowed,
        Some(Failure::Denied(rejection)) => Called::Denied(rejection.code),
        Some(Failure::Rejected(_)) => Called::Unusable,
        Some(Failure::Calling { code, .. }) if hook.ignore_failures => Called::FailedOpen(*code),
        Some(Failure::Calling { code, .. }) => Called::Failed(*code),
    };
    metrics.webhook(&hook.name, mutating, attributes.operation.as_str(), called, took);
}

/// An object in the kind that a webhook wants.
pub(crate) fn in_kind<'a>(
    object: Option<&'a Value>,
    held: &GroupVersionKind,
    wanted: &GroupVersionKind,
    cluster: &dyn Cluster,
) -> Result<Option<Cow<'a, Value>>, Rejection> {
    match object {
        None => Ok(None),
        Some(object) if held == wanted => Ok(Some(Cow::Borrowed(object))),
        Some(object) => match cluster.convert(object, wanted) {
            Ok(converted) => Ok(Some(Cow::Owned(converted))),
            Err(error) => Err(Rejection::internal(&error)),
        },
    }
}
