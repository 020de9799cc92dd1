//! MutatingAdmissionPolicies: JSON patches and apply configurations from expressions.

use std::collections::BTreeMap;

use apimachinery::json_patch::Patch;
use apimachinery::value::Value;

use super::super::attributes::Attributes;
use super::super::cel::{Budget, to_json};
use super::super::cluster::Cluster;
use super::super::rejection::Rejection;
use super::super::trace::{Entry, Outcome, Phase};
use super::super::webhook::decode;
use super::compiled::Mutation;
use super::{BUDGET, Bound, matching, scope};

/// What is remembered from the first round for the second: the object as each policy left it.
#[derive(Default)]
pub(crate) struct Rounds {
    again: bool,
    left: BTreeMap<usize, Option<Value>>,
}

impl Rounds {
    /// One round; whether something changed.
    pub(crate) fn run(
        &mut self,
        bound: &[Bound],
        cluster: &dyn Cluster,
        attributes: &mut Attributes,
    ) -> Result<bool, Rejection> {
        let mut any = false;
        for (index, one) in bound.iter().enumerate() {
            if self.again
                && !(one.policy.reinvoke && self.left.get(&index).is_some_and(|left| *left != attributes.object))
            {
                continue;
            }
            let changed = match mutate(one, cluster, attributes) {
                Ok(None) => continue,
                Ok(Some(changed)) => changed,
                Err(Problem::Refused(rejection)) => return Err(rejection),
                Err(Problem::Failed(error)) => {
                    if one.policy.ignore_failures {
                        trace(attributes, one, self.again, Outcome::FailedOpen(error));
                        continue;
                    }
                    trace(attributes, one, self.again, Outcome::Failed(error.clone()));
                    let why = format!(
                        "policy '{}' with binding '{}' denied request: {error}",
                        one.policy.name, one.binding.name
                    );
                    let resource = &attributes.resource;
                    return Err(Rejection::forbidden(&resource.group, &resource.resource, &attributes.name, &why));
                }
            };
            let outcome = if changed { Outcome::Patched(Value::Null.into()) } else { Outcome::Allowed };
            trace(attributes, one, self.again, outcome);
            any |= changed;
            self.left.insert(index, attributes.object.clone());
        }
        self.again = true;
        Ok(any)
    }
}

fn trace(attributes: &mut Attributes, bound: &Bound, again: bool, outcome: Outcome) {
    attributes.trace.push(Entry {
        phase: Phase::Mutating,
        round: u8::from(again),
        configuration: bound.policy.name.clone(),
        webhook: String::new(),
        uid: String::new(),
        outcome,
        took: std::time::Duration::ZERO,
    });
}

enum Problem {
    /// Whatever the failurePolicy.
    Refused(Rejection),
    /// Subject to the failurePolicy.
    Failed(String),
}

/// Applies all mutations; none when the policy does not apply.
fn mutate(bound: &Bound, cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<Option<bool>, Problem> {
    let policy = &bound.policy;
    if attributes.object.is_none()
        || !policy.constraints.match_request(attributes, cluster).map_err(Problem::Refused)?
        || !bound.binding.constraints.match_request(attributes, cluster).map_err(Problem::Refused)?
    {
        return Ok(None);
    }
    let mut changed = false;
    let mut applied = false;
    for params in matching::params(bound, attributes, cluster).map_err(Problem::Failed)? {
        let mut budget = Budget(BUDGET);
        let variables = scope(bound, params.as_deref(), attributes, cluster, &mut budget);
        match policy.conditions.evaluate(&variables) {
            Ok(None) => {}
            Ok(Some(_)) => continue,
            Err(error) => return Err(Problem::Failed(error)),
        }
        drop(variables);
        applied = true;
        for mutation in &policy.mutations {
            let variables = scope(bound, params.as_deref(), attributes, cluster, &mut budget);
            let program = mutation.program.as_ref().map_err(|error| Problem::Failed(error.clone()))?;
            let value = program.evaluate(&variables, &mut budget).map_err(Problem::Failed)?;
            let value = to_json(&value).ok_or_else(|| Problem::Failed("the result is not an object".to_owned()))?;
            drop(variables);
            changed |= apply(mutation, value, cluster, attributes).map_err(Problem::Failed)?;
        }
    }
    Ok(applied.then_some(changed))
}

fn apply(
    mutation: &Mutation,
    value: Value,
    cluster: &dyn Cluster,
    attributes: &mut Attributes,
) -> Result<bool, String> {
    let Some(object) = attributes.object.clone() else { return Ok(false) };
    let kind = &attributes.kind;
    let patched = if mutation.apply {
        match apimachinery::schema::lookup(&kind.group, &kind.version, &kind.kind) {
            Some(ty) => apimachinery::merge::strategic(object.clone(), value, ty).map_err(|error| error.to_string())?,
            None => apimachinery::merge::json_merge(object.clone(), value),
        }
    } else {
        let patch = Patch::from_value(value).map_err(|error| error.to_string())?;
        patch.apply(object.clone()).map_err(|error| format!("JSON Patch: {error}"))?
    };
    let (kind, mut patched) = decode(cluster, kind, patched)?;
    let changed = patched != object;
    cluster.default(&kind, &mut patched);
    attributes.object = Some(patched);
    Ok(changed)
}
