//! `rules`: operations, groups, versions, resources, scope.

use apimachinery::value::Value;

use super::errors::{Errors, texts};

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

pub(crate) fn validate(rule: &Value, path: &str, errors: &mut Errors) {
    let operations = texts(&rule["operations"]);
    let at = format!("{path}.operations");
    if operations.is_empty() {
        errors.required(&at, "");
    }
    alone(rule, "operations", path, "if '*' is present, must not specify other operations", errors);
    for (index, operation) in operations.iter().enumerate() {
        if !OPERATIONS.contains(operation) {
            errors.not_supported(&format!("{at}[{index}]"), operation, &OPERATIONS);
        }
    }
    list(rule, "apiGroups", path, "if '*' is present, must not specify other API groups", errors);
    list(rule, "apiVersions", path, "if '*' is present, must not specify other API versions", errors);
    for (index, version) in texts(&rule["apiVersions"]).iter().enumerate() {
        if version.is_empty() {
            errors.required(&format!("{path}.apiVersions[{index}]"), "");
        }
    }
    resources(&rule["resources"], &format!("{path}.resources"), errors);
    let scopes = ["*", "Cluster", "Namespaced"];
    if let Some(scope) = rule["scope"].as_str().filter(|scope| !scopes.contains(scope)) {
        errors.not_supported(&format!("{path}.scope"), scope, &scopes);
    }
}

fn list(rule: &Value, key: &str, path: &str, why: &str, errors: &mut Errors) {
    if texts(&rule[key]).is_empty() {
        errors.required(&format!("{path}.{key}"), "");
    }
    alone(rule, key, path, why, errors);
}

fn alone(rule: &Value, key: &str, path: &str, why: &str, errors: &mut Errors) {
    let given = texts(&rule[key]);
    if given.len() > 1 && given.contains(&"*") {
        errors.invalid(&format!("{path}.{key}"), &rule[key].to_string(), why);
    }
}

fn resources(list: &Value, path: &str, errors: &mut Errors) {
    let resources = texts(list);
    if resources.is_empty() {
        errors.required(path, "");
    }
    let (mut all_sub_of, mut sub_of_all): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut plain = false;
    for (index, resource) in resources.iter().enumerate() {
        let at = format!("{path}[{index}]");
        if resource.is_empty() {
            errors.required(&at, "");
            continue;
        }
        let Some((name, sub)) = resource.split_once('/') else {
            plain = *resource != "*";
            continue;
        };
        if all_sub_of.contains(&name) {
            errors.invalid_text(&at, resource, &format!("if '{name}/*' is present, must not specify {resource}"));
        }
        if sub_of_all.contains(&sub) {
            errors.invalid_text(&at, resource, &format!("if '*/{sub}' is present, must not specify {resource}"));
        }
        if sub == "*" {
            all_sub_of.push(name);
        }
        if name == "*" {
            sub_of_all.push(sub);
        }
    }
    if resources.len() > 1 && resources.contains(&"*/*") {
        errors.invalid(path, &list.to_string(), "if '*/*' is present, must not specify other resources");
    }
    if plain && resources.contains(&"*") {
        let why = "if '*' is present, must not specify other resources without subresources";
        errors.invalid(path, &list.to_string(), why);
    }
}
