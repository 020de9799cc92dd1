//! Where a pod may run: affinity, tolerations, topology spread, gates.

use std::collections::{HashMap, HashSet};

use apimachinery::value::Value;

use super::meta::invalid_each;
use super::selector::{label_name, label_selector};
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{entries, int, list, object, sub, text};
use crate::objects::names;

/// `spec.affinity`.
pub(crate) fn affinity(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(affinity) = object(spec, "affinity") else { return };
    if let Some(node) = object(affinity, "nodeAffinity") {
        node_affinity(node, &path.child("nodeAffinity"), errors);
    }
    for field in ["podAffinity", "podAntiAffinity"] {
        let Some(pods) = object(affinity, field) else { continue };
        let path = path.child(field);
        let required = path.child("requiredDuringSchedulingIgnoredDuringExecution");
        for (index, term) in list(pods, "requiredDuringSchedulingIgnoredDuringExecution").iter().enumerate() {
            pod_term(term, &required.index(index), errors);
        }
        let preferred = path.child("preferredDuringSchedulingIgnoredDuringExecution");
        for (index, term) in list(pods, "preferredDuringSchedulingIgnoredDuringExecution").iter().enumerate() {
            let path = preferred.index(index);
            weight(term, &path, errors);
            pod_term(sub(term, "podAffinityTerm"), &path.child("podAffinityTerm"), errors);
        }
    }
}

fn weight(term: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let weight = int(term, "weight").unwrap_or(0);
    if !(1..=100).contains(&weight) {
        errors.push(FieldError::invalid(&path.child("weight"), &Value::from(weight), "must be in the range 1-100"));
    }
}

fn node_affinity(node: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(selector) = object(node, "requiredDuringSchedulingIgnoredDuringExecution") {
        let path = path.child("requiredDuringSchedulingIgnoredDuringExecution");
        node_selector(selector, &path, errors);
    }
    let preferred = path.child("preferredDuringSchedulingIgnoredDuringExecution");
    for (index, term) in list(node, "preferredDuringSchedulingIgnoredDuringExecution").iter().enumerate() {
        let path = preferred.index(index);
        weight(term, &path, errors);
        node_term(sub(term, "preference"), false, &path.child("preference"), errors);
    }
}

/// A node selector: of a pod's affinity, of a persistent volume.
pub(crate) fn node_selector(selector: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child("nodeSelectorTerms");
    let terms = list(selector, "nodeSelectorTerms");
    if terms.is_empty() {
        errors.push(FieldError::required(&path, "must have at least one node selector term"));
    }
    for (index, term) in terms.iter().enumerate() {
        node_term(term, true, &path.index(index), errors);
    }
}

fn node_term(term: &Value, check_values: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let expressions = path.child("matchExpressions");
    for (index, requirement) in list(term, "matchExpressions").iter().enumerate() {
        let path = expressions.index(index);
        let values = list(requirement, "values");
        let values_path = path.child("values");
        match text(requirement, "operator") {
            "In" | "NotIn" if values.is_empty() => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(&values_path, detail));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(&values_path, detail));
            }
            "Gt" | "Lt" if values.len() != 1 => {
                let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                errors.push(FieldError::required(&values_path, detail));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => {
                let detail = "not a valid selector operator";
                errors.push(FieldError::invalid_str(&path.child("operator"), other, detail));
            }
        }
        label_name(text(requirement, "key"), &path.child("key"), errors);
        for (index, value) in values.iter().enumerate().filter(|_| check_values) {
            let value = value.as_str().unwrap_or_default();
            invalid_each(errors, &values_path.index(index), value, names::label_value(value));
        }
    }
    let fields = path.child("matchFields");
    for (index, requirement) in list(term, "matchFields").iter().enumerate() {
        let path = fields.index(index);
        let values = list(requirement, "values");
        let values_path = path.child("values");
        match text(requirement, "operator") {
            "In" | "NotIn" => {
                if values.len() != 1 {
                    let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                    errors.push(FieldError::required(&values_path, detail));
                }
            }
            other => {
                let detail = "not a valid selector operator";
                errors.push(FieldError::invalid_str(&path.child("operator"), other, detail));
            }
        }
        let key = text(requirement, "key");
        if key == "metadata.name" {
            for (index, value) in values.iter().enumerate() {
                let value = value.as_str().unwrap_or_default();
                invalid_each(errors, &values_path.index(index), value, names::dns1123_subdomain(value));
            }
        } else {
            errors.push(FieldError::invalid_str(&path.child("key"), key, "not a valid field selector key"));
        }
    }
}

fn pod_term(term: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    label_selector(object(term, "labelSelector"), &path.child("labelSelector"), errors);
    label_selector(object(term, "namespaceSelector"), &path.child("namespaceSelector"), errors);
    for namespace in list(term, "namespaces") {
        let namespace = namespace.as_str().unwrap_or_default();
        invalid_each(errors, &path.child("namespace"), namespace, names::dns1123_label(namespace));
    }
    label_keys(term, path, errors);
    let key = text(term, "topologyKey");
    let key_path = path.child("topologyKey");
    if key.is_empty() {
        errors.push(FieldError::required(&key_path, "can not be empty"));
    }
    label_name(key, &key_path, errors);
}

