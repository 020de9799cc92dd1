//! Calls from inside the process, by the same verbs that HTTP uses.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::value::Value;
use bytes::Bytes;
use tokio::time::Instant;

use super::call::{Call, Content};
use super::{Resource, create, delete, patch};
use crate::admission::{Rejection, UserInfo};
use crate::core::Shared;
use crate::request::query::Query;

/// How long such a call may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The manager under which controllers' fields are tracked.
pub(crate) const CONTROLLER_AGENT: &str = "kube-controller-manager/v1.36.2 (linux/amd64) kubernetes/98b3519";

fn call(
    user: UserInfo,
    resource: &Arc<Resource>,
    verb: &'static str,
    namespace: &str,
    name: &str,
    body: Bytes,
) -> Call {
    Call {
        verb,
        resource: resource.clone(),
        subresource: None,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        query: Query::default(),
        content_type: "application/json".to_owned(),
        user_agent: CONTROLLER_AGENT.to_owned(),
        body,
        sent: None,
        user,
        deadline: Instant::now() + PATIENCE,
        labels_of_template: false,
        unseen: false,
        warnings: Vec::new(),
        audit: None,
    }
}

/// Creates an object; a refusal is logged, nobody is there to be told.
pub(crate) async fn create(
    core: &Shared,
    user: UserInfo,
    group: &str,
    version: &str,
    plural: &str,
    namespace: &str,
    object: &Value,
) {
    let Some(resource) = core.registry.find(group, version, plural) else { return };
    let body = serde_json::to_vec(object).unwrap_or_default().into();
    let mut call = call(user, &resource, "create", namespace, "", body);
    report(plural, create::create(core, &mut call).await.map(|reply| reply.content));
}

/// Deletes an object.
pub(crate) async fn delete(core: &Shared, user: UserInfo, resource: &Arc<Resource>, namespace: &str, name: &str) {
    let mut call = call(user, resource, "delete", namespace, name, Bytes::new());
    report(&resource.plural, delete::delete(core, &mut call).await.map(|reply| reply.content));
}

/// JSON Patch of an object's status.
pub(crate) async fn patch_status(
    core: &Shared,
    user: UserInfo,
    resource: &Arc<Resource>,
    (namespace, name): (&str, &str),
    patch: &Value,
) {
    let body = serde_json::to_vec(patch).unwrap_or_default().into();
    let mut call = call(user, resource, "patch", namespace, name, body);
    call.subresource = resource.subresource("status").cloned();
    "application/json-patch+json".clone_into(&mut call.content_type);
    report(&resource.plural, patch::patch(core, &mut call).await.map(|reply| reply.content));
}

fn report(plural: &str, outcome: Result<Content, Rejection>) {
    if let Err(rejection) = outcome
        && rejection.code != 404
    {
        tracing::debug!(resource = plural, message = rejection.message(), "a controller's request was refused");
    }
}

/// The path of a resource's collection; a namespaced one without namespace is in `default`.
pub(crate) fn collection_path(resource: &Resource, namespace: &str) -> String {
    let root = match &*resource.gvk.group {
        "" => format!("/api/{}", resource.gvk.version),
        group => format!("/apis/{group}/{}", resource.gvk.version),
    };
    match (resource.namespaced, namespace) {
        (false, _) => format!("{root}/{}", resource.plural),
        (true, "") => format!("{root}/namespaces/default/{}", resource.plural),
        (true, namespace) => format!("{root}/namespaces/{namespace}/{}", resource.plural),
    }
}
