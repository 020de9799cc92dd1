//! Resource requirements of containers and pods.

use crate::objects::quantity::Quantity;
use serde_json::Value;

use super::meta::invalid_each;
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{entries, list, sub, text};
use crate::objects::names;

/// A parsed quantity of a map; decoding has made sure that it is one.
fn quantity(value: &Value) -> Option<Quantity> {
    value.as_str().and_then(Quantity::parse)
}

fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.") && names::qualified_name(&format!("requests.{name}")).is_empty()
}

fn is_standard_container(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || is_huge_page(name)
}

fn is_standard(name: &str) -> bool {
    matches!(
        name,
        "cpu"
            | "memory"
            | "ephemeral-storage"
            | "storage"
            | "requests.cpu"
            | "requests.memory"
            | "requests.storage"
            | "requests.ephemeral-storage"
            | "limits.cpu"
            | "limits.memory"
            | "limits.ephemeral-storage"
            | "pods"
            | "resourcequotas"
            | "services"
            | "replicationcontrollers"
            | "secrets"
            | "configmaps"
            | "persistentvolumeclaims"
            | "services.nodeports"
            | "services.loadbalancers"
    ) || is_huge_page(name)
        || name.starts_with("requests.hugepages-")
}

/// One amount of `limits`, `requests` or `overhead`.
fn amount(name: &str, value: &Value, parent: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = parent.key(name);
    name_errors(name, &path, errors);
    let Some(amount) = quantity(value) else { return };
    let printed = amount.to_string();
    if amount.is_negative() {
        errors.push(FieldError::invalid_str(&path, &printed, "must be greater than or equal to 0"));
    }
    if is_extended(name) && !amount.is_integer() {
        errors.push(FieldError::invalid_str(&path, &printed, "must be an integer"));
    }
    if let Some(page) = name.strip_prefix("hugepages-").and_then(Quantity::parse)
        && !amount.is_multiple_of(&page)
    {
        let detail = format!("{printed} is not positive integer multiple of {name}");
        errors.push(FieldError::invalid_str(&path, &printed, detail));
    }
}

fn name_errors(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let messages = names::qualified_name(name);
    if !messages.is_empty() {
        invalid_each(errors, path, name, messages);
    } else if !name.contains('/') {
        if !is_standard(name) {
            let detail = "must be a standard resource type or fully qualified";
            errors.push(FieldError::invalid_str(path, name, detail));
        }
        if !is_standard_container(name) {
            errors.push(FieldError::invalid_str(path, name, "must be a standard resource for containers"));
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.push(FieldError::invalid_str(path, name, "doesn't follow extended resource name standard"));
    }
}

/// `resources` of a container; `claims` are the names of the pod's resource claims.
pub(crate) fn requirements(requirements: &Value, claims: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (limits_path, requests_path) = (path.child("limits"), path.child("requests"));
    for (name, value) in entries(requirements, "limits") {
        amount(name, value, &limits_path, errors);
    }
    let limits = sub(requirements, "limits");
    for (name, value) in entries(requirements, "requests") {
        amount(name, value, &requests_path, errors);
        let Some(request) = quantity(value) else { continue };
        let overcommit = is_native(name) && !is_huge_page(name);
        match limits.get(name).and_then(quantity) {
            Some(limit) if request != limit && !overcommit => {
                let detail = format!("must be equal to {name} limit of {limit}");
                errors.push(FieldError::invalid_str(&requests_path, &request.to_string(), detail));
            }
            Some(limit) if request > limit => {
                let detail = format!("must be less than or equal to {name} limit of {limit}");
                errors.push(FieldError::invalid_str(&requests_path, &request.to_string(), detail));
            }
            None if !overcommit => {
                let detail = "Limit must be set for non overcommitable resources";
                errors.push(FieldError::required(&limits_path, detail));
            }
            _ => {}
        }
    }
    let any = |wanted: fn(&str) -> bool| {
        ["limits", "requests"].iter().any(|field| entries(requirements, field).any(|(name, _)| wanted(name)))
    };
    if any(is_huge_page) && !any(|name| matches!(name, "cpu" | "memory")) {
        errors.push(FieldError::forbidden(path, "HugePages require cpu or memory"));
    }
    claim_names(requirements, claims, &path.child("claims"), errors);
}

fn claim_names(requirements: &Value, claims: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (index, claim) in list(requirements, "claims").iter().enumerate() {
        let path = path.index(index);
        let (name, request) = (text(claim, "name"), text(claim, "request"));
        if name.is_empty() {
            errors.push(FieldError::required(&path.child("name"), ""));
            continue;
        }
        if seen.contains(&(name, request)) {
            errors.push(FieldError::duplicate_str(&path, name));
        } else {
            seen.push((name, request));
        }
        if !claims.iter().any(|known| text(known, "name") == name) {
            let path = path.child("name");
            errors.push(FieldError::not_found(&path, name));
        }
    }
}

/// `spec.overhead`.
pub(crate) fn overhead(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (name, value) in entries(spec, "overhead") {
        amount(name, value, path, errors);
    }
}
