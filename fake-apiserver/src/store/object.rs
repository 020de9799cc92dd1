//! One stored object: a JSON value that never changes again, and its JSON text once somebody asked for it.

use std::sync::{Arc, OnceLock};

use ::admission::gojson;
use bytes::Bytes;
use serde_json::{Map, Value};

/// An object as stored, at one revision.
#[derive(Debug)]
pub(crate) struct Object {
    key: Arc<str>,
    value: Arc<Value>,
    revision: u64,
    json: OnceLock<Bytes>,
}

static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

impl Object {
    pub(super) fn new(key: Arc<str>, mut value: Value, revision: u64) -> Object {
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), Value::String(revision.to_string()));
        }
        Object { key, value: Arc::new(value), revision, json: OnceLock::new() }
    }

    /// The same object as if it had been written at another revision.
    pub(crate) fn at(&self, revision: u64) -> Object {
        Object::new(self.key.clone(), (*self.value).clone(), revision)
    }

    /// `namespace/name`, or the name of a cluster-scoped object.
    pub(crate) fn key(&self) -> Arc<str> {
        self.key.clone()
    }

    /// The whole object, `apiVersion` and `kind` of the storage version included.
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// The same, shared.
    pub(crate) fn shared(&self) -> Arc<Value> {
        self.value.clone()
    }

    /// The revision of the write that made it so; equals `metadata.resourceVersion`.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The object's JSON text; serialised once however many watchers and readers there are.
    pub(crate) fn json(&self) -> Bytes {
        self.json.get_or_init(|| Bytes::from(gojson::plain_to_vec(&self.value))).clone()
    }

    /// `metadata`, empty if there is none.
    pub(crate) fn metadata(&self) -> &Map<String, Value> {
        self.value.get("metadata").and_then(Value::as_object).unwrap_or(&EMPTY)
    }

    /// A text field of `metadata`, `""` if absent.
    pub(crate) fn meta(&self, field: &str) -> &str {
        self.metadata().get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// `metadata.name`.
    pub(crate) fn name(&self) -> &str {
        self.meta("name")
    }

    /// `metadata.namespace`, `""` for cluster-scoped objects.
    pub(crate) fn namespace(&self) -> &str {
        self.meta("namespace")
    }

    /// `metadata.labels`, empty if there are none.
    pub(crate) fn labels(&self) -> &Map<String, Value> {
        self.metadata().get("labels").and_then(Value::as_object).unwrap_or(&EMPTY)
    }
}

/// The key that an object's own metadata give it.
pub(super) fn key_of(value: &Value) -> String {
    let meta = |field| {
        value.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str).unwrap_or_default()
    };
    super::key(meta("namespace"), meta("name"))
}
