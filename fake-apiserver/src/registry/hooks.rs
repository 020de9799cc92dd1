//! What only some kinds do: the hooks of the generic verbs, one line per kind and question.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::value::Value;

use super::admit::Admission;
use super::call::{Call, Content, Reply};
use super::namespaces;
use super::{Resource, crds, reviews, services};
use crate::admission::Rejection;
use crate::core::Shared;
use crate::store::Object;

/// How long a new namespace's answer waits for the service account and configuration that belong into it.
const NAMESPACE_PATIENCE: Duration = Duration::from_millis(200);

/// Kinds that a PUT makes.
pub(crate) fn creates_on_update(resource: &Resource) -> bool {
    matches!(
        &*resource.table,
        "leases.coordination.k8s.io"
            | "endpoints"
            | "events"
            | "limitranges"
            | "resourcequotas"
            | "services"
            | "podtemplates"
    ) || resource.table.ends_with(".rbac.authorization.k8s.io")
}

/// Kinds whose PUT may leave out the resourceVersion: nearly all.
pub(crate) fn updates_unconditionally(resource: &Resource) -> bool {
    !resource.is_custom()
        && !matches!(
            &*resource.table,
            "leases.coordination.k8s.io"
                | "customresourcedefinitions.apiextensions.k8s.io"
                | "apiservices.apiregistration.k8s.io"
                | "poddisruptionbudgets.policy"
                | "mutatingwebhookconfigurations.admissionregistration.k8s.io"
                | "validatingwebhookconfigurations.admissionregistration.k8s.io"
        )
}

/// Kinds whose DELETE answers with the object.
pub(crate) fn shows_deleted(resource: &Resource) -> bool {
    matches!(
        &*resource.table,
        "pods"
            | "namespaces"
            | "services"
            | "serviceaccounts"
            | "podtemplates"
            | "persistentvolumeclaims"
            | "persistentvolumes"
            | "resourcequotas"
            | "csinodes.storage.k8s.io"
            | "storageclasses.storage.k8s.io"
            | "volumeattachments.storage.k8s.io"
            | "podsecuritypolicies.policy"
            | "csidrivers.storage.k8s.io"
    )
}

/// Kinds that are given time to end.
pub(crate) fn is_graceful(resource: &Resource) -> bool {
    &*resource.table == "pods"
}

/// Namespaces stay until they are empty.
pub(crate) fn waits_for_content(resource: &Resource, object: &Value) -> bool {
    if &*resource.table == crds::TABLE {
        // Once the clean-up has taken its finalizer away, nothing waits.
        return object["metadata"]["deletionTimestamp"].is_null();
    }
    &*resource.table == "namespaces"
        && object["spec"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
}

/// Kinds whose DELETE insists on the object that it found.
pub(crate) fn is_deleted_by_uid(resource: &Resource) -> bool {
    matches!(&*resource.table, "namespaces" | crds::TABLE)
}

/// What a deletion that does not remove yet changes besides the time.
pub(crate) fn mark_terminating(resource: &Resource, object: &mut Value) {
    if &*resource.table == crds::TABLE {
        crds::mark_terminating(object);
    }
    if &*resource.table == "namespaces" {
        object["status"]["phase"] = "Terminating".into();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("deletionGracePeriodSeconds");
        }
    }
}

/// Where etcd would hold the object, as some texts say it.
pub(crate) fn storage_path(resource: &Resource, namespace: &str, name: &str) -> String {
    let place = match &*resource.plural {
        "services" => "services/specs".to_owned(),
        "nodes" => "minions".to_owned(),
        plural => plural.to_owned(),
    };
    match namespace {
        "" => format!("{place}/{name}"),
        namespace => format!("{place}/{namespace}/{name}"),
    }
}

/// Kind-specific preparation of a new object: addresses of services, finalizers of namespaces.
pub(crate) fn prepare_for_create(core: &Shared, call: &Call, object: &mut Value) -> Result<(), Rejection> {
    match &*call.resource.table {
        "services" => services::allocate(core, object),
        "jobs.batch" => {
            // Labels that were filled in from the template are the template's own: what it gets besides, they get too.
            if call.labels_of_template {
                object["metadata"]["labels"] = object["spec"]["template"]["metadata"]["labels"].clone();
            }
            Ok(())
        }
        crds::TABLE => {
            crds::prepare(object, None);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Kind-specific preparation of a changed object.
pub(crate) fn prepare_for_update(core: &Shared, call: &Call, new: &mut Value, old: &Value) -> Result<(), Rejection> {
    match &*call.resource.table {
        "services" => services::keep(core, new, old),
        crds::TABLE => {
            crds::prepare(new, Some(old));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What follows a create.
pub(crate) async fn after_create(core: &Shared, call: &Call, stored: &Arc<Object>) {
    match &*call.resource.table {
        "namespaces" => {
            let namespace = stored.name().to_owned();
            let populate = match core.has_controllers {
                true => tokio::spawn(namespaces::populated(core.clone(), namespace)),
                false => tokio::spawn(namespaces::populate(core.clone(), namespace)),
            };
            let _ = tokio::time::timeout(NAMESPACE_PATIENCE, populate).await;
        }
        crds::TABLE => crds::establish(core, stored),
        _ => {}
    }
}

/// What follows an update, and the first half of a deletion.
pub(crate) fn after_update(core: &Shared, call: &Call, stored: &Arc<Object>) {
    match &*call.resource.table {
        "namespaces" if !core.has_controllers && stored.metadata().contains_key("deletionTimestamp") => {
            tokio::spawn(namespaces::empty(core.clone(), stored.name().to_owned()));
        }
        crds::TABLE if stored.metadata().contains_key("deletionTimestamp") => {
            tokio::spawn(crds::clean_up(core.clone(), stored.name().to_owned()));
        }
        crds::TABLE => crds::serve(core, stored.value()),
        _ => {}
    }
}

/// What follows a removal.
pub(crate) fn after_delete(core: &Shared, call: &Call, gone: &Arc<Object>) {
    if &*call.resource.table == crds::TABLE {
        crds::stop_serving(core, gone.value());
    }
    if call.resource.namespaced
        && !core.has_controllers
        && core
            .store
            .get("namespaces", "", gone.namespace())
            .is_some_and(|namespace| namespace.metadata().contains_key("deletionTimestamp"))
    {
        tokio::spawn(namespaces::empty(core.clone(), gone.namespace().to_owned()));
    }
}

/// Kinds that are answered and not stored: reviews.
pub(crate) async fn virtual_create(
    core: &Shared,
    call: &mut Call,
    admission: &mut Admission,
    mut object: Value,
) -> Result<Reply, Rejection> {
    admission.attributes.object = Some(object);
    admission.validate(core).await?;
    object = admission.attributes.object.take().unwrap_or_default();
    reviews::answer(core, call, &mut object)?;
    Ok(Reply { code: 201, content: Content::Value(object) })
}
