//! Validation of Mutating- and ValidatingWebhookConfigurations, with every message of kube-apiserver v1.36
//! (vectors `config-validation/*`), and of admission policies and their bindings. Metadata is validated by whoever validates
//! everybody's metadata.

mod bindings;
mod client_config;
mod conditions;
mod constraints;
mod errors;
mod policies;
mod rules;
mod selector;
#[cfg(test)]
mod tests;

use apimachinery::value::Value;

use super::cel::Environment;
use crate::objects::field::FieldError;
use errors::{Errors, texts};

/// What is wrong with a configuration of admission (other kinds: nothing), in the apiserver's order; `old` is the stored object
/// on an update.
pub(crate) fn validate(kind: &str, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Errors::default();
    match kind {
        "MutatingWebhookConfiguration" => return webhooks(true, new, old),
        "ValidatingWebhookConfiguration" => return webhooks(false, new, old),
        "ValidatingAdmissionPolicy" => policies::validating(new, old, &mut errors),
        "MutatingAdmissionPolicy" => policies::mutating(new, old, &mut errors),
        "ValidatingAdmissionPolicyBinding" => bindings::validating(&new["spec"], &mut errors),
        "MutatingAdmissionPolicyBinding" => bindings::mutating(&new["spec"], &mut errors),
        _ => {}
    }
    errors.into_inner()
}

fn webhooks(mutating: bool, configuration: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let beta = configuration["apiVersion"].as_str().is_some_and(|version| version.ends_with("/v1beta1"));
    let hooks = |of: &Value| of["webhooks"].as_array().cloned().unwrap_or_default();
    let new = hooks(configuration);
    let old = old.map(hooks);
    let unique_before = old.as_ref().is_none_or(|old| {
        let names: Vec<_> = old.iter().map(|hook| &hook["name"]).collect();
        names.iter().enumerate().all(|(at, name)| !names[..at].contains(name))
    });
    let mut names: Vec<&str> = Vec::new();
    for (index, hook) in new.iter().enumerate() {
        let path = format!("webhooks[{index}]");
        webhook(mutating, beta, hook, &path, &mut errors);
        review_versions(hook, &path, &mut errors);
        let name = hook["name"].as_str().unwrap_or_default();
        if unique_before && !name.is_empty() {
            if names.contains(&name) {
                errors.duplicate(&format!("{path}.name"), name);
            } else {
                names.push(name);
            }
        }
    }
    errors.into_inner()
}

fn webhook(mutating: bool, beta: bool, hook: &Value, path: &str, errors: &mut Errors) {
    full_name(hook["name"].as_str().unwrap_or_default(), &format!("{path}.name"), errors);
    for (index, rule) in hook["rules"].as_array().into_iter().flatten().enumerate() {
        rules::validate(rule, &format!("{path}.rules[{index}]"), errors);
    }
    choice(hook, "failurePolicy", &["Fail", "Ignore"], path, errors);
    choice(hook, "matchPolicy", &["Equivalent", "Exact"], path, errors);
    if hook["sideEffects"].as_str().is_none_or(str::is_empty) {
        errors.required(&format!("{path}.sideEffects"), "must specify one of None, NoneOnDryRun");
    }
    if hook["sideEffects"] != "" {
        // v1beta1 forgave side effects.
        let known: &[&str] =
            if beta { &["None", "NoneOnDryRun", "Some", "Unknown"] } else { &["None", "NoneOnDryRun"] };
        choice(hook, "sideEffects", known, path, errors);
    }
    if let Some(seconds) = hook["timeoutSeconds"].as_i64().filter(|seconds| !(1..=30).contains(seconds)) {
        let why = "the timeout value must be between 1 and 30 seconds";
        errors.invalid(&format!("{path}.timeoutSeconds"), &seconds.to_string(), why);
    }
    selector::validate(&hook["namespaceSelector"], &format!("{path}.namespaceSelector"), errors);
    selector::validate(&hook["objectSelector"], &format!("{path}.objectSelector"), errors);
    if mutating {
        choice(hook, "reinvocationPolicy", &["IfNeeded", "Never"], path, errors);
    }
    client_config::validate(&hook["clientConfig"], &format!("{path}.clientConfig"), errors);
    conditions::validate(&hook["matchConditions"], &Environment::new(), &format!("{path}.matchConditions"), errors);
}

fn choice(hook: &Value, key: &str, supported: &[&str], path: &str, errors: &mut Errors) {
    if let Some(given) = hook[key].as_str().filter(|given| !supported.contains(given)) {
        errors.not_supported(&format!("{path}.{key}"), given, supported);
    }
}

/// A webhook's name: a DNS subdomain of at least three segments.
fn full_name(name: &str, path: &str, errors: &mut Errors) {
    if name.is_empty() {
        return errors.required(path, "");
    }
    let why = errors::dns1123_subdomain(name);
    if !why.is_empty() {
        errors.invalid_text(path, name, &why.join(","));
    } else if name.split('.').count() < 3 {
        errors.invalid_text(path, name, "should be a domain with at least three segments separated by dots");
    }
}

fn review_versions(hook: &Value, path: &str, errors: &mut Errors) {
    let path = format!("{path}.admissionReviewVersions");
    let versions = texts(&hook["admissionReviewVersions"]);
    if versions.is_empty() {
        return errors.required(&path, "must specify one of v1, v1beta1");
    }
    for (index, version) in versions.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if versions[..index].contains(version) {
            errors.invalid_text(&path, version, "duplicate version");
        } else {
            for why in errors::dns1035_label(version) {
                errors.invalid_text(&path, version, &why);
            }
        }
    }
    if !versions.iter().any(|version| *version == "v1" || *version == "v1beta1") {
        errors.invalid(&path, &hook["admissionReviewVersions"].to_string(), "must include at least one of v1, v1beta1");
    }
}
