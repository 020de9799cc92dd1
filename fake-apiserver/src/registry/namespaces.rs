//! What stands in for the namespace controllers: a new namespace gets its service account and the cluster's certificate, a
//! deleted one is emptied and then removed. Both go through the API's own verbs, so that webhooks see what they would see.

use std::future::Future;
use std::pin::Pin;

use apimachinery::value::{List, Value, json};

use crate::admission::UserInfo;
use crate::auth::tokens::account_groups;
use crate::core::Shared;
use crate::kinds::Verb;
use crate::registry::internal;

/// What a controller does on its own; boxed because it comes back to the verbs that start it.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The user of a controller.
pub(crate) fn controller(core: &Shared, name: &str) -> UserInfo {
    let account = core.store.get("serviceaccounts", "kube-system", name);
    UserInfo {
        username: format!("system:serviceaccount:kube-system:{name}"),
        uid: account.map(|account| account.meta("uid").to_owned()).unwrap_or_default(),
        groups: account_groups("kube-system"),
        ..UserInfo::default()
    }
}

/// The configuration with the cluster's certificate that every namespace has.
pub(crate) fn root_certificate(core: &Shared, namespace: &str) -> Value {
    let description = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "kube-root-ca.crt", "namespace": namespace, "annotations": {"kubernetes.io/description": description}},
        "data": {"ca.crt": core.authority.pem()},
    })
}

/// The default service account.
pub(crate) fn default_account(namespace: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}})
}

/// Fills a new namespace.
pub(crate) fn populate(core: Shared, namespace: String) -> Work {
    Box::pin(fill(core, namespace))
}

async fn fill(core: Shared, namespace: String) {
    let account = default_account(&namespace);
    let user = controller(&core, "service-account-controller");
    internal::create(&core, user, "", "v1", "serviceaccounts", &namespace, &account).await;
    let certificate = root_certificate(&core, &namespace);
    let user = controller(&core, "root-ca-cert-publisher");
    internal::create(&core, user, "", "v1", "configmaps", &namespace, &certificate).await;
}

/// Waits until the controllers have filled a new namespace.
pub(crate) fn populated(core: Shared, namespace: String) -> Work {
    Box::pin(async move {
        for (table, name) in [("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt")] {
            let mut changed = core.store.subscribe(table);
            while core.store.get(table, &namespace, name).is_none() {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        }
    })
}

/// Empties a namespace that is being deleted, and removes it once nothing is left. Called again whenever one of its objects is
/// removed, so it need not wait.
pub(crate) fn empty(core: Shared, namespace: String) -> Work {
    Box::pin(clear(core, namespace))
}

async fn clear(core: Shared, namespace: String) {
    let kinds = core.registry.kinds();
    let user = controller(&core, "namespace-controller");
    let mut left = 0;
    let mut done: Vec<&str> = Vec::new();
    for resource in kinds
        .all()
        .filter(|resource| resource.namespaced && resource.is_stored() && resource.verbs.contains(&Verb::Delete))
    {
        if done.contains(&&*resource.table) {
            continue;
        }
        done.push(&resource.table);
        for object in core.store.list(&resource.table, &namespace).0 {
            if !object.metadata().contains_key("deletionTimestamp") {
                internal::delete(&core, user.clone(), resource, &namespace, object.name()).await;
            }
        }
        left += core.store.list(&resource.table, &namespace).0.len();
    }
    if left > 0 {
        return;
    }
    if let Some(stored) = core.store.get("namespaces", "", &namespace)
        && stored.metadata().contains_key("deletionTimestamp")
        && stored.metadata().get("finalizers").and_then(Value::as_array).is_none_or(List::is_empty)
    {
        // Somebody else may be just as far: the first removal wins.
        let _ = core.store.delete("namespaces", "", &namespace, stored.revision());
    }
}
