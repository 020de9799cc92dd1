//! Structural schemas of custom resources: fields that they do not have are dropped, defaults are set, values are checked.

mod compiled;
mod rules;
mod validate;

use apimachinery::value::{Text, Value};

use super::Resource;
use super::call::Call;
use super::seam::field_validation;
use crate::admission::Rejection;
use crate::core::Core;
use crate::objects::decode::FieldValidation;
use crate::objects::field::{ErrorType, FieldError};

/// Brings a custom resource into the shape of its schema; unknown fields warn or refuse as `fieldValidation` says.
pub(super) fn fit(call: &mut Call, object: &mut Value) -> Result<(), Rejection> {
    let Some(schema) = call.resource.structural.clone() else { return Ok(()) };
    let mut unknown = Vec::new();
    if let Some(fields) = object.as_object_mut() {
        // What every object has is not the schema's to judge.
        let own: Vec<(Text, Value)> =
            ["apiVersion", "kind", "metadata"].into_iter().filter_map(|field| fields.remove_entry(field)).collect();
        prune(&schema, object, "", &mut unknown);
        default(&schema, object);
        if let Some(fields) = object.as_object_mut() {
            fields.extend(own);
        }
    }
    let texts: Vec<String> = unknown.iter().map(|field| format!("unknown field {field:?}")).collect();
    match field_validation(call) {
        FieldValidation::Strict if !texts.is_empty() => {
            let gvk = &call.resource.gvk;
            let message = format!(
                "{} in version {:?} cannot be handled as a {}: strict decoding error: {}",
                gvk.kind,
                gvk.version,
                gvk.kind,
                texts.join(", ")
            );
            Err(Rejection::bad_request(&message))
        }
        FieldValidation::Warn => {
            super::admit::merge(&mut call.warnings, texts);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What is wrong with a custom resource: first by its schema, then by the schema's rules.
pub(super) fn validate(core: &Core, resource: &Resource, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    const UNCHECKED: &str = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
    let Some(schema) = resource.structural.as_deref() else { return Vec::new() };
    let mut errors = Vec::new();
    validate::check(schema, new, "", &mut errors);
    let blocks = |error: &FieldError| {
        use ErrorType::{Duplicate, Required, TooLong, TooMany, TypeInvalid};
        matches!(error.error_type, Required | TypeInvalid | TooLong | TooMany | Duplicate)
    };
    if errors.iter().any(blocks) {
        if schema.to_string().contains("x-kubernetes-validations") {
            errors.push(validate::error(ErrorType::Invalid, "<nil>", "null".to_owned(), UNCHECKED));
        }
        return errors;
    }
    rules::check(core, schema, new, old, &mut errors);
    errors
}

/// Drops what the schema does not know; says where it was.
fn prune(schema: &Value, value: &mut Value, path: &str, unknown: &mut Vec<String>) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true && !schema["properties"].is_object() {
        return;
    }
    match value {
        Value::Object(fields) => {
            let properties = schema["properties"].as_object();
            let others = &schema["additionalProperties"];
            let keeps = schema["x-kubernetes-preserve-unknown-fields"] == true || others == &Value::Bool(true);
            fields.retain(|name, value| {
                let at = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
                let of = properties.and_then(|properties| properties.get(name));
                match of.or(others.is_object().then_some(others)) {
                    Some(of) => {
                        prune(of, value, &at, unknown);
                        true
                    }
                    None if keeps => true,
                    None => {
                        unknown.push(at);
                        false
                    }
                }
            });
        }
        Value::Array(items) if schema["items"].is_object() => {
            for (at, item) in items.iter_mut().enumerate() {
                prune(&schema["items"], item, &format!("{path}[{at}]"), unknown);
            }
        }
        _ => {}
    }
}

/// Sets the schema's defaults where nothing is.
fn default(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, of) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(default) = of.get("default")
                    && fields.get(name).is_none_or(|value| value.is_null() && of["nullable"] != true)
                {
                    fields.insert(name.clone(), default.clone());
                }
                if let Some(value) = fields.get_mut(name) {
                    self::default(of, value);
                }
            }
            if schema["additionalProperties"].is_object() {
                fields.values_mut().for_each(|value| default(&schema["additionalProperties"], value));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| default(&schema["items"], item)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::*;

    #[test]
    fn unknown_fields_go_and_defaults_come() {
        let schema = json!({"properties": {
            "spec": {"properties": {"size": {"type": "integer", "default": 3}, "free": {"x-kubernetes-preserve-unknown-fields": true}}},
            "list": {"items": {"properties": {"a": {}}}},
            "map": {"additionalProperties": {"properties": {"b": {"default": 1}}}},
        }});
        let mut value =
            json!({"spec": {"unknown": 1, "free": {"x": 1}}, "list": [{"a": 1, "c": 2}], "map": {"k": {}}, "gone": 1});
        let mut unknown = Vec::new();
        prune(&schema, &mut value, "", &mut unknown);
        default(&schema, &mut value);
        assert_eq!(unknown, ["gone", "list[0].c", "spec.unknown"]);
        assert_eq!(value, json!({"spec": {"size": 3, "free": {"x": 1}}, "list": [{"a": 1}], "map": {"k": {"b": 1}}}));
    }
}
