//! What policies and bindings say about what they are for: `matchConstraints`, `matchResources`, `paramKind`.

use apimachinery::value::{List, Value};

use super::errors::{Errors, dns1035_label, dns1123_subdomain, texts};
use super::{choice, rules, selector};
use crate::objects::names;

/// `matchConstraints` of a policy, `matchResources` of a binding.
pub(super) fn validate(matched: &Value, path: &str, errors: &mut Errors) {
    if matched["matchPolicy"].is_null() {
        errors.required(&format!("{path}.matchPolicy"), "");
    }
    choice(matched, "matchPolicy", &["Equivalent", "Exact"], path, errors);
    for which in ["namespaceSelector", "objectSelector"] {
        let at = format!("{path}.{which}");
        if matched[which].is_null() {
            errors.required(&at, "");
        }
        selector::validate(&matched[which], &at, errors);
    }
    for which in ["resourceRules", "excludeResourceRules"] {
        for (index, rule) in matched[which].as_array().into_iter().flatten().enumerate() {
            named_rule(rule, &format!("{path}.{which}[{index}]"), errors);
        }
    }
}

/// A policy's constraints name at least one rule, for that tells what its expressions are about.
pub(super) fn of_policy(spec: &Value, errors: &mut Errors) {
    let path = "spec.matchConstraints";
    if spec["matchConstraints"].is_null() {
        return errors.required(path, "");
    }
    validate(&spec["matchConstraints"], path, errors);
    if spec["matchConstraints"]["resourceRules"].as_array().is_none_or(List::is_empty) {
        errors.required(&format!("{path}.resourceRules"), "");
    }
}

fn named_rule(rule: &Value, path: &str, errors: &mut Errors) {
    let given = texts(&rule["resourceNames"]);
    for (index, name) in given.iter().enumerate() {
        let at = format!("{path}.resourceNames[{index}]");
        for why in names::path_segment(name) {
            errors.invalid_text(&at, name, &why);
        }
        if given[..index].contains(name) {
            errors.duplicate(&at, name);
        }
    }
    rules::validate(rule, path, errors);
}

/// What is deleted cannot be changed. The path has no index, as in the apiserver.
pub(super) fn only_mutable(matched: &Value, path: &str, errors: &mut Errors) {
    let supported = ["*", "CONNECT", "CREATE", "UPDATE"];
    for rule in matched["resourceRules"].as_array().into_iter().flatten() {
        for operation in texts(&rule["operations"]).into_iter().filter(|operation| !supported.contains(operation)) {
            errors.not_supported(&format!("{path}.resourceRules.operations"), operation, &supported);
        }
    }
}

/// `paramKind`: an apiVersion and a kind.
pub(super) fn param_kind(kind: &Value, path: &str, errors: &mut Errors) {
    let text = |key: &str| kind[key].as_str().unwrap_or_default();
    api_version(text("apiVersion"), &format!("{path}.apiVersion"), errors);
    let at = format!("{path}.kind");
    let kind = text("kind");
    if kind.is_empty() {
        return errors.required(&at, "");
    }
    let why = dns1035_label(&kind.to_lowercase());
    if !why.is_empty() {
        errors.invalid_text(&at, kind, &format!("may have mixed case, but should otherwise match: {}", why.join(",")));
    }
}

fn api_version(given: &str, path: &str, errors: &mut Errors) {
    if given.is_empty() {
        return errors.required(path, "");
    }
    let (group, version) = match given.matches('/').count() {
        _ if given == "/" => ("", ""),
        0 => ("", given),
        1 => given.split_once('/').unwrap_or_default(),
        _ => return errors.invalid_text(path, given, &format!("unexpected GroupVersion string: {given}")),
    };
    let why = if group.is_empty() { Vec::new() } else { dns1123_subdomain(group) };
    if !why.is_empty() {
        errors.invalid_text(path, group, &why.join(","));
    }
    if version.is_empty() {
        return errors.invalid_text(path, given, "version must be specified");
    }
    let why = dns1035_label(version);
    if !why.is_empty() {
        errors.invalid_text(path, version, &why.join(","));
    }
}
