//! ValidatingAdmissionPolicyBindings and MutatingAdmissionPolicyBindings.

use apimachinery::value::Value;

use super::errors::{Errors, dns1123_subdomain, texts};
use super::{constraints, selector};
use crate::objects::names;

/// What is wrong with the `spec` of a ValidatingAdmissionPolicyBinding.
pub(super) fn validating(spec: &Value, errors: &mut Errors) {
    policy_and_params(spec, errors);
    if spec["matchResources"].is_object() {
        // The apiserver spells it so.
        constraints::validate(&spec["matchResources"], "spec.matchResouces", errors);
    }
    actions(&spec["validationActions"], "spec.validationActions", errors);
}

/// What is wrong with the `spec` of a MutatingAdmissionPolicyBinding.
pub(super) fn mutating(spec: &Value, errors: &mut Errors) {
    policy_and_params(spec, errors);
    if spec["matchResources"].is_object() {
        constraints::validate(&spec["matchResources"], "spec.matchResources", errors);
        constraints::only_mutable(&spec["matchResources"], "spec.matchResources", errors);
    }
}

fn policy_and_params(spec: &Value, errors: &mut Errors) {
    let name = spec["policyName"].as_str().unwrap_or_default();
    if name.is_empty() {
        errors.required("spec.policyName", "");
    } else {
        for why in dns1123_subdomain(name) {
            errors.invalid_text("spec.policyName", name, &why);
        }
    }
    if spec["paramRef"].is_object() {
        param_ref(&spec["paramRef"], "spec.paramRef", errors);
    }
}

/// Parameters are found by name or by labels, and it has to be said what their absence means.
fn param_ref(reference: &Value, path: &str, errors: &mut Errors) {
    let exclusive = "name and selector are mutually exclusive";
    let name = reference["name"].as_str().unwrap_or_default();
    let has_selector = !reference["selector"].is_null();
    if !name.is_empty() {
        let at = format!("{path}.name");
        for why in names::path_segment(name) {
            errors.invalid_text(&at, name, &why);
        }
        if has_selector {
            errors.forbidden(&at, exclusive);
        }
    }
    if has_selector {
        let at = format!("{path}.selector");
        selector::validate(&reference["selector"], &at, errors);
        if !name.is_empty() {
            errors.forbidden(&at, exclusive);
        }
    }
    if name.is_empty() && !has_selector {
        errors.required(path, "one of name or selector must be specified");
    }
    let at = format!("{path}.parameterNotFoundAction");
    match reference["parameterNotFoundAction"].as_str().unwrap_or_default() {
        "" => errors.required(&at, ""),
        "Deny" | "Allow" => {}
        other => errors.not_supported(&at, other, &["Deny", "Allow"]),
    }
}

fn actions(list: &Value, path: &str, errors: &mut Errors) {
    let actions = texts(list);
    let supported = ["Audit", "Deny", "Warn"];
    for (index, action) in actions.iter().enumerate() {
        let at = format!("{path}[{index}]");
        if !supported.contains(action) {
            errors.not_supported(&at, action, &supported);
        }
        if actions[..index].contains(action) {
            errors.duplicate(&at, action);
        }
    }
    if actions.contains(&"Deny") && actions.contains(&"Warn") {
        let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        errors.invalid(path, &list.to_string(), why);
    }
    if actions.is_empty() {
        errors.required(path, "at least one validation action is required");
    }
}
