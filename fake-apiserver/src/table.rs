//! Tables: what `kubectl get` prints. Columns are data (`table/columns.json`, as the API describes them); cells are computed.

mod cells;
mod more;
mod text;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use apimachinery::clock::Timestamp;
use apimachinery::value::{Value, json};

use crate::admission::Rejection;
use crate::kinds::Resource;

static COLUMNS: LazyLock<HashMap<String, Arc<Value>>> = LazyLock::new(|| {
    serde_json::from_str::<HashMap<String, Value>>(include_str!("table/columns.json"))
        .unwrap_or_default()
        .into_iter()
        .map(|(path, columns)| (path, Arc::new(columns)))
        .collect()
});

/// The columns of kinds that have none of their own.
static DEFAULT_COLUMNS: LazyLock<Arc<Value>> = LazyLock::new(|| {
    let config_maps = COLUMNS.get("/v1/configmaps").and_then(|columns| columns.as_array());
    let pick =
        |name: &str| config_maps.and_then(|columns| columns.iter().find(|column| column["name"] == name)).cloned();
    let mut age = pick("Age").unwrap_or_default();
    age["name"] = "Created At".into();
    age["type"] = "date".into();
    Arc::new(Value::from(vec![pick("Name").unwrap_or_default(), age]))
});

/// Checks the query's `includeObject` (`api-basics/table-include-bogus`).
pub(crate) fn check_include(include: &str) -> Result<(), Rejection> {
    match include {
        "" | "None" | "Metadata" | "Object" => Ok(()),
        other => Err(Rejection::bad_request(&format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', 'Object', 'None', or empty"
        ))),
    }
}

/// A table of these objects. Rows carry the object's metadata unless `include` says otherwise; later events of a watch come
/// without column definitions.
pub(crate) fn render(
    resource: &Resource,
    objects: &[&Value],
    metadata: Value,
    version: &str,
    include: &str,
    now: Timestamp,
    with_columns: bool,
) -> Value {
    let columns = resource
        .columns
        .clone()
        .or_else(|| COLUMNS.get(&resource.gvr().to_string()).cloned())
        .or_else(|| COLUMNS.get(&resource.stored_gvr().to_string()).cloned())
        .unwrap_or_else(|| DEFAULT_COLUMNS.clone());
    let names: Vec<&str> =
        columns.as_array().into_iter().flatten().filter_map(|column| column["name"].as_str()).collect();
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells: Vec<Value> = names.iter().map(|name| cells::cell(resource, name, object, now)).collect();
            let shown = match include {
                "None" => Value::Null,
                "Object" => (*object).clone(),
                _ => partial(object, version),
            };
            if let Value::Null = shown {
                json!({"cells": cells, "object": null})
            } else {
                json!({"cells": cells, "object": shown})
            }
        })
        .collect();
    let definitions = if with_columns { (*columns).clone() } else { Value::Null };
    json!({
        "kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}

/// How the API describes a column that every kind has.
pub(crate) fn description(column: &str) -> &'static str {
    let columns = COLUMNS.get("/v1/configmaps").and_then(|columns| columns.as_array());
    let found = columns.and_then(|columns| columns.iter().find(|definition| definition["name"] == column));
    found.and_then(|definition| definition["description"].as_str()).unwrap_or_default()
}

/// `PartialObjectMetadata` of an object.
pub(crate) fn partial(object: &Value, version: &str) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_else(|| json!({}));
    json!({"kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": metadata})
}