/// `matchLabelKeys` and `mismatchLabelKeys` of a pod affinity term or a spread constraint.
///
/// By now the selector has an expression for each key of `matchLabelKeys` that the pod has a label for: a key that it had before
/// as well is there twice.
fn label_keys(term: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let selector = object(term, "labelSelector");
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        let keys = list(term, field);
        let list_path = path.child(field);
        if selector.is_none() && !keys.is_empty() {
            errors.push(FieldError::forbidden(&list_path, "must not be specified when labelSelector is not set"));
            continue;
        }
        for (index, key) in keys.iter().enumerate() {
            label_name(key.as_str().unwrap_or_default(), &list_path.index(index), errors);
        }
    }
    let keys = list(term, "matchLabelKeys");
    if let Some(selector) = selector {
        // Of two equal keys the last counts.
        let places: HashMap<&str, usize> =
            keys.iter().enumerate().filter_map(|(index, key)| Some((key.as_str()?, index))).collect();
        let mut selected: HashSet<&str> = entries(selector, "matchLabels").map(|(key, _)| key.as_str()).collect();
        for requirement in list(selector, "matchExpressions") {
            let key = text(requirement, "key");
            if let Some(&index) = places.get(key).filter(|_| selected.contains(key)) {
                let detail = "exists in both matchLabelKeys and labelSelector";
                errors.push(FieldError::invalid_str(&path.index(index), key, detail));
            }
            selected.insert(key);
        }
    }
    let mismatch: HashSet<&Value> = list(term, "mismatchLabelKeys").iter().collect();
    let path = path.child("matchLabelKeys");
    for (index, key) in keys.iter().enumerate().filter(|(_, key)| mismatch.contains(key)) {
        let detail = "exists in both matchLabelKeys and mismatchLabelKeys";
        errors.push(FieldError::invalid(&path.index(index), key, detail));
    }
}

/// `spec.tolerations`.
pub(crate) fn tolerations(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (index, toleration) in list(spec, "tolerations").iter().enumerate() {
        let path = path.index(index);
        let key = text(toleration, "key");
        let operator = text(toleration, "operator");
        let effect = text(toleration, "effect");
        let operator_path = path.child("operator");
        if key.is_empty() {
            if operator != "Exists" {
                let detail =
                    "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
                errors.push(FieldError::invalid_str(&operator_path, operator, detail));
            }
        } else {
            label_name(key, &path.child("key"), errors);
        }
        if int(toleration, "tolerationSeconds").is_some() && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(FieldError::invalid_str(&path.child("effect"), effect, detail));
        }
        let value = text(toleration, "value");
        match operator {
            "" | "Equal" => {
                let messages = names::label_value(value);
                if !messages.is_empty() {
                    errors.push(FieldError::invalid_str(&operator_path, value, messages.join(";")));
                }
            }
            "Exists" => {
                if !value.is_empty() {
                    let detail = "value must be empty when `operator` is 'Exists'";
                    errors.push(FieldError::invalid_str(&operator_path, value, detail));
                }
            }
            "Lt" | "Gt" => {
                let allowed = ["Equal", "Exists", "Lt", "Gt"];
                errors.push(FieldError::not_supported(&operator_path, operator, &allowed));
            }
            other => errors.push(FieldError::not_supported(&operator_path, other, &["Equal", "Exists"])),
        }
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        if !effect.is_empty() && !effects.contains(&effect) {
            errors.push(FieldError::not_supported(&path.child("effect"), effect, &effects));
        }
    }
}

/// `spec.topologySpreadConstraints`.
pub(crate) fn topology_spread(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let constraints = list(spec, "topologySpreadConstraints");
    let pairs = constraints.iter().map(|one| (text(one, "topologyKey"), text(one, "whenUnsatisfiable")));
    let last: HashMap<(&str, &str), usize> = pairs.enumerate().map(|(index, pair)| (pair, index)).collect();
    for (index, constraint) in constraints.iter().enumerate() {
        let path = path.index(index);
        let skew = int(constraint, "maxSkew").unwrap_or(0);
        if skew <= 0 {
            let detail = "must be greater than zero";
            errors.push(FieldError::invalid(&path.child("maxSkew"), &Value::from(skew), detail));
        }
        let key = text(constraint, "topologyKey");
        if key.is_empty() {
            errors.push(FieldError::required(&path.child("topologyKey"), "can not be empty"));
        }
        let action = text(constraint, "whenUnsatisfiable");
        let allowed = ["DoNotSchedule", "ScheduleAnyway"];
        if !allowed.contains(&action) {
            errors.push(FieldError::not_supported(&path.child("whenUnsatisfiable"), action, &allowed));
        }
        // Two constraints on the same topology with the same action contradict each other; all but the last are told.
        if last.get(&(key, action)).is_some_and(|last| *last > index) {
            let pair = format!("{{{key}, {action}}}");
            errors.push(FieldError::duplicate_str(&path.child("{topologyKey, whenUnsatisfiable}"), &pair));
        }
        if let Some(domains) = int(constraint, "minDomains") {
            let path = path.child("minDomains");
            if domains <= 0 {
                errors.push(FieldError::invalid(&path, &Value::from(domains), "must be greater than zero"));
            }
            if action != "DoNotSchedule" {
                let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
                errors.push(FieldError::invalid(&path, &Value::from(domains), detail));
            }
        }
        for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            let policy = text(constraint, field);
            if !policy.is_empty() && !["Honor", "Ignore"].contains(&policy) {
                errors.push(FieldError::not_supported(&path.child(field), policy, &["Honor", "Ignore"]));
            }
        }
        label_keys(constraint, &path, errors);
        label_selector(object(constraint, "labelSelector"), &path.child("labelSelector"), errors);
    }
}

/// `spec.schedulingGates`.
pub(crate) fn gates(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (index, gate) in list(spec, "schedulingGates").iter().enumerate() {
        let path = path.index(index);
        let name = text(gate, "name");
        invalid_each(errors, &path, name, names::qualified_name(name));
        if !seen.insert(name) {
            errors.push(FieldError::duplicate_str(&path, name));
        }
    }
}
