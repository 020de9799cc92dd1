//! The whole cluster as a list of objects, and back.

use apimachinery::value::{Value, json};

use super::crds;
use super::meta::text;
use super::seam;
use crate::core::Shared;

const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Every stored object as the API shows it, definitions of kinds first, then by kind, namespace and name.
pub(crate) fn export(core: &Shared) -> Vec<Value> {
    let kinds = core.registry.kinds();
    let mut tables: Vec<_> = kinds.all().filter(|resource| resource.is_stored()).collect();
    tables.sort_by_key(|resource| (&*resource.table != DEFINITIONS, resource.table.clone()));
    tables.dedup_by_key(|resource| resource.table.clone());
    let mut objects = Vec::new();
    for resource in tables {
        for object in core.store.list(&resource.table, "").0 {
            let mut value = seam::from_storage(resource, (*object.whole()).clone());
            value["apiVersion"] = resource.gvk.api_version().into();
            value["kind"] = (&*resource.gvk.kind).into();
            objects.push(value);
        }
    }
    objects
}

/// Puts objects into the store as they are, past admission and validation: uids, times and statuses stay. An object that is
/// there already is replaced. Says which could not be put there.
pub(crate) fn import(core: &Shared, objects: Vec<Value>) -> Result<usize, String> {
    let (definitions, others): (Vec<Value>, Vec<Value>) =
        flatten(objects).into_iter().partition(|object| object["kind"] == "CustomResourceDefinition");
    let mut count = 0;
    for mut object in definitions.into_iter().chain(others) {
        let (api_version, kind) = (text(&object, "apiVersion").to_owned(), text(&object, "kind").to_owned());
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let kinds = core.registry.kinds();
        let Some(resource) = kinds.find_kind(group, version, &kind).filter(|resource| resource.is_stored()) else {
            return Err(format!(
                "{kind} {:?}: no kind {kind:?} in {api_version:?} is served",
                text(&object["metadata"], "name")
            ));
        };
        let metadata = &mut object["metadata"];
        if !metadata.is_object() || text(metadata, "name").is_empty() {
            return Err(format!("an object of kind {kind} has no metadata.name"));
        }
        if resource.namespaced && text(metadata, "namespace").is_empty() {
            metadata["namespace"] = "default".into();
        }
        if text(metadata, "uid").is_empty() {
            metadata["uid"] = core.random.uid().into();
        }
        if text(metadata, "creationTimestamp").is_empty() {
            metadata["creationTimestamp"] = core.clock.now().rfc3339().into();
        }
        let place = (text(metadata, "namespace").to_owned(), text(metadata, "name").to_owned());
        let is_definition = &*resource.table == DEFINITIONS;
        if is_definition {
            crds::serve(core, &object);
        }
        let stored = seam::to_storage(&resource, object);
        let written = match core.store.get(&resource.table, &place.0, &place.1) {
            Some(known) => core.store.update(&resource.table, known.revision(), stored).is_ok(),
            None => core.store.create(&resource.table, stored).is_ok(),
        };
        count += usize::from(written);
    }
    Ok(count)
}

/// Lists are their items.
fn flatten(objects: Vec<Value>) -> Vec<Value> {
    let mut flat = Vec::new();
    for mut object in objects {
        match object.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if text(&object, "kind").ends_with("List") => {
                let item_kind = text(&object, "kind").trim_end_matches("List").to_owned();
                for mut item in items {
                    // The items of a typed list do not say what they are.
                    if text(&item, "kind").is_empty() {
                        item["kind"] = item_kind.as_str().into();
                        item["apiVersion"] = object["apiVersion"].clone();
                    }
                    flat.push(item);
                }
            }
            Some(items) => {
                object["items"] = items;
                flat.push(object);
            }
            None => flat.push(object),
        }
    }
    flat
}

/// The objects as one `v1` List.
pub(crate) fn list(objects: Vec<Value>) -> Value {
    json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": objects })
}
