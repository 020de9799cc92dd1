//! Policies and bindings, parsed once per change.

use apimachinery::value::Value;

use super::super::cel::{MatchConditions, Program};
use super::matching::Constraints;

/// A policy of either kind.
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) constraints: Constraints,
    pub(crate) conditions: MatchConditions,
    pub(crate) ignore_failures: bool,
    /// reinvocationPolicy IfNeeded.
    pub(crate) reinvoke: bool,
    /// apiVersion and kind of parameters.
    pub(crate) param_kind: Option<(String, String)>,
    pub(crate) variables: Vec<(String, Result<Program, String>)>,
    pub(crate) validations: Vec<Validation>,
    pub(crate) mutations: Vec<Mutation>,
    pub(crate) audit: Vec<(String, Result<Program, String>)>,
}

/// One entry of `validations`.
pub(crate) struct Validation {
    pub(crate) expression: String,
    pub(crate) program: Result<Program, String>,
    pub(crate) message: String,
    pub(crate) message_program: Option<Result<Program, String>>,
    pub(crate) reason: String,
}

/// One entry of `mutations`.
pub(crate) struct Mutation {
    /// Whether the expression yields an apply configuration and not a JSON patch.
    pub(crate) apply: bool,
    pub(crate) program: Result<Program, String>,
}

/// A binding.
pub(crate) struct Binding {
    pub(crate) name: String,
    pub(crate) constraints: Constraints,
    pub(crate) actions: Vec<String>,
    pub(crate) param_ref: Value,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn compile(expression: &Value) -> Result<Program, String> {
    Program::compile(expression.as_str().unwrap_or_default().trim())
}

impl Policy {
    pub(crate) fn parse(policy: &Value) -> Self {
        let spec = &policy["spec"];
        let ignore_failures = spec["failurePolicy"] == "Ignore";
        let param_kind = spec["paramKind"].as_object().map(|_| {
            let kind = &spec["paramKind"];
            (text(&kind["apiVersion"]), text(&kind["kind"]))
        });
        let validations = list(&spec["validations"]).map(|validation| Validation {
            expression: text(&validation["expression"]),
            program: compile(&validation["expression"]),
            message: text(&validation["message"]).trim().to_owned(),
            message_program: validation["messageExpression"].as_str().map(Program::compile),
            reason: text(&validation["reason"]),
        });
        let mutations = list(&spec["mutations"]).map(|mutation| {
            let apply = mutation["patchType"] == "ApplyConfiguration";
            let source = if apply { &mutation["applyConfiguration"] } else { &mutation["jsonPatch"] };
            Mutation { apply, program: compile(&source["expression"]) }
        });
        Self {
            name: text(&policy["metadata"]["name"]),
            constraints: Constraints::parse(&spec["matchConstraints"]),
            conditions: MatchConditions::compile(&spec["matchConditions"], ignore_failures),
            ignore_failures,
            reinvoke: spec["reinvocationPolicy"] == "IfNeeded",
            param_kind,
            variables: list(&spec["variables"])
                .map(|variable| (text(&variable["name"]), compile(&variable["expression"])))
                .collect(),
            validations: validations.collect(),
            mutations: mutations.collect(),
            audit: list(&spec["auditAnnotations"])
                .map(|annotation| (text(&annotation["key"]), compile(&annotation["valueExpression"])))
                .collect(),
        }
    }
}

impl Binding {
    pub(crate) fn parse(binding: &Value) -> Self {
        let spec = &binding["spec"];
        Self {
            name: text(&binding["metadata"]["name"]),
            constraints: Constraints::parse(&spec["matchResources"]),
            actions: list(&spec["validationActions"]).map(text).collect(),
            param_ref: spec["paramRef"].clone(),
        }
    }
}
