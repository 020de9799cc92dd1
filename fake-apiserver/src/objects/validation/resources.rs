//! Resource requirements of containers and pods.

use std::collections::{BTreeSet, HashMap, HashSet};

use apimachinery::quantity::Quantity;
use apimachinery::value::{Value, json};

use super::meta::invalid_each;
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{entries, list, object, sub, text};
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

/// Names of things that are counted.
fn is_counted(name: &str) -> bool {
    matches!(
        name,
        "pods"
            | "resourcequotas"
            | "services"
            | "replicationcontrollers"
            | "secrets"
            | "configmaps"
            | "persistentvolumeclaims"
            | "services.nodeports"
            | "services.loadbalancers"
    ) || is_extended(name)
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

/// What a resource of a container, or of a pod, may be called.
type NameRule = fn(&str, &Path<'_>, &mut Vec<FieldError>);

/// One amount of `limits`, `requests` or `overhead`.
fn amount(name: &str, value: &Value, rule: NameRule, parent: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = parent.key(name);
    rule(name, &path, errors);
    let Some(amount) = quantity(value) else { return };
    let printed = amount.to_string();
    if amount.is_negative() {
        errors.push(FieldError::invalid_str(&path, &printed, "must be greater than or equal to 0"));
    }
    if is_counted(name) && !amount.is_integer() {
        errors.push(FieldError::invalid_str(&path, &printed, "must be an integer"));
    }
    if let Some(page) = name.strip_prefix("hugepages-") {
        let page = Quantity::parse(page).filter(|page| !page.is_negative() && page.is_integer());
        if !page.is_some_and(|page| amount.is_multiple_of(&page)) {
            let detail = format!("{printed} is not positive integer multiple of {name}");
            errors.push(FieldError::invalid_str(&path, &printed, detail));
        }
    }
}

/// Whether the name is one of a resource at all.
fn known(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) -> bool {
    let messages = names::qualified_name(name);
    let mut good = messages.is_empty();
    invalid_each(errors, path, name, messages);
    if good && !name.contains('/') && !is_standard(name) {
        let detail = "must be a standard resource type or fully qualified";
        errors.push(FieldError::invalid_str(path, name, detail));
        good = false;
    }
    good
}

fn of_container(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    known(name, path, errors);
    if !name.contains('/') {
        if !is_standard_container(name) {
            errors.push(FieldError::invalid_str(path, name, "must be a standard resource for containers"));
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.push(FieldError::invalid_str(path, name, "doesn't follow extended resource name standard"));
    }
}

fn of_pod(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if known(name, path, errors) && !matches!(name, "cpu" | "memory") && !is_huge_page(name) {
        errors.push(FieldError::not_supported(path, name, &["cpu", "hugepages-", "memory"]));
    }
}

/// `spec.resources` of a pod.
pub(crate) fn pod(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(own) = object(spec, "resources") else { return };
    let resources_path = path.child("resources");
    if text(sub(spec, "os"), "name") == "windows" {
        errors.push(FieldError::forbidden(&resources_path, "may not be set for a windows pod"));
        return;
    }
    if own.get("claims").is_some_and(Value::is_array) {
        let detail = "claims may not be set for Resources at pod-level";
        errors.push(FieldError::forbidden(&resources_path.child("claims"), detail));
    }
    amounts(own, list(spec, "resourceClaims"), of_pod, &resources_path, errors);
    consistent(spec, own, &resources_path, errors);
}

/// A pod asks for at least as much as its containers together, and no container may have more than the pod.
fn consistent(spec: &Value, own: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (field, huge_only, what) in [("requests", false, "requests"), ("limits", true, "limits")] {
        let path = path.child(field);
        for (name, value) in entries(own, field).filter(|(name, _)| !huge_only || is_huge_page(name)) {
            let (Some(given), Some(all)) = (quantity(value), of_all_containers(spec, field, name)) else { continue };
            if all > given {
                let detail = format!("must be greater than or equal to aggregate container {what} of {all}");
                errors.push(FieldError::invalid_str(&path.key(name), &given.to_string(), detail));
            }
        }
    }
    let limits = sub(own, "limits");
    let containers = path.child("containers");
    for (index, container) in list(spec, "containers").iter().enumerate() {
        let path = containers.index(index);
        for (name, value) in entries(sub(container, "resources"), "limits") {
            let (Some(limit), Some(most)) = (quantity(value), limits.get(name).and_then(quantity)) else { continue };
            if limit > most {
                let path = path.key(name);
                let detail = format!("must be less than or equal to pod limits of {most}");
                errors.push(FieldError::invalid_str(&path.child("limits"), &limit.to_string(), detail));
            }
        }
    }
}

/// What the containers of a pod need together at most: the regular ones and the sidecars, or an init container and the sidecars
/// before it.
fn of_all_containers(spec: &Value, field: &str, name: &str) -> Option<Quantity> {
    let of = |container: &Value| sub(sub(container, "resources"), field).get(name).and_then(quantity);
    let plus = |sum: Option<Quantity>, more: Option<Quantity>| match (sum, more) {
        (Some(sum), Some(more)) => Some(sum.plus(&more)),
        (sum, more) => sum.or(more),
    };
    let mut together = list(spec, "containers").iter().fold(None, |sum, container| plus(sum, of(container)));
    let (mut sidecars, mut most) = (None, None::<Quantity>);
    for container in list(spec, "initContainers") {
        let mut needed = of(container);
        if text(container, "restartPolicy") == "Always" {
            together = plus(together, needed);
            sidecars = plus(sidecars, needed);
            needed = sidecars;
        } else {
            needed = plus(needed, sidecars);
        }
        most = match (most, needed) {
            (Some(most), Some(needed)) if needed <= most => Some(most),
            (most, needed) => needed.or(most),
        };
    }
    match (together, most) {
        (Some(together), Some(most)) if most <= together => Some(together),
        (together, most) => most.or(together),
    }
}

/// `resources` of a container; `claims` are the names of the pod's resource claims.
pub(crate) fn requirements(requirements: &Value, claims: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    amounts(requirements, claims, of_container, path, errors);
}

fn amounts(requirements: &Value, claims: &[Value], rule: NameRule, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (limits_path, requests_path) = (path.child("limits"), path.child("requests"));
    for (name, value) in entries(requirements, "limits") {
        amount(name, value, rule, &limits_path, errors);
    }
    let limits = sub(requirements, "limits");
    for (name, value) in entries(requirements, "requests") {
        amount(name, value, rule, &requests_path, errors);
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

/// How many claims of a container that the pod has not are told.
const UNKNOWN_CLAIMS: usize = 100;
/// Beside so many errors, of whatever kind, no more of them are told: there may be many containers.
const MANY: usize = 1000;
/// How many bytes of the names that there are stand in each error.
const KNOWN_BYTES: usize = 16 * 1024;

fn claim_names(requirements: &Value, claims: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let asked = list(requirements, "claims");
    if asked.is_empty() {
        return;
    }
    let known: BTreeSet<&str> =
        claims.iter().map(|claim| text(claim, "name")).filter(|name| !name.is_empty()).collect();
    let mut unknown = 0;
    let mut seen: HashSet<String> = HashSet::new();
    // How many single requests of a claim were seen.
    let mut parts: HashMap<String, usize> = HashMap::new();
    for (index, claim) in asked.iter().enumerate() {
        let path = path.index(index);
        let (name, request) = (text(claim, "name"), text(claim, "request"));
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
            continue;
        }
        if seen.contains(name) {
            // All requests of the claim are there already.
            errors.push(FieldError::duplicate_str(&path, name));
        } else {
            let mut key = name.to_owned();
            if !request.is_empty() {
                invalid_each(errors, &path.child("request"), request, names::dns1123_label(request));
                key = format!("{name}/{request}");
            }
            if seen.contains(&key) {
                errors.push(FieldError::duplicate_str(&path, &key));
            } else if request.is_empty() {
                let parts = parts.get(name).copied().unwrap_or_default();
                errors.extend((0..parts).map(|_| FieldError::duplicate_str(&path, name)));
            }
            let of = key.split_once('/').map(|(of, _)| of.to_owned());
            if seen.insert(key)
                && let Some(of) = of
            {
                *parts.entry(of).or_default() += 1;
            }
        }
        if !known.contains(name) && unknown < UNKNOWN_CLAIMS && errors.len() < MANY {
            unknown += 1;
            let mut error = FieldError::not_found(&path, name);
            "must be one of the names in pod.spec.resourceClaims".clone_into(&mut error.detail);
            error.detail.push_str(if known.is_empty() { " which is empty" } else { ": " });
            let start = error.detail.len();
            for (at, name) in known.iter().enumerate() {
                error.detail.push_str(if at == 0 { "" } else { ", " });
                if error.detail.len() - start + name.len() > KNOWN_BYTES {
                    error.detail.push_str("...");
                    break;
                }
                error.detail.push_str(name);
            }
            errors.push(error);
        }
    }
}

/// `spec.overhead`, which is looked at as if it were the limits of a container.
pub(crate) fn overhead(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(overhead) = spec.get("overhead").filter(|overhead| overhead.is_object()) {
        requirements(&json!({"limits": overhead}), &[], path, errors);
    }
}
