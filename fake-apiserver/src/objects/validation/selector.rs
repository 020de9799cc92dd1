//! `metav1.LabelSelector`.

use apimachinery::value::Value;

use super::meta::{invalid_each, labels};
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{list, text};
use crate::objects::names;

/// A label selector; absent is allowed.
pub(crate) fn label_selector(selector: Option<&Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(selector) = selector else { return };
    labels(selector, "matchLabels", path, errors);
    let expressions = path.child("matchExpressions");
    for (index, requirement) in list(selector, "matchExpressions").iter().enumerate() {
        let path = expressions.index(index);
        let values = list(requirement, "values");
        let values_path = path.child("values");
        match text(requirement, "operator") {
            "In" | "NotIn" => {
                if values.is_empty() {
                    let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                    errors.push(FieldError::required(&values_path, detail));
                }
            }
            "Exists" | "DoesNotExist" => {
                if !values.is_empty() {
                    let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                    errors.push(FieldError::forbidden(&values_path, detail));
                }
            }
            other => {
                let detail = "not a valid selector operator";
                errors.push(FieldError::invalid_str(&path.child("operator"), other, detail));
            }
        }
        label_name(text(requirement, "key"), &path.child("key"), errors);
        for (index, value) in values.iter().enumerate() {
            let value = value.as_str().unwrap_or_default();
            invalid_each(errors, &values_path.index(index), value, names::label_value(value));
        }
    }
}

/// A selector as it is printed: labels first. Requirements are alphabetical in the type, too.
pub(crate) fn printed(selector: &Value) -> String {
    let fields = ["matchLabels", "matchExpressions"];
    let shown = fields.iter().filter_map(|field| Some(format!("\"{field}\":{}", selector.get(*field)?)));
    format!("{{{}}}", shown.collect::<Vec<_>>().join(","))
}

/// The key of a label.
pub(crate) fn label_name(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    invalid_each(errors, path, name, names::qualified_name(name));
}

/// Whether a selector selects nothing in particular: no labels, no expressions.
pub(crate) fn is_empty(selector: &Value) -> bool {
    list(selector, "matchExpressions").is_empty()
        && selector.get("matchLabels").and_then(Value::as_object).is_none_or(apimachinery::value::Map::is_empty)
}

/// Whether a selector selects an object with these labels; a broken one selects nothing.
pub(crate) fn matches(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let pairs = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    for (key, value) in pairs {
        if label(key) != value.as_str() {
            return false;
        }
    }
    list(selector, "matchExpressions").iter().all(|requirement| {
        let found = label(text(requirement, "key"));
        let listed = |found: &str| list(requirement, "values").iter().any(|value| value.as_str() == Some(found));
        match text(requirement, "operator") {
            "In" => found.is_some_and(listed),
            "NotIn" => !found.is_some_and(listed),
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            _ => false,
        }
    })
}
