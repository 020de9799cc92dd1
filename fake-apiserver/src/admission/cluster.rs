//! What admission asks of the rest of the apiserver. The registry implements it; admission never imports the registry.

use std::net::SocketAddr;
use std::sync::Arc;

use apimachinery::value::Value;

use super::attributes::{GroupVersionKind, GroupVersionResource};
use crate::fault::Ordered;
use crate::metrics::Metrics;
use crate::version::KubernetesVersion;

/// A typed decode that failed: the text is Go's, e.g.
/// `json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(pub String);

/// One way to address the same objects: matchPolicy Equivalent tries them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equivalent {
    /// Resource of the alternative, e.g. autoscaling/v1 horizontalpodautoscalers.
    pub resource: GroupVersionResource,
    /// Its kind (of the subresource asked for, e.g. autoscaling/v1 Scale).
    pub kind: GroupVersionKind,
}

/// Reads of the cluster and services of the registry that admission needs. Every call is quick and does not block.
pub trait Cluster: Send + Sync {
    /// The stored object of a resource, with `kind` and `apiVersion` of its storage version. `namespace` is `""` for
    /// cluster-scoped resources.
    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>>;

    /// All stored objects of a resource, in order of key; all namespaces when `namespace` is none.
    fn list(&self, group: &str, resource: &str, namespace: Option<&str>) -> Vec<Arc<Value>>;

    /// A number that changes with every write to the resource; admission keeps compiled configurations while it stands.
    fn revision(&self, group: &str, resource: &str) -> u64;

    /// Every group and version under which the objects of `resource` (and `subresource`) are served, the given one
    /// included; empty when it is not known.
    fn equivalents(&self, resource: &GroupVersionResource, subresource: &str) -> Vec<Equivalent>;

    /// The object in another version of its kind.
    ///
    /// # Errors
    /// The text of the apiserver when there is no such conversion.
    fn convert(&self, object: &Value, to: &GroupVersionKind) -> Result<Value, String>;

    /// Decodes an object as the typed kind: unknown fields are dropped, wrong types are an error. No defaults.
    ///
    /// # Errors
    /// The text of Go's decoder.
    fn decode(&self, kind: &GroupVersionKind, object: Value) -> Result<Value, DecodeError>;

    /// Sets the defaults of a kind's API group, as after every decoding.
    fn default(&self, kind: &GroupVersionKind, object: &mut Value);

    /// Whether a kind exists in this group and version (for the text when a patch names another one).
    fn knows(&self, kind: &GroupVersionKind) -> bool;

    /// Where a service's port is to be dialled when the caller gave an address for it; else its clusterIP is used.
    fn service_address(&self, namespace: &str, name: &str, port: u16) -> Option<SocketAddr>;

    /// Whether the user may do something (CEL's `authorizer`); the fake allows everything unless told otherwise.
    fn authorize(&self, _user: &super::UserInfo, _query: &AccessQuery<'_>) -> bool {
        true
    }

    /// What is to go wrong with a call of a webhook, if anything.
    fn webhook_fault(&self, _name: &str) -> Option<Ordered> {
        None
    }

    /// Which version of Kubernetes webhooks are to see.
    fn version(&self) -> KubernetesVersion {
        KubernetesVersion::default()
    }

    /// Where admission counts what it does, if anywhere.
    fn metrics(&self) -> Option<&Metrics> {
        None
    }

    /// A new uid, from the seeded generator.
    fn uid(&self) -> String;

    /// Five characters of the alphabet of generated names, from the seeded generator.
    fn name_suffix(&self) -> String;

    /// The time, in whole seconds since 1970: what certificates are checked against.
    fn unix_seconds(&self) -> i64;
}

/// What CEL's `authorizer` asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessQuery<'a> {
    /// Verb, e.g. `delete`.
    pub verb: &'a str,
    /// Group; `""` for core.
    pub group: &'a str,
    /// Resource; empty for a path query.
    pub resource: &'a str,
    /// Subresource or empty.
    pub subresource: &'a str,
    /// Namespace or empty.
    pub namespace: &'a str,
    /// Name or empty.
    pub name: &'a str,
    /// Path of a non-resource query, or empty.
    pub path: &'a str,
}
