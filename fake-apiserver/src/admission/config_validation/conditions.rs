//! `matchConditions`: names, and expressions that compile to a bool.

use apimachinery::value::Value;

use super::super::cel::{self, Environment, Ty};
use super::errors::Errors;

const MOST: usize = 64;

/// Checks the conditions of a webhook or a policy.
pub(crate) fn validate(conditions: &Value, environment: &Environment, path: &str, errors: &mut Errors) {
    let Some(conditions) = conditions.as_array() else { return };
    if conditions.len() > MOST {
        errors.too_many(path, conditions.len(), MOST);
    }
    let mut names: Vec<&str> = Vec::new();
    for (index, condition) in conditions.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let expression = condition["expression"].as_str().unwrap_or_default().trim();
        let at = format!("{path}.expression");
        if expression.is_empty() {
            errors.required(&at, "");
        } else if let Err(why) = cel::check(expression, environment, &[Ty::Bool]) {
            errors.invalid_text(&at, expression, &why);
        }
        let name = condition["name"].as_str().unwrap_or_default();
        let at = format!("{path}.name");
        if name.is_empty() {
            errors.required(&at, "");
            continue;
        }
        errors.qualified_name(&at, name);
        if names.contains(&name) {
            errors.duplicate(&at, name);
        } else {
            names.push(name);
        }
    }
}
