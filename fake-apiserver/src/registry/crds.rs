//! Custom resource definitions: what they add to the table of kinds.

use std::sync::Arc;

use apimachinery::value::{List, Map, Value, json};

use super::meta::text;
use super::{Gvk, PrinterColumn, Resource, Subresource, Verb, qualified};
use crate::core::{Core, Shared};

/// Where definitions are stored.
pub(super) const TABLE: &str = "customresourcedefinitions.apiextensions.k8s.io";
const API: &str = "apiextensions.k8s.io/v1";
/// Keeps a definition until its objects are gone.
const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The defaults of a definition: names that it may leave out, no conversion.
pub(super) fn default(definition: &mut Value) {
    if definition["spec"].is_object() && definition["status"]["storedVersions"].as_array().is_none_or(List::is_empty) {
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
    let mut definition = (*stored.whole()).clone();
    definition["status"] = json!({
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "acceptedNames": definition["spec"]["names"],
        "storedVersions": stored_versions(&definition),
    });
    let one =
        || json!({".": {}, "f:lastTransitionTime": {}, "f:message": {}, "f:reason": {}, "f:status": {}, "f:type": {}});
    let names: Map = definition["spec"]["names"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| (format!("f:{name}"), json!({})))
        .collect();
    let entry = json!({
        "manager": "kube-apiserver", "operation": "Update", "apiVersion": API, "time": time, "fieldsType": "FieldsV1",
        "subresource": "status",
        "fieldsV1": {"f:status": {
            "f:acceptedNames": names,
            "f:conditions": {"k:{\"type\":\"Established\"}": one(), "k:{\"type\":\"NamesAccepted\"}": one()},
        }},
    });
    match definition["metadata"]["managedFields"].as_array_mut() {
        Some(entries) => entries.insert(0, entry),
        None => definition["metadata"]["managedFields"] = json!([entry]),
    }
    // Somebody who was faster has already written another state, which is served by then.
    let _ = core.store.update(TABLE, stored.revision(), definition);
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

/// What the deletion of a definition writes into it: it waits for its objects.
pub(super) fn mark_terminating(definition: &mut Value) {
    let time = definition["metadata"]["deletionTimestamp"].clone();
    let metadata = &mut definition["metadata"];
    if let Some(fields) = metadata.as_object_mut() {
        fields.remove("deletionGracePeriodSeconds");
    }
    match metadata["finalizers"].as_array_mut() {
        Some(finalizers) if finalizers.iter().any(|one| one == FINALIZER) => {}
        Some(finalizers) => finalizers.push(FINALIZER.into()),
        None => metadata["finalizers"] = json!([FINALIZER]),
    }
    let condition = json!({
        "type": "Terminating", "status": "True", "lastTransitionTime": time, "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    });
    match definition["status"]["conditions"].as_array_mut() {
        Some(conditions) => conditions.push(condition),
        None => definition["status"]["conditions"] = json!([condition]),
    }
}

/// Removes the objects of a definition that is being deleted, then its finalizer; objects with finalizers of their own are
/// waited for.
pub(super) fn clean_up(core: Shared, name: String) -> super::namespaces::Work {
    Box::pin(async move {
        let Some(stored) = core.store.get(TABLE, "", &name) else { return };
        let waits = |definition: &Value| {
            definition["metadata"]["finalizers"].as_array().is_some_and(|all| all.iter().any(|one| one == FINALIZER))
        };
        if !waits(stored.value()) {
            return;
        }
        let spec = &stored.value()["spec"];
        let table = qualified(text(spec, "group"), text(&spec["names"], "plural"));
        let user = super::namespaces::controller(&core, "crd-cleanup");
        let kinds = core.registry.kinds();
        let Some(resource) = kinds.same_storage(&table).next().cloned() else {
            return finish(&core, &name);
        };
        let mut changed = core.store.subscribe(&table);
        loop {
            let (objects, _) = core.store.list(&table, "");
            if objects.is_empty() {
                break;
            }
            for object in objects.iter().filter(|object| !object.metadata().contains_key("deletionTimestamp")) {
                super::internal::delete(&core, user.clone(), &resource, object.namespace(), object.name()).await;
            }
            if !core.store.list(&table, "").0.is_empty() && changed.changed().await.is_err() {
                return;
            }
        }
        finish(&core, &name);
    })
}

/// Takes the finalizer away; a definition that nobody else holds is removed.
fn finish(core: &Core, name: &str) {
    // Whoever writes in between makes the next turn.
    while let Some(stored) = core.store.get(TABLE, "", name) {
        let mut definition = (*stored.whole()).clone();
        let rest: Vec<Value> = definition["metadata"]["finalizers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| *one != FINALIZER)
            .cloned()
            .collect();
        let last = rest.is_empty();
        definition["metadata"]["finalizers"] = rest.into();
        let done = match last {
            true => core.store.delete(TABLE, "", name, stored.revision()).map(|gone| stop_serving(core, gone.value())),
            false => core.store.update(TABLE, stored.revision(), definition).map(|_| ()),
        };
        if !matches!(done, Err(crate::store::WriteError::Changed)) {
            return;
        }
    }
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
    Value::from(all)
}
