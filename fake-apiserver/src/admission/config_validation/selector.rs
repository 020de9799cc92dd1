//! Label selectors inside configurations.

use apimachinery::labels::{check_key, check_value};
use apimachinery::value::Value;

use super::errors::{Errors, texts};

pub(crate) fn validate(selector: &Value, path: &str, errors: &mut Errors) {
    let at = format!("{path}.matchLabels");
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        name(key, &at, errors);
        label_value(value.as_str().unwrap_or_default(), &at, errors);
    }
    for (index, expression) in selector["matchExpressions"].as_array().into_iter().flatten().enumerate() {
        let at = format!("{path}.matchExpressions[{index}]");
        let values = texts(&expression["values"]);
        let values_at = format!("{at}.values");
        match expression["operator"].as_str().unwrap_or_default() {
            "In" | "NotIn" => {
                if values.is_empty() {
                    errors.required(&values_at, "must be specified when `operator` is 'In' or 'NotIn'");
                }
            }
            "Exists" | "DoesNotExist" => {
                if !values.is_empty() {
                    let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                    errors.forbidden(&values_at, why);
                }
            }
            other => errors.invalid_text(&format!("{at}.operator"), other, "not a valid selector operator"),
        }
        name(expression["key"].as_str().unwrap_or_default(), &format!("{at}.key"), errors);
        for (index, value) in values.iter().enumerate() {
            label_value(value, &format!("{values_at}[{index}]"), errors);
        }
    }
}

/// A label key: a qualified name.
fn name(key: &str, path: &str, errors: &mut Errors) {
    if let Err(why) = check_key(key) {
        for why in why.split("; ") {
            errors.invalid_text(path, key, why);
        }
    }
}

fn label_value(value: &str, path: &str, errors: &mut Errors) {
    if let Err(why) = check_value(value) {
        for why in why.split("; ") {
            errors.invalid_text(path, value, why);
        }
    }
}
