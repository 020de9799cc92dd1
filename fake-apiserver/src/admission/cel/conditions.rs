//! matchConditions: all have to be true for the webhook to be called.

use apimachinery::value::{Value, json, to_value};
use kube_cel::cel::Value as Cel;

use super::super::attributes::{Attributes, GroupVersionKind, GroupVersionResource};
use super::super::cluster::Cluster;
use super::functions::authorizer;
use super::program::{Budget, Program, Variables};
use super::value::from_json;

/// Cost of all conditions of one webhook at most.
const BUDGET: i64 = 2_500_000;

/// The match conditions of one webhook or policy.
pub(crate) struct MatchConditions {
    conditions: Vec<Condition>,
    ignore_failures: bool,
}

struct Condition {
    name: String,
    expression: String,
    program: Result<Program, String>,
}

impl MatchConditions {
    /// Compiles a list of `{name, expression}`.
    pub(crate) fn compile(conditions: &Value, ignore_failures: bool) -> Self {
        let conditions = conditions.as_array().into_iter().flatten().map(|condition| {
            let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
            let expression = text("expression");
            Condition { name: text("name"), program: Program::compile(&expression), expression }
        });
        Self { conditions: conditions.collect(), ignore_failures }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// None when all are true; else the name of one that is not. A false one wins over errors, and errors count as not
    /// matching with failurePolicy Ignore (vectors `matchconditions/error-*`).
    ///
    /// # Errors
    /// The texts of all errors, with failurePolicy Fail.
    pub(crate) fn evaluate(&self, variables: &Variables<'_>) -> Result<Option<String>, String> {
        let mut budget = Budget(BUDGET);
        let mut errors = Vec::new();
        for condition in &self.conditions {
            let result = match &condition.program {
                Ok(program) => program.evaluate(variables, &mut budget),
                Err(error) => Err(format!("compilation failed: {error}")),
            };
            let error = match result {
                Ok(Cel::Bool(true)) => continue,
                Ok(Cel::Bool(false)) => return Ok(Some(condition.name.clone())),
                Ok(_) => "the result is not a bool".to_owned(),
                Err(error) => error,
            };
            errors.push((&condition.name, format!("expression '{}' resulted in error: {error}", condition.expression)));
        }
        match errors.as_slice() {
            [] => Ok(None),
            [(name, error), ..] if self.ignore_failures => Ok(Some(format!("{name}: {error}"))),
            [(_, error)] => Err(error.clone()),
            errors => {
                let texts: Vec<_> = errors.iter().map(|(_, error)| error.as_str()).collect();
                Err(format!("[{}]", texts.join(", ")))
            }
        }
    }
}

/// The variables of match conditions: object, oldObject, request, authorizer, namespaceObject.
pub(crate) fn variables<'a>(
    attributes: &'a Attributes,
    (resource, kind): (&GroupVersionResource, &GroupVersionKind),
    object: Option<&Value>,
    old_object: Option<&Value>,
    cluster: &'a dyn Cluster,
) -> Variables<'a> {
    let or_null = |object: Option<&Value>| object.map_or(Cel::Null, from_json);
    let request_resource = [
        ("group", attributes.resource.group.as_str()),
        ("resource", &attributes.resource.resource),
        ("subresource", &attributes.subresource),
        ("namespace", &attributes.namespace),
        ("name", &attributes.name),
    ];
    Variables {
        values: vec![
            ("object", or_null(object)),
            ("oldObject", or_null(old_object)),
            ("request", from_json(&request_value(attributes, resource, kind))),
            ("namespaceObject", Cel::Null),
            ("authorizer", authorizer(&request_resource)),
        ],
        user: &attributes.user,
        cluster,
    }
}

/// The request as `request` shows it: the review's request without its objects; empty fields are left out.
pub(crate) fn request_value(
    attributes: &Attributes,
    resource: &GroupVersionResource,
    kind: &GroupVersionKind,
) -> Value {
    let gvk = |kind: &GroupVersionKind| json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
    let gvr = |of: &GroupVersionResource| json!({"group": of.group, "version": of.version, "resource": of.resource});
    let mut request = json!({
        "kind": gvk(kind),
        "resource": gvr(resource),
        "requestKind": gvk(&attributes.kind),
        "requestResource": gvr(&attributes.resource),
        "operation": attributes.operation.as_str(),
        "userInfo": to_value(&attributes.user).unwrap_or_default(),
        "dryRun": attributes.dry_run,
    });
    for (key, value) in [
        ("subResource", &attributes.subresource),
        ("requestSubResource", &attributes.subresource),
        ("name", &attributes.name),
        ("namespace", &attributes.namespace),
    ] {
        if !value.is_empty() {
            request[key] = value.as_str().into();
        }
    }
    if let Some(options) = &attributes.options {
        request["options"] = options.clone();
    }
    request
}
