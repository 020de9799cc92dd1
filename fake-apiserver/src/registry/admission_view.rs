//! The cluster as admission sees it.

use std::net::SocketAddr;
use std::sync::Arc;

use apimachinery::value::Value;

use super::convert;
use crate::access::authorize;
use crate::admission::{
    AccessQuery, Cluster, DecodeError, Equivalent, GroupVersionKind, GroupVersionResource, UserInfo,
};
use crate::auth::rbac::{Decision, Query};
use crate::core::Core;
use crate::fault::Ordered;
use crate::kinds::{Gvk, qualified};
use crate::metrics::Metrics;
use crate::version::KubernetesVersion;

impl Core {
    fn table(&self, group: &str, resource: &str) -> Arc<str> {
        self.registry.kinds().table(group, resource).map_or_else(|| qualified(group, resource).into(), Arc::clone)
    }
}

impl Cluster for Core {
    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.store.get(&self.table(group, resource), namespace, name).map(|object| object.shared())
    }

    fn list(&self, group: &str, resource: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let (objects, _) = self.store.list(&self.table(group, resource), namespace.unwrap_or_default());
        objects.iter().map(|object| object.shared()).collect()
    }

    fn revision(&self, group: &str, resource: &str) -> u64 {
        self.store.table_revision(&self.table(group, resource))
    }

    fn equivalents(&self, resource: &GroupVersionResource, subresource: &str) -> Vec<Equivalent> {
        let kinds = self.registry.kinds();
        let Some(row) = kinds.find(&resource.group, &resource.version, &resource.resource) else { return Vec::new() };
        let same = kinds.same_storage(&row.table).filter_map(|other| {
            let kind = match subresource {
                "" => other.gvk.clone(),
                name => other.subresource(name)?.gvk.clone(),
            };
            Some(Equivalent {
                resource: GroupVersionResource::new(&other.gvk.group, &other.gvk.version, &other.plural),
                kind: GroupVersionKind::new(&kind.group, &kind.version, &kind.kind),
            })
        });
        same.collect()
    }

    fn convert(&self, object: &Value, to: &GroupVersionKind) -> Result<Value, String> {
        let converted = convert::to_version(object, &Gvk::new(&to.group, &to.version, &to.kind));
        crate::registry::seam::normalize(self, to, converted)
    }

    fn decode(&self, kind: &GroupVersionKind, object: Value) -> Result<Value, DecodeError> {
        crate::registry::seam::normalize(self, kind, object).map_err(DecodeError)
    }

    fn default(&self, kind: &GroupVersionKind, object: &mut Value) {
        crate::registry::seam::default(self, &Gvk::new(&kind.group, &kind.version, &kind.kind), object);
    }

    fn knows(&self, kind: &GroupVersionKind) -> bool {
        let kinds = self.registry.kinds();
        kinds.find_kind(&kind.group, &kind.version, &kind.kind).is_some()
            || kinds.all().flat_map(|row| &row.subresources).any(|subresource| {
                let gvk = &subresource.gvk;
                *gvk.group == *kind.group && *gvk.version == *kind.version && *gvk.kind == *kind.kind
            })
    }

    fn service_address(&self, namespace: &str, name: &str, port: u16) -> Option<SocketAddr> {
        self.services.get(&(namespace.to_owned(), name.to_owned(), port)).copied()
    }

    fn authorize(&self, user: &UserInfo, query: &AccessQuery<'_>) -> bool {
        let query = Query {
            verb: query.verb,
            group: query.group,
            resource: query.resource,
            subresource: query.subresource,
            namespace: query.namespace,
            name: query.name,
            path: query.path,
        };
        matches!(authorize::decide(self, user, &query), Decision::Allowed(_))
    }

    fn webhook_fault(&self, name: &str) -> Option<Ordered> {
        self.faults.webhook(name, &self.random)
    }

    fn version(&self) -> KubernetesVersion {
        self.version
    }

    fn metrics(&self) -> Option<&Metrics> {
        Some(&self.metrics)
    }

    fn uid(&self) -> String {
        self.random.uid()
    }

    fn name_suffix(&self) -> String {
        self.random.suffix(5)
    }

    fn unix_seconds(&self) -> i64 {
        crate::time::seconds(self.clock.now())
    }
}
