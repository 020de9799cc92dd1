//! What every namespace has: the `default` ServiceAccount and the ConfigMap `kube-root-ca.crt`.

use std::sync::Arc;

use apimachinery::value::json;

use super::client::{Answered, Refusal};
use super::context::Context;
use super::informer::Change;
use super::kinds::{self, Kind};
use super::queue::Queue;
use super::runner::Controller;
use super::view::{is_deleting, text};
use crate::store::Object;

const ACCOUNT: &str = "default";
const ROOT_CA: &str = "kube-root-ca.crt";
const CA_KEY: &str = "ca.crt";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

/// Puts the namespace of a change into the queue: the namespace's own, or that of an object that every namespace has.
fn observe(kind: &Kind, name: &str, change: &Change<'_>, queue: &Queue) {
    if *kind == kinds::NAMESPACE {
        if !change.deleted {
            queue.add(change.object.name());
        }
    } else if change.object.name() == name {
        queue.add(change.object.namespace());
    }
}

fn is_terminating(namespace: &Object) -> bool {
    is_deleting(namespace.value()) || text(namespace.value(), "/status/phase") == "Terminating"
}

/// Someone else made it, or the namespace has just begun to go: both are fine.
fn settled(result: Result<Answered, Refusal>) -> Result<(), Refusal> {
    match result {
        Err(refusal) if !(refusal.is_already_exists() || refusal.namespace_terminating) => Err(refusal),
        _ => Ok(()),
    }
}

/// Makes the `default` ServiceAccount.
pub(crate) struct ServiceAccounts {
    context: Context,
}

impl ServiceAccounts {
    pub(crate) fn new(context: Context) -> ServiceAccounts {
        ServiceAccounts { context }
    }
}

impl Controller for ServiceAccounts {
    const NAME: &'static str = "service-account-controller";
    const WORKERS: usize = 1;

    fn follows(&self) -> &'static [&'static Kind] {
        &[&kinds::NAMESPACE, &kinds::SERVICE_ACCOUNT]
    }

    fn observe(&self, kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        if *kind == kinds::NAMESPACE || change.deleted {
            observe(kind, ACCOUNT, change, queue);
        }
    }

    async fn sync(&self, key: Arc<str>, _queue: &Queue) -> Result<(), Refusal> {
        let cache = &self.context.cache;
        match cache.get(&kinds::NAMESPACE, "", &key) {
            Some(namespace) if !is_terminating(&namespace) => {}
            _ => return Ok(()),
        }
        if cache.get(&kinds::SERVICE_ACCOUNT, &key, ACCOUNT).is_some() {
            return Ok(());
        }
        let account = json!({ "metadata": { "name": ACCOUNT, "namespace": &*key } });
        settled(self.context.client.create(&kinds::SERVICE_ACCOUNT, &key, account).await)
    }
}

/// Publishes the cluster's certificate authority.
pub(crate) struct RootCa {
    context: Context,
    /// PEM.
    authority: String,
}

impl RootCa {
    pub(crate) fn new(context: Context, authority: String) -> RootCa {
        RootCa { context, authority }
    }
}

impl Controller for RootCa {
    const NAME: &'static str = "root-ca-cert-publisher";
    const WORKERS: usize = 1;

    fn follows(&self) -> &'static [&'static Kind] {
        &[&kinds::NAMESPACE, &kinds::CONFIG_MAP]
    }

    fn observe(&self, kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        observe(kind, ROOT_CA, change, queue);
    }

    async fn sync(&self, key: Arc<str>, _queue: &Queue) -> Result<(), Refusal> {
        let cache = &self.context.cache;
        match cache.get(&kinds::NAMESPACE, "", &key) {
            Some(namespace) if !is_terminating(&namespace) => {}
            _ => return Ok(()),
        }
        let data = json!({ CA_KEY: self.authority });
        let Some(existing) = cache.get(&kinds::CONFIG_MAP, &key, ROOT_CA) else {
            let map = json!({
                "metadata": {
                    "name": ROOT_CA, "namespace": &*key,
                    "annotations": { "kubernetes.io/description": DESCRIPTION },
                },
                "data": data,
            });
            return settled(self.context.client.create(&kinds::CONFIG_MAP, &key, map).await);
        };
        if existing.value().get("data") == Some(&data) || is_deleting(existing.value()) {
            return Ok(());
        }
        let mut map = existing.value().clone();
        map["data"] = data;
        settled(self.context.client.update(&kinds::CONFIG_MAP, map).await)
    }
}
