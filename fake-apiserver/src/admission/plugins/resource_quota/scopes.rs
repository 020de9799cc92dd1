//! Which pods a quota is about: `scopes` and `scopeSelector`. A quota with scopes is about pods alone.

use apimachinery::value::{List, Value};

use super::super::pod;

/// One condition on pods.
pub(super) struct Scope<'a> {
    name: &'a str,
    operator: &'a str,
    values: &'a [Value],
}

/// The scopes of a quota, of both fields.
pub(super) fn of(quota: &Value) -> Vec<Scope<'_>> {
    let spec = &quota["spec"];
    let plain = spec["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let plain = plain.map(|name| Scope { name, operator: "Exists", values: &[] });
    let selected = spec["scopeSelector"]["matchExpressions"].as_array().into_iter().flatten().map(|expression| Scope {
        name: expression["scopeName"].as_str().unwrap_or_default(),
        operator: expression["operator"].as_str().unwrap_or_default(),
        values: expression["values"].as_array().map_or(&[][..], List::as_slice),
    });
    plain.chain(selected).collect()
}

/// Whether a pod is within all of them.
pub(super) fn match_pod(scopes: &[Scope<'_>], object: &Value) -> bool {
    scopes.iter().all(|scope| matches(scope, &object["spec"]))
}

fn matches(scope: &Scope<'_>, spec: &Value) -> bool {
    let terminating = spec["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0);
    match scope.name {
        "Terminating" => terminating,
        "NotTerminating" => !terminating,
        "BestEffort" => is_best_effort(spec),
        "NotBestEffort" => !is_best_effort(spec),
        "PriorityClass" => has_class(scope, spec["priorityClassName"].as_str().unwrap_or_default()),
        "CrossNamespacePodAffinity" => reaches_out(spec),
        _ => false,
    }
}

/// Nothing is asked for and nothing limited: the quality of service BestEffort.
fn is_best_effort(spec: &Value) -> bool {
    let states = |resources: &Value| {
        ["requests", "limits"].iter().any(|what| ["cpu", "memory"].iter().any(|of| !resources[what][of].is_null()))
    };
    !states(&spec["resources"]) && !pod::containers(spec).any(|container| states(&container["resources"]))
}

fn has_class(scope: &Scope<'_>, class: &str) -> bool {
    let listed = || scope.values.iter().any(|value| value == class);
    match scope.operator {
        "Exists" => !class.is_empty(),
        "DoesNotExist" => class.is_empty(),
        "In" => !class.is_empty() && listed(),
        "NotIn" => !listed(),
        _ => false,
    }
}

/// Whether affinity looks at pods of other namespaces.
fn reaches_out(spec: &Value) -> bool {
    let affinity = &spec["affinity"];
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let terms = |key: &str| affinity[kind][key].as_array().into_iter().flatten();
        let required = terms("requiredDuringSchedulingIgnoredDuringExecution");
        let preferred = terms("preferredDuringSchedulingIgnoredDuringExecution").map(|one| &one["podAffinityTerm"]);
        required.chain(preferred).any(|term| {
            term["namespaces"].as_array().is_some_and(|names| !names.is_empty()) || !term["namespaceSelector"].is_null()
        })
    })
}
