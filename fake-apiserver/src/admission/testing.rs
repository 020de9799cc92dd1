//! A cluster for unit tests: what it is given, and nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use apimachinery::value::Value;

use super::{Cluster, DecodeError, Equivalent, GroupVersionKind, GroupVersionResource};

/// A cluster with objects, by `resource/namespace/name`.
#[derive(Default)]
pub(crate) struct Objects(pub(crate) BTreeMap<String, Arc<Value>>);

fn key(resource: &str, namespace: &str, name: &str) -> String {
    format!("{resource}/{namespace}/{name}")
}

impl Objects {
    pub(crate) fn with(mut self, resource: &str, namespace: &str, object: Value) -> Self {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        self.0.insert(key(resource, namespace, &name), Arc::new(object));
        self
    }
}

impl Cluster for Objects {
    fn get(&self, _group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.0.get(&key(resource, namespace, name)).cloned()
    }

    fn list(&self, _group: &str, resource: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let prefix = namespace.map_or_else(|| format!("{resource}/"), |namespace| format!("{resource}/{namespace}/"));
        self.0.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(_, object)| object.clone()).collect()
    }

    fn revision(&self, _group: &str, _resource: &str) -> u64 {
        1
    }

    fn equivalents(&self, _resource: &GroupVersionResource, _subresource: &str) -> Vec<Equivalent> {
        Vec::new()
    }

    fn convert(&self, object: &Value, _to: &GroupVersionKind) -> Result<Value, String> {
        Ok(object.clone())
    }

    fn decode(&self, _kind: &GroupVersionKind, object: Value) -> Result<Value, DecodeError> {
        Ok(object)
    }

    fn default(&self, _kind: &GroupVersionKind, _object: &mut Value) {}

    fn knows(&self, _kind: &GroupVersionKind) -> bool {
        true
    }

    fn service_address(&self, _namespace: &str, _name: &str, _port: u16) -> Option<SocketAddr> {
        None
    }

    fn uid(&self) -> String {
        "0d5a1ff2-8a3c-4f0e-9a55-000000000001".to_owned()
    }

    fn name_suffix(&self) -> String {
        "bcdfg".to_owned()
    }

    fn unix_seconds(&self) -> i64 {
        1_790_000_000
    }
}
