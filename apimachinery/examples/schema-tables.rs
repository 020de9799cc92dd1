//! Compacts an apiserver's OpenAPI v3 documents into the table that `apimachinery::schema` reads.
//!
//! ```text
//! cargo run -p apimachinery --example schema-tables -- DIR > apimachinery/src/schema/tables.txt
//! ```
//!
//! DIR holds the documents as an apiserver serves them below `/openapi/v3`, one JSON file each. The form of the table
//! is described in `src/schema/tables.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;

use apimachinery::value::{Map, Value};

const PREFIX: &str = "#/components/schemas/";

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: schema-tables DIR")?;
    let mut schemas: BTreeMap<String, Value> = BTreeMap::new();
    let mut kinds: BTreeMap<String, BTreeSet<[String; 3]>> = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let document: Value = serde_json::from_slice(&std::fs::read(entry?.path())?)?;
        let found = document.pointer("/components/schemas").and_then(Value::as_object);
        for (name, schema) in found.into_iter().flatten() {
            for kind in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
                let part = |key: &str| kind[key].as_str().unwrap_or_default().to_owned();
                kinds.entry(name.clone().into()).or_default().insert([part("group"), part("version"), part("kind")]);
            }
            schemas.insert(name.clone().into(), schema.clone());
        }
    }
    let objects: Vec<&String> =
        schemas.iter().filter(|(name, schema)| scalar(name, schema).is_none()).map(|(name, _)| name).collect();
    let numbers: BTreeMap<&str, usize> = objects.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let mut out = String::new();
    for name in &objects {
        let schema = &schemas[*name];
        write!(out, "T {name}")?;
        if schema["x-kubernetes-map-type"] == "atomic" {
            out.push_str(" a");
        }
        for [group, version, kind] in kinds.get(*name).into_iter().flatten() {
            write!(out, " g{group}/{version}/{kind}")?;
        }
        out.push('\n');
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (field, schema_of_field) in schema["properties"].as_object().into_iter().flatten() {
            write!(out, "{field} {}", kind(schema_of_field, &schemas, &numbers)?)?;
            if required.contains(field.as_str()) {
                out.push_str(" !");
            }
            attributes(&mut out, schema_of_field)?;
            out.push('\n');
        }
    }
    std::io::stdout().write_all(out.as_bytes())?;
    Ok(())
}

fn attributes(out: &mut String, schema: &Value) -> Result<(), Box<dyn Error>> {
    let list = |key: &str| -> Option<String> {
        let items: Vec<&str> = schema[key].as_array()?.iter().filter_map(Value::as_str).collect();
        Some(items.join(","))
    };
    for (mark, key) in
        [("s", "x-kubernetes-patch-strategy"), ("k", "x-kubernetes-patch-merge-key"), ("l", "x-kubernetes-list-type")]
    {
        if let Some(text) = schema[key].as_str() {
            write!(out, " {mark}{text}")?;
        }
    }
    if schema["x-kubernetes-map-type"] == "atomic" {
        out.push_str(" a");
    }
    if let Some(keys) = list("x-kubernetes-list-map-keys") {
        write!(out, " m{keys}")?;
    }
    if let Some(values) = list("enum") {
        write!(out, " e{values}")?;
    }
    if let Some(default) = schema.get("default") {
        let text = default.to_string();
        if text.contains([' ', '\n']) {
            return Err(format!("the default {text} cannot be written in the table").into());
        }
        write!(out, " ={text}")?;
    }
    Ok(())
}

/// The type of a field, in the table's one letter codes.
fn kind(
    schema: &Value,
    schemas: &BTreeMap<String, Value>,
    numbers: &BTreeMap<&str, usize>,
) -> Result<String, Box<dyn Error>> {
    let empty = Map::new();
    let schema = schema.as_object().unwrap_or(&empty);
    let reference = schema.get("$ref").or_else(|| schema.get("allOf")?.get(0)?.get("$ref"));
    if let Some(name) = reference.and_then(Value::as_str).and_then(|path| path.strip_prefix(PREFIX)) {
        let target = schemas.get(name).ok_or_else(|| format!("no schema {name}"))?;
        return Ok(match scalar(name, target) {
            Some(code) => code.to_owned(),
            None => format!("@{}", numbers[name]),
        });
    }
    Ok(match (schema.get("type").and_then(Value::as_str), schema.get("format").and_then(Value::as_str)) {
        (Some("string"), Some("byte")) => "y".to_owned(),
        (Some("string"), Some("date-time")) => "t".to_owned(),
        (Some("string"), Some("int-or-string")) | (_, Some("int-or-string")) => "x".to_owned(),
        (Some("string"), _) => "s".to_owned(),
        (Some("boolean"), _) => "b".to_owned(),
        (Some("integer"), Some("int32")) => "i".to_owned(),
        (Some("integer"), _) => "l".to_owned(),
        (Some("number"), _) => "d".to_owned(),
        (Some("array"), _) => format!("[{}", kind(&schema["items"], schemas, numbers)?),
        (Some("object"), _) => match schema.get("additionalProperties") {
            Some(values) => format!("{{{}", kind(values, schemas, numbers)?),
            None => "*".to_owned(),
        },
        _ => "*".to_owned(),
    })
}

/// Named schemas that are not objects with fields.
fn scalar(name: &str, schema: &Value) -> Option<&'static str> {
    let last = name.rsplit('.').next().unwrap_or_default();
    match (last, schema["format"].as_str()) {
        ("Quantity", _) => Some("q"),
        ("IntOrString", _) => Some("x"),
        ("Time", _) => Some("t"),
        ("MicroTime", _) => Some("u"),
        ("Duration", _) => Some("s"),
        _ if schema["properties"].is_object() => None,
        _ if schema["type"] == "object" && schema["x-kubernetes-group-version-kind"].is_array() => None,
        _ if schema["type"] == "object" && !["RawExtension", "FieldsV1"].contains(&last) => None,
        _ => Some("*"),
    }
}
