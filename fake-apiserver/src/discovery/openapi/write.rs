//! Documents as text, their fields in the order in which the apiserver writes them.

use apimachinery::value::{Map, Text, Value};

/// Fields of version 3 that come first, in this order; the others follow by name.
const V3: [&str; 27] = [
    "openapi",
    "info",
    "title",
    "paths",
    "components",
    "$ref",
    "name",
    "in",
    "tags",
    "description",
    "operationId",
    "required",
    "get",
    "put",
    "post",
    "delete",
    "options",
    "head",
    "patch",
    "parameters",
    "requestBody",
    "responses",
    "content",
    "schema",
    "group",
    "version",
    "kind",
];
/// The same for version 2.
const V2: [&str; 24] = [
    "swagger",
    "info",
    "paths",
    "definitions",
    "$ref",
    "description",
    "consumes",
    "produces",
    "schemes",
    "tags",
    "operationId",
    "get",
    "put",
    "post",
    "delete",
    "options",
    "head",
    "patch",
    "parameters",
    "responses",
    "type",
    "name",
    "in",
    "schema",
];
/// Fields whose objects are keyed by names that mean nothing here.
const NAMED: [&str; 9] = [
    "paths",
    "schemas",
    "definitions",
    "properties",
    "content",
    "responses",
    "securitySchemes",
    "securityDefinitions",
    "default",
];

/// A document of version 3.
pub(super) fn v3(document: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    put(document, false, &V3, &mut text);
    text
}

/// The document of version 2.
pub(super) fn v2(document: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    put(document, false, &V2, &mut text);
    text
}

fn put(value: &Value, named: bool, order: &[&str], text: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => {
            text.push(b'{');
            if named {
                entries(fields.iter(), true, order, text);
            } else {
                let first = order.iter().filter_map(|name| fields.get_key_value(name));
                let rest = fields.iter().filter(|(name, _)| !order.contains(&name.as_str()));
                entries(first.chain(rest), false, order, text);
            }
            text.push(b'}');
        }
        Value::Array(items) => {
            text.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(b',');
                }
                put(item, named, order, text);
            }
            text.push(b']');
        }
        // Writing a scalar into memory does not fail.
        scalar => serde_json::to_writer(text, scalar).unwrap_or_default(),
    }
}

fn entries<'a>(fields: impl Iterator<Item = (&'a Text, &'a Value)>, named: bool, order: &[&str], text: &mut Vec<u8>) {
    for (at, (name, value)) in fields.enumerate() {
        if at > 0 {
            text.push(b',');
        }
        serde_json::to_writer(&mut *text, name).unwrap_or_default();
        text.push(b':');
        let by_name = |fields: &Map| NAMED.contains(&name.as_str()) || (name == "parameters" && !fields.is_empty());
        put(value, !named && value.as_object().is_some_and(by_name), order, text);
    }
}
