//! The document of version 2, from all those of version 3.

use apimachinery::value::{Map, Text, Value, json};
use sha2::Digest as _;

use super::document;
use crate::kinds::Kinds;

/// The bodies of discovery can be had as these, and of everything else, in this order.
const FORMATS: [&str; 5] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];

/// The names of shared parameters as recorded (`api-basics/openapi-v2`): each ends in a hash of its text, which is not ours.
const SHARED: [(&str, &str); 12] = [
    ("allowWatchBookmarks", "HC2hJt-J"),
    ("continue", "QfD61s0i"),
    ("fieldSelector", "xIcQKXFG"),
    ("labelSelector", "5Zw57w4C"),
    ("limit", "1NfNmdNH"),
    ("pretty", "tJGM1-ng"),
    ("resourceVersion", "5WAnf1kx"),
    ("resourceVersionMatch", "t8XhRHeC"),
    ("sendInitialEvents", "rLXlEK_k"),
    ("shardSelector", "Kgyki_3_"),
    ("timeoutSeconds", "yvYezaOC"),
    ("watch", "XNNPZGbK"),
];

/// The whole document.
pub(super) fn document(kinds: &Kinds) -> Value {
    let mut paths = Map::new();
    let mut definitions = Map::new();
    let mut parameters = Map::new();
    for name in super::names(kinds) {
        let mut document = document::v3(kinds, &name);
        if let Some(found) = document["paths"].as_object() {
            for (path, item) in found {
                paths.insert(path.clone(), path_item(item, &mut parameters));
            }
        }
        if let Some(found) = document["components"]["schemas"].as_object_mut() {
            for (name, schema) in std::mem::take(found) {
                definitions.entry(name).or_insert_with(|| self::schema(schema));
            }
        }
    }
    json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": "1.36"}, "paths": paths, "definitions": definitions,
        "parameters": parameters,
        "securityDefinitions": {
            "BearerToken": {"description": "Bearer Token authentication", "type": "apiKey", "name": "authorization", "in": "header"},
        },
        "security": [{"BearerToken": []}],
    })
}

fn path_item(item: &Value, shared: &mut Map) -> Value {
    let mut out = Map::new();
    for (method, operation) in item.as_object().into_iter().flatten() {
        let value = if method == "parameters" {
            parameters(operation, shared).into()
        } else {
            self::operation(operation, shared)
        };
        out.insert(method.clone(), value);
    }
    out.into()
}

fn operation(operation: &Value, shared: &mut Map) -> Value {
    let mut out = Map::new();
    let mut produces = Vec::new();
    for (field, value) in operation.as_object().into_iter().flatten() {
        match field.as_str() {
            "parameters" | "requestBody" | "responses" => {}
            _ => {
                out.insert(field.clone(), value.clone());
            }
        }
    }
    let mut responses = Map::new();
    for (code, response) in operation["responses"].as_object().into_iter().flatten() {
        let mut said = json!({"description": response["description"]});
        let content = response["content"].as_object();
        if let Some(schema) = content.and_then(|content| content.values().next()).map(|one| one["schema"].clone()) {
            said["schema"] = self::schema(schema);
        }
        for format in content.into_iter().flat_map(Map::keys) {
            if !produces.contains(format) {
                produces.push(format.clone());
            }
        }
        responses.insert(code.clone(), said);
    }
    produces.sort_by_key(|format| FORMATS.iter().position(|known| known == format).unwrap_or(FORMATS.len()));
    let mut list = parameters(&operation["parameters"], shared);
    let body = operation["requestBody"]["content"].as_object();
    let consumes: Vec<&str> = match body {
        Some(content) => content.keys().map(Text::as_str).collect(),
        None if operation["x-kubernetes-action"].is_string() => vec!["*/*"],
        None if produces.len() > 1 => FORMATS[..3].to_vec(),
        None => Vec::new(),
    };
    if let Some(schema) = body.and_then(|content| content.values().next()).map(|one| one["schema"].clone()) {
        let required =
            operation["x-kubernetes-action"] != "delete" && operation["x-kubernetes-action"] != "deletecollection";
        let mut parameter = json!({"name": "body", "in": "body", "schema": self::schema(schema)});
        if required {
            parameter["required"] = true.into();
        }
        list.insert(0, parameter);
    }
    if !consumes.is_empty() {
        out.insert("consumes".to_owned(), consumes.into());
    }
    out.insert("produces".to_owned(), produces.into());
    out.insert("schemes".to_owned(), json!(["https"]));
    if !list.is_empty() {
        out.insert("parameters".to_owned(), list.into());
    }
    out.insert("responses".to_owned(), responses.into());
    out.into()
}

/// Parameters as references to shared ones.
fn parameters(list: &Value, shared: &mut Map) -> Vec<Value> {
    let mut out = Vec::new();
    for parameter in list.as_array().into_iter().flatten() {
        let mut own = parameter.clone();
        if let (Some(fields), Some(schema)) = (own.as_object_mut(), parameter["schema"].as_object()) {
            fields.remove("schema");
            fields.extend(schema.clone());
        }
        let name = own["name"].as_str().unwrap_or_default();
        let key = match SHARED.iter().find(|(known, _)| *known == name) {
            Some((_, hash)) => format!("{name}-{hash}"),
            None => {
                use base64::Engine as _;
                let digest = sha2::Sha256::digest(own.to_string());
                format!("{name}-{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest[..6]))
            }
        };
        out.push(json!({"$ref": format!("#/parameters/{key}")}));
        shared.entry(key).or_insert(own);
    }
    out
}

/// A schema in the narrower words of version 2: references stand alone, and what can be of two types is a string.
fn schema(mut schema: Value) -> Value {
    narrow(&mut schema, false);
    schema
}

fn narrow(value: &mut Value, named: bool) {
    match value {
        Value::Object(fields) if !named => {
            let only =
                fields.get("allOf").and_then(Value::as_array).filter(|all| all.len() == 1).map(|all| all[0].clone());
            if let Some(Value::Object(only)) = only {
                fields.remove("allOf");
                fields.extend(only);
            }
            if fields.remove("oneOf").is_some() && !fields.contains_key("type") {
                fields.insert("type".to_owned(), "string".into());
            }
            fields.remove("nullable");
            if fields.get("$ref").is_some_and(Value::is_string)
                || fields.get("default").is_some_and(|value| !value.is_object())
            {
                fields.remove("default");
            }
            if let Some(Value::String(reference)) = fields.get_mut("$ref") {
                *reference = reference.replace(document::REFERENCE, "#/definitions/").into();
            }
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "default" | "enum" => {}
                    "properties" => narrow(value, true),
                    _ => narrow(value, false),
                }
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(|value| narrow(value, false)),
        Value::Array(items) => items.iter_mut().for_each(|item| narrow(item, false)),
        _ => {}
    }
}
