//! ValidatingAdmissionPolicies: deny, warn, audit.

use std::time::Duration;

use apimachinery::value::json;
use kube_cel::cel::Value as Cel;
use tokio::time::Instant;

use super::super::attributes::Attributes;
use super::super::cel::Budget;
use super::super::cluster::Cluster;
use super::super::rejection::Rejection;
use super::super::trace::{Entry, Outcome, Phase};
use super::compiled::Validation;
use super::{BUDGET, Bound, matching, scope};

/// A failure with the action Audit, in the words of its annotation (`policies/vap-warn-audit`).
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Audited<'a> {
    message: String,
    policy: &'a str,
    binding: &'a str,
    expression_index: usize,
    validation_actions: &'a [String],
}

/// A validation that did not hold.
struct Failure {
    message: String,
    reason: String,
    index: usize,
}

pub(crate) fn run(bound: &[Bound], cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    let mut refusal = None;
    let mut audited = Vec::new();
    for one in bound {
        let (policy, binding) = (&one.policy, &one.binding);
        let mut annotations = Vec::new();
        let started = Instant::now();
        let Some(failures) = evaluate(one, cluster, attributes, &mut annotations)? else { continue };
        for (key, value) in annotations {
            attributes.annotate(&format!("{}/{key}", policy.name), &value);
        }
        let does = |action: &str| binding.actions.iter().any(|given| given == action);
        let outcome = match failures.first() {
            Some(first) if does("Deny") => Outcome::Denied(first.message.clone()),
            Some(first) => Outcome::Skipped(format!("validation failed, but is not denied: {}", first.message)),
            None => Outcome::Allowed,
        };
        attributes.trace.push(Entry {
            phase: Phase::Validating,
            round: 0,
            configuration: policy.name.clone(),
            webhook: String::new(),
            uid: String::new(),
            outcome,
            took: started.elapsed(),
        });
        count(one, cluster, failures.len(), started.elapsed());
        for failure in failures {
            let named = format!("ValidatingAdmissionPolicy '{}' with binding '{}'", policy.name, binding.name);
            if does("Deny") && refusal.is_none() {
                refusal =
                    Some(deny(attributes, &format!("{named} denied request: {}", failure.message), &failure.reason));
            }
            if does("Warn") {
                attributes.warn(&format!("Validation failed for {named}: {}", failure.message));
            }
            if does("Audit") {
                audited.push(Audited {
                    message: failure.message,
                    policy: &policy.name,
                    binding: &binding.name,
                    expression_index: failure.index,
                    validation_actions: &binding.actions,
                });
            }
        }
    }
    if !audited.is_empty() {
        let text = serde_json::to_string(&audited).unwrap_or_default();
        attributes.annotate("validation.policy.admission.k8s.io/validation_failure", &text);
    }
    refusal.map_or(Ok(()), Err)
}

/// Counts what a policy did: once for each failure and action, or once as allowed.
fn count(one: &Bound, cluster: &dyn Cluster, failures: usize, took: Duration) {
    let Some(metrics) = cluster.metrics() else { return };
    let (policy, binding) = (&one.policy.name, &one.binding.name);
    if failures == 0 {
        return metrics.policy(policy, binding, "allow", "no_error", took);
    }
    for action in &one.binding.actions {
        for _ in 0..failures {
            metrics.policy(policy, binding, &action.to_lowercase(), "no_error", took);
        }
    }
}

/// What did not hold; none when the policy does not apply.
fn evaluate(
    bound: &Bound,
    cluster: &dyn Cluster,
    attributes: &Attributes,
    annotations: &mut Vec<(String, String)>,
) -> Result<Option<Vec<Failure>>, Rejection> {
    let policy = &bound.policy;
    if !policy.constraints.match_request(attributes, cluster)?
        || !bound.binding.constraints.match_request(attributes, cluster)?
    {
        return Ok(None);
    }
    let failed = |message: String| Failure { message, reason: String::new(), index: 0 };
    let all = match matching::params(bound, attributes, cluster) {
        Ok(all) => all,
        Err(_) if policy.ignore_failures => return Ok(None),
        Err(error) => return Ok(Some(vec![failed(format!("failed to configure binding: {error}"))])),
    };
    let mut failures = Vec::new();
    for params in all {
        let mut budget = Budget(BUDGET);
        let scope = scope(bound, params.as_deref(), attributes, cluster, &mut budget);
        match policy.conditions.evaluate(&scope) {
            Ok(None) => {}
            Ok(Some(_)) => continue,
            Err(error) => {
                failures.push(failed(error));
                continue;
            }
        }
        for (index, validation) in policy.validations.iter().enumerate() {
            let result = match &validation.program {
                Ok(program) => program.evaluate(&scope, &mut budget),
                Err(error) => Err(format!("compilation error: {error}")),
            };
            let message = match result {
                Ok(Cel::Bool(true)) => continue,
                Ok(_) => message(validation, &scope, &mut budget),
                Err(_) if policy.ignore_failures => continue,
                Err(error) => format!("expression '{}' resulted in error: {error}", validation.expression),
            };
            failures.push(Failure { message, reason: validation.reason.clone(), index });
        }
        for (key, program) in &policy.audit {
            if let Ok(program) = program
                && let Ok(Cel::String(value)) = program.evaluate(&scope, &mut budget)
            {
                annotations.push((key.clone(), value.as_str().to_owned()));
            }
        }
    }
    Ok(Some(failures))
}

/// messageExpression, else message, else the expression.
fn message(validation: &Validation, scope: &super::Variables<'_>, budget: &mut Budget) -> String {
    if let Some(Ok(program)) = &validation.message_program
        && let Ok(Cel::String(text)) = program.evaluate(scope, budget)
        && !text.trim().is_empty()
        && !text.contains('\n')
    {
        return text.trim().to_owned();
    }
    if validation.message.is_empty() {
        format!("failed expression: {}", validation.expression)
    } else {
        validation.message.clone()
    }
}

/// A Forbidden in words, with the reason and code that the validation asks for; 422 Invalid by default.
fn deny(attributes: &Attributes, why: &str, reason: &str) -> Rejection {
    let resource = &attributes.resource;
    let mut rejection = Rejection::forbidden(&resource.group, &resource.resource, &attributes.name, why);
    let (code, reason) = match reason {
        "Unauthorized" => (401, "Unauthorized"),
        "Forbidden" => (403, "Forbidden"),
        "RequestEntityTooLarge" => (413, "RequestEntityTooLarge"),
        _ => (422, "Invalid"),
    };
    rejection.code = code;
    rejection.status["code"] = code.into();
    rejection.status["reason"] = reason.into();
    rejection.status["details"]["causes"] = json!([{ "message": why }]);
    rejection
}
