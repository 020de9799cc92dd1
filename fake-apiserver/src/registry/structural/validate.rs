//! Values of custom resources against their schema, in the words of apiextensions (`operations/custom-resource`).

use apimachinery::go::quote;
use apimachinery::value::{List, Map, Value};

use super::compiled;
use crate::objects::field::{ErrorType, FieldError};

/// What is wrong with a value; `at` is its place (`spec.size`, empty for the object itself).
pub(super) fn check(schema: &Value, value: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let Some(rules) = schema.as_object() else { return };
    if value.is_null() && rules.get("nullable") == Some(&Value::Bool(true)) {
        return;
    }
    if !of_type(rules, value, at, errors) {
        return;
    }
    one_of_values(rules, value, at, errors);
    match value {
        Value::Number(_) => number(rules, value, at, errors),
        Value::String(text) => string(rules, text, at, errors),
        Value::Array(items) => array(rules, items, at, errors),
        Value::Object(fields) => object(rules, fields, at, errors),
        _ => {}
    }
    combined(rules, value, at, errors);
}

/// An error about a place that is text already.
pub(super) fn error(error_type: ErrorType, at: &str, value: String, detail: impl Into<String>) -> FieldError {
    FieldError { error_type, field: at.to_owned(), value, detail: detail.into() }
}

fn invalid(at: &str, value: &Value, rule: &str) -> FieldError {
    let printed = match value {
        Value::String(text) => quote(text),
        other => other.to_string(),
    };
    error(ErrorType::Invalid, at, printed, format!("{at} in body {rule}"))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() && number.as_f64().is_none_or(|number| number.fract() != 0.0) => {
            "number"
        }
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn of_type(rules: &Map, value: &Value, at: &str, errors: &mut Vec<FieldError>) -> bool {
    let found = type_of(value);
    if rules.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        if matches!(found, "integer" | "string") {
            return true;
        }
        let detail = format!("{at} in body must be of type integer,string: {found:?}");
        errors.push(error(ErrorType::TypeInvalid, at, quote(found), detail));
        return false;
    }
    let Some(wanted) = rules.get("type").and_then(Value::as_str) else { return true };
    if wanted == found || (wanted == "number" && found == "integer") {
        return true;
    }
    let detail = format!("{at} in body must be of type {wanted}: {found:?}");
    errors.push(error(ErrorType::TypeInvalid, at, quote(found), detail));
    false
}

fn one_of_values(rules: &Map, value: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let Some(allowed) = rules.get("enum").and_then(Value::as_array) else { return };
    if allowed.contains(value) {
        return;
    }
    let printed_in_quotes = |value: &Value| match value {
        Value::String(text) => quote(text),
        other => quote(&other.to_string()),
    };
    let printed = match value {
        Value::String(text) => quote(text),
        other => other.to_string(),
    };
    let allowed: Vec<String> = allowed.iter().map(printed_in_quotes).collect();
    errors.push(error(ErrorType::NotSupported, at, printed, format!("supported values: {}", allowed.join(", "))));
}

fn number(rules: &Map, value: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let limit = |name: &str| rules.get(name).filter(|limit| limit.is_number());
    let number = value.as_f64().unwrap_or_default();
    let exclusive = |name: &str| rules.get(name) == Some(&Value::Bool(true));
    if let Some(limit) = limit("maximum") {
        let most = limit.as_f64().unwrap_or_default();
        if exclusive("exclusiveMaximum") && number >= most {
            errors.push(invalid(at, value, &format!("should be less than {limit}")));
        } else if number > most {
            errors.push(invalid(at, value, &format!("should be less than or equal to {limit}")));
        }
    }
    if let Some(limit) = limit("minimum") {
        let least = limit.as_f64().unwrap_or_default();
        if exclusive("exclusiveMinimum") && number <= least {
            errors.push(invalid(at, value, &format!("should be greater than {limit}")));
        } else if number < least {
            errors.push(invalid(at, value, &format!("should be greater than or equal to {limit}")));
        }
    }
    if let Some(factor) = limit("multipleOf") {
        let parts = number / factor.as_f64().unwrap_or(1.0);
        if parts.fract() != 0.0 {
            errors.push(invalid(at, value, &format!("should be a multiple of {factor}")));
        }
    }
}

fn size(rules: &Map, name: &str) -> Option<usize> {
    rules.get(name).and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok())
}

