//! Custom resource definitions: what they add to the table of kinds.

use std::sync::Arc;

use serde_json::{Value, json};

use super::meta::text;
use super::{Gvk, PrinterColumn, Resource, Subresource, Verb, qualified};
use crate::core::Core;

/// The defaults of a definition: names that it may leave out, no conversion.
pub(super) fn default(definition: &mut Value) {
    if definition["spec"].is_object() && definition["status"]["storedVersions"].as_array().is_none_or(Vec::is_empty) {
        let stored = stored_versions(definition);
        let Some(fields) = definition.as_object_mut() else { return };
        let status = fields.entry("status").or_insert_with(|| json!({}));
        if let Some(status) = status.as_object_mut() {
            status.insert("storedVersions".to_owned(), stored);
            status.entry("conditions").or_insert(Value::Null);
            status.entry("acceptedNames").or_insert_with(|| json!({"plural": "", "kind": ""}));
        }
    }
    let Some(spec) = definition.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if spec.get("conversion").is_none_or(Value::is_null) {
        spec.insert("conversion".to_owned(), json!({"strategy": "None"}));
    }
    let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) else { return };
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (field, value) in [("singular", kind.to_lowercase()), ("listKind", format!("{kind}List"))] {
        if names.get(field).and_then(Value::as_str).unwrap_or_default().is_empty() {
            names.insert(field.to_owned(), value.into());
        }
    }
}

fn stored_versions(definition: &Value) -> Value {
    let stored: Vec<&str> = versions(definition)
        .filter(|version| version["storage"] == true)
        .map(|version| text(version, "name"))
        .collect();
    json!(stored)
}

/// The status that a new definition has, or that a changed one keeps.
pub(super) fn prepare(definition: &mut Value, old: Option<&Value>) {
    let kept = old.map(|old| old["status"].clone()).filter(Value::is_object);
    definition["status"] = kept.unwrap_or_else(|| {
        json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored_versions(definition)})
    });
}

/// Serves a new definition and says so in its status, as the controllers of a real server do soon after the create.
pub(super) fn establish(core: &Core, stored: &crate::store::Object) {
    serve(core, stored.value());
    let time = core.clock.now().rfc3339();
    let condition = |name: &str, reason: &str, message: &str| json!({"type": name, "status": "True", "lastTransitionTime": time, "reason": reason, "message": message});
    let mut definition = stored.value().clone();
    definition["status"] = json!({
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "acceptedNames": definition["spec"]["names"],
        "storedVersions": stored_versions(&definition),
    });
    // Somebody who was faster has already written another state, which is served by then.
    let _ = core.store.update("customresourcedefinitions.apiextensions.k8s.io", stored.revision(), definition);
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
                deprecation: deprecation(version, &gvk).map(Into::into),
                printer_columns: columns.iter().map(|column| printer_column(column)).collect(),
                gvk,
            });
        }
    });
}

/// What clients of a deprecated version are told.
fn deprecation(version: &Value, gvk: &Gvk) -> Option<String> {
    let own = version["deprecationWarning"].as_str().map(str::to_owned);
    (version["deprecated"] == true)
        .then(|| own.unwrap_or_else(|| format!("{} {} is deprecated", gvk.api_version(), gvk.kind)))
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
