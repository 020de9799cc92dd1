//! ProxyConfig resources (`networking.istio.io/v1beta1`) and which of them apply to a pod.

use std::collections::BTreeMap;

use apimachinery::value::{Map, Value};

/// The ProxyConfig resources of a cluster, as the ProxyConfig fields that they set.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProxyConfigs {
    by_namespace: BTreeMap<String, Vec<Resource>>,
}

#[derive(Debug, Clone)]
struct Resource {
    selector: Option<Map>,
    fields: Value,
}

impl ProxyConfigs {
    /// Picks them out of a cluster's objects; within a namespace the oldest comes first.
    pub(crate) fn new(objects: &[Value]) -> Self {
        let is_one = |o: &&Value| {
            let text = |k: &str| o.get(k).and_then(Value::as_str).unwrap_or_default();
            text("kind") == "ProxyConfig" && text("apiVersion").starts_with("networking.istio.io/")
        };
        let mut found: Vec<&Value> = objects.iter().filter(is_one).collect();
        let key = |o: &Value, k: &str| {
            o.pointer(&format!("/metadata/{k}")).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        found.sort_by_cached_key(|o| (key(o, "creationTimestamp"), key(o, "name"), key(o, "namespace")));
        let mut by_namespace: BTreeMap<String, Vec<Resource>> = BTreeMap::new();
        for object in found {
            let selector = object.pointer("/spec/selector/matchLabels").and_then(Value::as_object).cloned();
            let fields = fields(object.get("spec").unwrap_or(&Value::Null));
            by_namespace.entry(key(object, "namespace")).or_default().push(Resource { selector, fields });
        }
        Self { by_namespace }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_namespace.is_empty()
    }

    /// The oldest resource of a namespace without a selector.
    pub(crate) fn of_namespace(&self, namespace: &str) -> Option<&Value> {
        let all = self.by_namespace.get(namespace)?;
        all.iter().find(|r| r.selector.as_ref().is_none_or(Map::is_empty)).map(|r| &r.fields)
    }

    /// The oldest resource of a namespace whose selector matches these labels.
    pub(crate) fn of_labels(&self, namespace: &str, labels: &Map) -> Option<&Value> {
        let all = self.by_namespace.get(namespace)?;
        let matches = |wanted: &Map| wanted.iter().all(|(k, v)| labels.get(k) == Some(v));
        all.iter().find(|r| r.selector.as_ref().is_some_and(|s| !s.is_empty() && matches(s))).map(|r| &r.fields)
    }
}

/// What a resource can set: concurrency, environment variables (as `proxyMetadata`) and the image type.
fn fields(spec: &Value) -> Value {
    let mut out = Map::new();
    if let Some(concurrency) = spec.get("concurrency").filter(|c| c.is_number()) {
        out.insert("concurrency".to_owned(), concurrency.clone());
    }
    if let Some(variables) = spec.get("environmentVariables").filter(|v| v.is_object()) {
        out.insert("proxyMetadata".to_owned(), variables.clone());
    }
    if let Some(image) = spec.get("image").filter(|i| i.is_object()) {
        out.insert("image".to_owned(), image.clone());
    }
    Value::Object(out)
}