fn string(rules: &Map, text: &str, at: &str, errors: &mut Vec<FieldError>) {
    let length = text.chars().count();
    let value = Value::from(text);
    if let Some(most) = size(rules, "maxLength").filter(|most| length > *most) {
        let noun = if most == 1 { "byte" } else { "bytes" };
        errors.push(error(ErrorType::TooLong, at, String::new(), format!("may not be more than {most} {noun}")));
    }
    if let Some(least) = size(rules, "minLength").filter(|least| length < *least) {
        errors.push(invalid(at, &value, &format!("should be at least {least} chars long")));
    }
    if let Some(pattern) = rules.get("pattern").and_then(Value::as_str)
        && compiled::pattern(pattern).is_some_and(|pattern| !pattern.is_match(text))
    {
        errors.push(invalid(at, &value, &format!("should match '{pattern}'")));
    }
    if let Some(format) = rules.get("format").and_then(Value::as_str)
        && !compiled::has_format(format, text)
    {
        let detail = format!("{at} in body must be of type {format}: {}", quote(text));
        errors.push(error(ErrorType::Invalid, at, quote(text), detail));
    }
}

fn array(rules: &Map, items: &[Value], at: &str, errors: &mut Vec<FieldError>) {
    let whole = || Value::from(items.to_vec());
    if let Some(most) = size(rules, "maxItems").filter(|most| items.len() > *most) {
        let noun = if most == 1 { "item" } else { "items" };
        errors.push(error(ErrorType::TooMany, at, items.len().to_string(), format!("must have at most {most} {noun}")));
    }
    if let Some(least) = size(rules, "minItems").filter(|least| items.len() < *least) {
        errors.push(invalid(at, &whole(), &format!("should have at least {least} items")));
    }
    if let Some(schema) = rules.get("items").filter(|schema| schema.is_object()) {
        for (index, item) in items.iter().enumerate() {
            check(schema, item, &format!("{at}[{index}]"), errors);
        }
    }
    duplicates(rules, items, at, errors);
}

/// Lists that are sets or maps hold each value, or each key, once.
fn duplicates(rules: &Map, items: &[Value], at: &str, errors: &mut Vec<FieldError>) {
    let keys: Vec<&str> = match rules.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => Vec::new(),
        Some("map") => {
            let keys = rules.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
            keys.into_iter().flatten().filter_map(Value::as_str).collect()
        }
        _ => return,
    };
    let mut seen = std::collections::HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let identity = if keys.is_empty() {
            item.clone()
        } else {
            let fields = keys.iter().filter_map(|key| Some(((*key).to_owned(), item.get(key)?.clone())));
            Value::Object(fields.collect())
        };
        let printed = identity.to_string();
        if !seen.insert(printed.clone()) {
            let printed = identity.as_str().map_or(printed, quote);
            errors.push(error(ErrorType::Duplicate, &format!("{at}[{index}]"), printed, ""));
        }
    }
}

fn object(rules: &Map, fields: &Map, at: &str, errors: &mut Vec<FieldError>) {
    let place = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    if let Some(most) = size(rules, "maxProperties").filter(|most| fields.len() > *most) {
        let noun = if most == 1 { "item" } else { "items" };
        errors.push(error(
            ErrorType::TooMany,
            at,
            fields.len().to_string(),
            format!("must have at most {most} {noun}"),
        ));
    }
    if let Some(least) = size(rules, "minProperties").filter(|least| fields.len() < *least) {
        errors.push(invalid(at, &Value::Object(fields.clone()), &format!("should have at least {least} properties")));
    }
    for name in rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            errors.push(error(ErrorType::Required, &place(name), String::new(), ""));
        }
    }
    let properties = rules.get("properties").and_then(Value::as_object);
    let others = rules.get("additionalProperties").filter(|schema| schema.is_object());
    for (name, value) in fields {
        if let Some(schema) = properties.and_then(|properties| properties.get(name)).or(others) {
            check(schema, value, &place(name), errors);
        }
    }
}

/// Whether a value is valid by a schema alone.
fn holds(schema: &Value, value: &Value, at: &str) -> bool {
    let mut errors = Vec::new();
    check(schema, value, at, &mut errors);
    errors.is_empty()
}

fn combined(rules: &Map, value: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let list = |name: &str| rules.get(name).and_then(Value::as_array).map_or(&[][..], List::as_slice);
    for schema in list("allOf") {
        check(schema, value, at, errors);
    }
    let any = list("anyOf");
    if !any.is_empty() && !any.iter().any(|schema| holds(schema, value, at)) {
        errors.push(invalid(at, value, "must validate at least one schema (anyOf)"));
    }
    let one = list("oneOf");
    let valid = one.iter().filter(|schema| holds(schema, value, at)).count();
    if !one.is_empty() && valid != 1 {
        let found =
            if valid == 0 { "Found none valid".to_owned() } else { format!("Found {valid} valid alternatives") };
        errors.push(invalid(at, value, &format!("must validate one and only one schema (oneOf). {found}")));
    }
    if rules.get("not").is_some_and(|schema| holds(schema, value, at)) {
        errors.push(invalid(at, value, "must not validate the schema (not)"));
    }
}
