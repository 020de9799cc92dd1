//! ValidatingAdmissionPolicies and MutatingAdmissionPolicies with their bindings (vectors `policies/*`).
//!
//! What an apply configuration makes of an object is computed by strategic merge, which stands in for server-side apply.

mod compiled;
mod matching;
mod mutating;
mod validating;

use std::sync::{Arc, Mutex, PoisonError};

use apimachinery::value::Value;
use kube_cel::cel::Value as Cel;

use super::attributes::Attributes;
use super::cel::{Budget, Variables, from_json, variables};
use super::cluster::Cluster;
use super::rejection::Rejection;
use super::webhook::exempt;
use compiled::{Binding, Policy};

pub(crate) use mutating::Rounds;

const GROUP: &str = "admissionregistration.k8s.io";
/// Cost of all expressions of one policy at most.
const BUDGET: i64 = 10_000_000;

/// The compiled policies of both kinds, kept until a policy or a binding changes.
#[derive(Default)]
pub(crate) struct Policies {
    validating: Mutex<Option<Compiled>>,
    mutating: Mutex<Option<Compiled>>,
}

type Compiled = ((u64, u64), Arc<[Bound]>);

/// A policy with one of its bindings.
pub(crate) struct Bound {
    policy: Arc<Policy>,
    binding: Binding,
}

impl Policies {
    fn of(cell: &Mutex<Option<Compiled>>, kind: &str, cluster: &dyn Cluster) -> Arc<[Bound]> {
        let (policies, bindings) = (format!("{kind}admissionpolicies"), format!("{kind}admissionpolicybindings"));
        let revision = (cluster.revision(GROUP, &policies), cluster.revision(GROUP, &bindings));
        let mut cell = cell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((compiled_at, bound)) = &*cell
            && *compiled_at == revision
        {
            return bound.clone();
        }
        let bindings = cluster.list(GROUP, &bindings, None);
        let mut bound = Vec::new();
        for policy in cluster.list(GROUP, &policies, None) {
            let policy = Arc::new(Policy::parse(&policy));
            let own = bindings.iter().filter(|binding| binding["spec"]["policyName"] == policy.name.as_str());
            bound.extend(own.map(|binding| Bound { policy: policy.clone(), binding: Binding::parse(binding) }));
        }
        let bound: Arc<[Bound]> = bound.into();
        *cell = Some((revision, bound.clone()));
        bound
    }

    /// Runs the mutating policies; whether one of them changed the object.
    ///
    /// # Errors
    /// The Status of a policy that failed.
    pub(crate) fn mutate(
        &self,
        cluster: &dyn Cluster,
        attributes: &mut Attributes,
        rounds: &mut Rounds,
    ) -> Result<bool, Rejection> {
        let bound = Self::of(&self.mutating, "mutating", cluster);
        if exempt(&attributes.kind) { Ok(false) } else { rounds.run(&bound, cluster, attributes) }
    }

    /// Runs the validating policies.
    ///
    /// # Errors
    /// The first denial.
    pub(crate) fn validate(&self, cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
        let bound = Self::of(&self.validating, "validating", cluster);
        if exempt(&attributes.kind) { Ok(()) } else { validating::run(&bound, cluster, attributes) }
    }
}

/// What the expressions of a policy see: as match conditions, and the namespace, the parameters and the policy's own
/// variables. A variable that fails is not there.
fn scope<'a>(
    bound: &Bound,
    params: Option<&Value>,
    attributes: &'a Attributes,
    cluster: &'a dyn Cluster,
    budget: &mut Budget,
) -> Variables<'a> {
    let addressed = (&attributes.resource, &attributes.kind);
    let object = attributes.object.as_ref();
    let mut scope = variables(attributes, addressed, object, attributes.old_object.as_deref(), cluster);
    if !attributes.namespace.is_empty()
        && let Some(namespace) = cluster.get("", "namespaces", "", &attributes.namespace)
    {
        scope.set("namespaceObject", from_json(&namespace));
    }
    scope.set("params", params.map_or(Cel::Null, from_json));
    let mut known = apimachinery::value::Map::new();
    for (name, program) in &bound.policy.variables {
        scope.set("variables", from_json(&Value::Object(known.clone())));
        if let Ok(program) = program
            && let Ok(value) = program.evaluate(&scope, budget)
            && let Some(value) = super::cel::to_json(&value)
        {
            known.insert(name.clone(), value);
        }
    }
    scope.set("variables", from_json(&Value::Object(known)));
    scope
}
