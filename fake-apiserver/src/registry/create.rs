//! create.

use apimachinery::value::{Value, json};

use super::admit::{self, Admission};
use super::call::{Call, Content, Reply};
use super::meta::{self, text};
use super::{hooks, seam};
use crate::admission::{Operation, Rejection};
use crate::core::Shared;
use crate::refusal;
use crate::store::Object;

/// How often another name is tried when a generated one is taken.
const NAME_ATTEMPTS: usize = 8;

/// Letters of a generated suffix, and how much of the prefix is kept.
const SUFFIX: usize = 5;
const LONGEST_PREFIX: usize = 58;

/// POST to a collection.
pub(crate) async fn create(core: &Shared, call: &mut Call) -> Result<Reply, Rejection> {
    let options = meta::options(call, "CreateOptions")?;
    let gvk = call.resource.gvk.clone();
    let body = call.body.clone();
    let object = seam::decode(core, call, &gvk, &body)?;
    create_decoded(core, call, object, options, true).await
}

/// The flow of a create behind decoding; PATCHes that make an object join here (they track their fields themselves).
pub(crate) async fn create_decoded(
    core: &Shared,
    call: &mut Call,
    mut object: Value,
    options: Value,
    track_fields: bool,
) -> Result<Reply, Rejection> {
    if track_fields {
        object = seam::new_object(core, call, object)?;
    } else {
        meta::check_names(call, &mut object)?;
        meta::wipe_system_fields(&mut object);
    }
    let mut admission = Admission::new(core, call, Operation::Create, Some(options));
    admission.attributes.name = text(&object["metadata"], "name").to_owned();
    admission.attributes.object = Some(object);
    let outcome = admit_and_store(core, call, &mut admission).await;
    admission.finish(core, call, &outcome);
    outcome
}

async fn admit_and_store(core: &Shared, call: &mut Call, admission: &mut Admission) -> Result<Reply, Rejection> {
    admission.mutate(core).await?;
    let mut object = admission.attributes.object.take().unwrap_or_default();
    meta::check_names(call, &mut object)?;
    let now = core.clock.now();
    if !call.resource.is_stored() {
        return hooks::virtual_create(core, call, admission, object).await;
    }
    let generate = generated_prefix(&object);
    if let Some(prefix) = &generate {
        object["metadata"]["name"] = format!("{prefix}{}", core.random.suffix(SUFFIX)).into();
    }
    object["metadata"]["uid"] = core.random.uid().into();
    object["metadata"]["creationTimestamp"] = now.rfc3339().into();
    seam::prepare_for_create(core, call, &mut object);
    hooks::prepare_for_create(core, call, &mut object)?;
    let mut attempt = 0;
    loop {
        attempt += 1;
        if let Some(prefix) = generate.as_ref().filter(|_| attempt > 1) {
            object["metadata"]["name"] = format!("{prefix}{}", core.random.suffix(SUFFIX)).into();
        }
        seam::validate_create(core, call, &object)?;
        admission.attributes.name = text(&object["metadata"], "name").to_owned();
        admission.attributes.object = Some(object);
        admission.validate(core).await?;
        object = admission.attributes.object.take().unwrap_or_default();
        let name = text(&object["metadata"], "name").to_owned();
        if call.dry_run() {
            if core.store.get(&call.resource.table, &call.namespace, &name).is_some() {
                return Err(refusal::already_exists(&call.resource.gvk.group, &call.resource.plural, &name));
            }
            return Ok(Reply { code: 201, content: Content::Value(seam::as_stored(&call.resource, object)) });
        }
        // The store's own check, so all of admission has been asked (`pod-create/resourceversion-in-create`), and a dry run is not.
        if !text(&object["metadata"], "resourceVersion").is_empty() {
            return Err(Rejection::unknown("resourceVersion should not be set on objects to be created"));
        }
        let stored = seam::to_storage(&call.resource, object);
        meta::check_size(&stored)?;
        match core.store.create(&call.resource.table, stored) {
            Ok(stored) => {
                hooks::after_create(core, call, &stored).await;
                return Ok(Reply { code: 201, content: Content::Stored(stored) });
            }
            Err(taken) if generate.is_some() && attempt < NAME_ATTEMPTS => {
                object = seam::from_storage(&call.resource, taken);
            }
            Err(_) => return Err(refusal::already_exists(&call.resource.gvk.group, &call.resource.plural, &name)),
        }
    }
}

/// The prefix of a name that is still to be generated, cut so that the suffix has room.
fn generated_prefix(object: &Value) -> Option<String> {
    let metadata = &object["metadata"];
    let prefix = text(metadata, "generateName");
    if !text(metadata, "name").is_empty() || prefix.is_empty() {
        return None;
    }
    let end = (0..=LONGEST_PREFIX.min(prefix.len())).rev().find(|end| prefix.is_char_boundary(*end)).unwrap_or(0);
    Some(prefix[..end].to_owned())
}

/// Writes an object for the cluster itself, past admission: what is there when a cluster starts, and what stands in for
/// controllers. An object that exists already is left alone.
pub(crate) fn put_in_place(core: &Shared, table: &str, mut object: Value) -> Option<std::sync::Arc<Object>> {
    let now = core.clock.now().rfc3339();
    let metadata = &mut object["metadata"];
    metadata["uid"] = core.random.uid().into();
    metadata["creationTimestamp"] = now.into();
    core.store.create(table, object).ok()
}

/// The Status that stands in for objects that are gone.
pub(crate) fn success(details: &Value) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// The warnings that were collected while admission ran belong to the call.
pub(crate) fn adopt_warnings(call: &mut Call, admission: &mut Admission) {
    admit::merge(&mut call.warnings, std::mem::take(&mut admission.attributes.warnings));
}
