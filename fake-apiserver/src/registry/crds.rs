//! Custom resource definitions: what they add to the table of kinds.

use std::sync::Arc;

use serde_json::{Value, json};

use super::meta::text;
use super::{Gvk, PrinterColumn, Resource, Subresource, Verb, qualified};
use crate::core::Core;

/// Names that a definition may leave out, and the conditions that say that it is served.
pub(super) fn prepare(core: &Core, definition: &mut Value, old: Option<&Value>) {
    let kind = text(&definition["spec"]["names"], "kind").to_owned();
    let names = &mut definition["spec"]["names"];
    if text(names, "singular").is_empty() {
        names["singular"] = kind.to_lowercase().into();
    }
    if text(names, "listKind").is_empty() {
        names["listKind"] = format!("{kind}List").into();
    }
    if definition["spec"]["conversion"].is_null() {
        definition["spec"]["conversion"] = json!({"strategy": "None"});
    }
    let accepted = definition["spec"]["names"].clone();
    let stored: Vec<&str> = versions(definition)
        .filter(|version| version["storage"] == true)
        .map(|version| text(version, "name"))
        .collect();
    let stored = json!(stored);
    let time = core.clock.now().rfc3339();
    let kept = old.map(|old| &old["status"]["conditions"]).filter(|conditions| conditions.is_array()).cloned();
    let conditions = kept.unwrap_or_else(|| {
        let condition = |name: &str, reason: &str, message: &str| {
            json!({"type": name, "status": "True", "lastTransitionTime": time, "reason": reason, "message": message})
        };
        json!([
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ])
    });
    definition["status"] = json!({"conditions": conditions, "acceptedNames": accepted, "storedVersions": stored});
}

fn versions(definition: &Value) -> impl Iterator<Item = &Value> {
    definition["spec"]["versions"].as_array().into_iter().flatten()
}

/// Puts the definition's resources into the table of kinds.
pub(crate) fn serve(core: &Core, definition: &Value) {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let (group, plural, kind) = (text(spec, "group"), text(names, "plural"), text(names, "kind"));
    let storage =
        versions(definition).find(|version| version["storage"] == true).map_or("", |version| text(version, "name"));
    let strings = |value: &Value| -> Vec<Arc<str>> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(Arc::from).collect()
    };
    core.registry.change(|kinds| {
        kinds.remove(group, plural);
        for version in versions(definition).filter(|version| version["served"] == true) {
            let gvk = Gvk::new(group, text(version, "name"), kind);
            let columns: Vec<&Value> = version["additionalPrinterColumns"].as_array().into_iter().flatten().collect();
            let subresource = |name: &str, gvk: Gvk, foreign| Subresource {
                name: name.into(),
                gvk,
                foreign,
                verbs: vec![Verb::Get, Verb::Patch, Verb::Update],
            };
            let mut subresources = Vec::new();
            if version["subresources"]["status"].is_object() {
                subresources.push(subresource("status", gvk.clone(), false));
            }
            if version["subresources"]["scale"].is_object() {
                subresources.push(subresource("scale", Gvk::new("autoscaling", "v1", "Scale"), true));
            }
            kinds.add(Resource {
                plural: plural.into(),
                singular: text(names, "singular").into(),
                namespaced: spec["scope"] == "Namespaced",
                short_names: strings(&names["shortNames"]),
                categories: strings(&names["categories"]),
                verbs: Verb::ALL.to_vec(),
                storage_version_hash: hash(group, storage, kind).into(),
                table: qualified(group, plural).into(),
                storage: Gvk::new(group, storage, kind),
                subresources,
                custom: true,
                structural: version["schema"]["openAPIV3Schema"]
                    .is_object()
                    .then(|| Arc::new(version["schema"]["openAPIV3Schema"].clone())),
                columns: Some(Arc::new(definitions(&columns))),
                printer_columns: columns.iter().map(|column| printer_column(column)).collect(),
                gvk,
            });
        }
    });
}

/// Takes them out again.
pub(crate) fn stop_serving(core: &Core, definition: &Value) {
    let spec = &definition["spec"];
    core.registry.change(|kinds| kinds.remove(text(spec, "group"), text(&spec["names"], "plural")));
}

fn hash(group: &str, version: &str, kind: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(format!("{group}/{version}/{kind}"));
    base64::engine::general_purpose::STANDARD.encode(&digest[..8])
}

fn printer_column(column: &Value) -> PrinterColumn {
    PrinterColumn {
        name: text(column, "name").to_owned(),
        path: text(column, "jsonPath").to_owned(),
        date: column["type"] == "date",
    }
}

/// The column definitions of a table: the name first, the age if no columns are given.
fn definitions(columns: &[&Value]) -> Value {
    let column = |name: &str, kind: &str, format: &str, description: &str, priority: i64| json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority});
    let mut all = vec![column("Name", "string", "name", crate::table::description("Name"), 0)];
    for given in columns {
        let description = match text(given, "description") {
            "" => format!("Custom resource definition column (in JSONPath format): {}", text(given, "jsonPath")),
            own => own.to_owned(),
        };
        let priority = given["priority"].as_i64().unwrap_or(0);
        all.push(column(text(given, "name"), text(given, "type"), text(given, "format"), &description, priority));
    }
    if columns.is_empty() {
        all.push(column("Age", "date", "", crate::table::description("Age"), 0));
    }
    Value::Array(all)
}
