//! One document of version 3: the paths of a group version, and the schemas that they lead to.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::OnceLock;

use apimachinery::value::{Map, Value, json};

use super::{custom, describe};
use crate::kinds::Kinds;

/// Paths by document, and all schemas, without their texts; recorded from a v1.36 cluster.
const RECORDED: &[u8] = include_bytes!("recorded.json.gz");

/// What a reference to a schema begins with.
pub(super) const REFERENCE: &str = "#/components/schemas/";

/// The recorded paths and schemas.
pub(super) fn recorded() -> &'static Value {
    static VALUE: OnceLock<Value> = OnceLock::new();
    VALUE.get_or_init(|| {
        let mut text = Vec::new();
        // The file is part of the program; a test reads it.
        let read = flate2::read::GzDecoder::new(RECORDED).read_to_end(&mut text);
        read.ok().and_then(|_| serde_json::from_slice(&text).ok()).unwrap_or_default()
    })
}

/// The document of that name: `api/v1`, `apis/apps/v1`, `version`.
pub(super) fn v3(kinds: &Kinds, name: &str) -> Value {
    let mut paths =
        recorded()["paths"].get(name).or(key_paths().get(name)).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut own = Map::new();
    for resource in kinds.all().filter(|resource| resource.is_custom()) {
        if name == format!("apis/{}", resource.gvk.api_version()) {
            custom::add(resource, &mut paths, &mut own);
        }
    }
    describe::paths(&mut paths);
    let mut schemas = Map::new();
    let mut wanted = BTreeSet::new();
    paths.values().for_each(|path| references(path, &mut wanted));
    for schema in own.values() {
        references(schema, &mut wanted);
    }
    let mut wanted: Vec<String> = wanted.into_iter().collect();
    while let Some(name) = wanted.pop() {
        if schemas.contains_key(&name) {
            continue;
        }
        let schema = own.get(&name).or_else(|| recorded()["schemas"].get(&name));
        let Some(mut schema) = schema.cloned() else { continue };
        let mut more = BTreeSet::new();
        references(&schema, &mut more);
        wanted.extend(more);
        describe::schema(&name, &mut schema);
        schemas.insert(name, schema);
    }
    for (name, schema) in own {
        schemas.entry(name).or_insert(schema);
    }
    let mut components = json!({"securitySchemes": {
        "BearerToken": {"type": "apiKey", "description": "Bearer Token authentication", "name": "authorization", "in": "header"},
    }});
    if !schemas.is_empty() {
        components["schemas"] = schemas.into();
    }
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "1.36"}, "paths": paths, "components": components,
    })
}

/// The paths for those who check tokens: theirs are documents that no client asks for, and so were not recorded
/// (`api-basics/openapi-v2` shows the first).
fn key_paths() -> &'static Value {
    static VALUE: OnceLock<Value> = OnceLock::new();
    VALUE.get_or_init(|| {
        let path = |tag: &str, id: &str, content: &str| {
            let content = json!({content: {"schema": {"type": "string"}}});
            json!({"get": {"tags": [tag], "operationId": id, "responses": {"200": {"content": content}, "401": {}}}})
        };
        json!({
            ".well-known/openid-configuration": {"/.well-known/openid-configuration/":
                path("WellKnown", "getServiceAccountIssuerOpenIDConfiguration", "application/json")},
            "openid/v1/jwks": {"/openid/v1/jwks/":
                path("openid", "getServiceAccountIssuerOpenIDKeyset", "application/jwk-set+json")},
        })
    })
}

/// The schemas that a value refers to.
fn references(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                match value.as_str().filter(|_| field == "$ref").and_then(|text| text.strip_prefix(REFERENCE)) {
                    Some(name) => {
                        into.insert(name.to_owned());
                    }
                    None => references(value, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, into)),
        _ => {}
    }
}
