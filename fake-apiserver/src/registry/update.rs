//! update, and what it shares with patch: admission, strategy, the optimistic write.

use std::sync::Arc;

use apimachinery::value::Value;

use super::admit::Admission;
use super::call::{Call, Content, Reply};
use super::meta::{self, text};
use super::{delete, hooks, seam};
use crate::admission::{Operation, Rejection};
use crate::core::Shared;
use crate::refusal;
use crate::store::{Object, WriteError};

/// How often a write that names no resourceVersion is tried against a moving object.
const ATTEMPTS: usize = 5;

/// What a client wants the object to become, computed from what is stored.
pub(crate) enum Change {
    /// PUT: this object.
    Replace(Value),
    /// PATCH: the body, by its content type.
    Patch,
}

/// PUT of a named object or of a subresource in the object's own kind.
pub(crate) async fn update(core: &Shared, call: &mut Call) -> Result<Reply, Rejection> {
    let options = meta::options(call, "UpdateOptions")?;
    let gvk = call.resource.gvk.clone();
    let body = call.body.clone();
    let mut object = seam::decode(core, call, &gvk, &body)?;
    meta::check_name(call, &mut object)?;
    meta::check_names(call, &mut object)?;
    let Some(stored) = core.store.get(&call.resource.table, &call.namespace, &call.name) else {
        return if hooks::creates_on_update(&call.resource) && call.subresource.is_none() {
            meta::wipe_system_fields(&mut object);
            let options = meta::options(call, "CreateOptions")?;
            super::create::create_decoded(core, call, object, options, true).await
        } else {
            Err(call.not_found())
        };
    };
    write(core, call, stored, Change::Replace(object), options).await
}

/// Changes a stored object: computes the new state, admits it, validates it, writes it; again if somebody was faster and the
/// client did not insist on a revision.
pub(crate) async fn write(
    core: &Shared,
    call: &mut Call,
    mut stored: Arc<Object>,
    mut change: Change,
    options: Value,
) -> Result<Reply, Rejection> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match attempt_write(core, call, &stored, &mut change, options.clone()).await? {
            Outcome::Done(reply) => return Ok(reply),
            Outcome::Moved { insists } => {
                let now = core
                    .store
                    .get(&call.resource.table, &call.namespace, &call.name)
                    .ok_or_else(|| call.not_found())?;
                if insists || attempt >= ATTEMPTS {
                    return Err(conflict(call, refusal::MODIFIED));
                }
                stored = now;
            }
        }
    }
}

enum Outcome {
    Done(Reply),
    /// Somebody else wrote in between.
    Moved {
        insists: bool,
    },
}

fn conflict(call: &Call, why: &str) -> Rejection {
    refusal::conflict(&call.resource.gvk.group, &call.resource.plural, &call.name, why)
}

async fn attempt_write(
    core: &Shared,
    call: &mut Call,
    stored: &Arc<Object>,
    change: &mut Change,
    options: Value,
) -> Result<Outcome, Rejection> {
    let is_patch = matches!(change, Change::Patch);
    let old = seam::read_from_storage(&call.resource, stored);
    let mut new = match change {
        // Who insists on a revision has one attempt.
        Change::Replace(object) if names_revision(object) => std::mem::take(object),
        Change::Replace(object) => object.clone(),
        Change::Patch => seam::patch(core, call, &old)?,
    };
    if is_patch {
        meta::check_name(call, &mut new).map_err(|_| patch_renames(call, &new))?;
    }
    seam::track_update(core, call, &mut new, &old, is_patch);
    let mut admission = Admission::new(core, call, Operation::Update, Some(options));
    admission.attributes.object = Some(new);
    admission.attributes.old_object = Some(old.clone());
    let outcome = admit_and_write(core, call, stored, &old, &mut admission).await;
    admission.attributes.old_object = None;
    super::create::adopt_warnings(call, &mut admission);
    admission.record(core, outcome.as_ref().err());
    outcome
}

fn names_revision(object: &Value) -> bool {
    !matches!(text(&object["metadata"], "resourceVersion"), "" | "0")
}

/// A patch that changes the name is refused with the words of a PUT.
fn patch_renames(call: &Call, new: &Value) -> Rejection {
    let name = text(&new["metadata"], "name");
    Rejection::bad_request(&format!(
        "the name of the object ({name}) does not match the name on the URL ({})",
        call.name
    ))
}

async fn admit_and_write(
    core: &Shared,
    call: &mut Call,
    stored: &Arc<Object>,
    old: &Value,
    admission: &mut Admission,
) -> Result<Outcome, Rejection> {
    admission.mutate(core).await?;
    let mut new = admission.attributes.object.take().unwrap_or_default();
    meta::check_names(call, &mut new)?;
    let insists = check_version(call, &mut new, stored)?;
    keep_system_fields(&mut new, old);
    seam::prepare_for_update(&call.resource, call.subresource.as_ref(), &mut new, old);
    hooks::prepare_for_update(core, call, &mut new, old)?;
    seam::validate_update(core, &call.resource, call.subresource.as_ref(), &new, old, &mut call.warnings)?;
    admission.attributes.object = Some(new);
    admission.validate(core).await?;
    let new = admission.attributes.object.take().unwrap_or_default();
    if call.dry_run() {
        return Ok(Outcome::Done(Reply::ok(Content::Value(seam::as_stored(&call.resource, new)))));
    }
    if seam::is_unchanged(&new, old) {
        return Ok(Outcome::Done(Reply::ok(Content::Stored(stored.clone()))));
    }
    if delete::is_last_finalizer_gone(&new) {
        return finish_deletion(core, call, stored, new, admission).await;
    }
    let next = seam::to_storage(&call.resource, new);
    meta::check_size(&next)?;
    match core.store.update(&call.resource.table, stored.revision(), next) {
        Ok(written) => {
            hooks::after_update(core, call, &written);
            Ok(Outcome::Done(Reply::ok(Content::Stored(written))))
        }
        Err(WriteError::Changed) => Ok(Outcome::Moved { insists }),
        Err(WriteError::NotFound) => Err(call.not_found()),
    }
}

/// The object was only waiting for its finalizers: it is removed, and the client sees its last state.
async fn finish_deletion(
    core: &Shared,
    call: &mut Call,
    stored: &Arc<Object>,
    mut shown: Value,
    _admission: &mut Admission,
) -> Result<Outcome, Rejection> {
    let key = (&*call.resource.table, &*call.namespace, &*call.name);
    match core.store.delete(key.0, key.1, key.2, stored.revision()) {
        Ok(gone) => {
            hooks::after_delete(core, call, &gone);
            shown["metadata"]["resourceVersion"] = stored.meta("resourceVersion").into();
            Ok(Outcome::Done(Reply::ok(Content::Value(shown))))
        }
        Err(WriteError::Changed) => Ok(Outcome::Moved { insists: false }),
        Err(WriteError::NotFound) => Err(call.not_found()),
    }
}

/// The resourceVersion and uid that a client sent against what is stored. Tells whether the client insists on a revision.
fn check_version(call: &Call, new: &mut Value, stored: &Object) -> Result<bool, Rejection> {
    let version = text(&new["metadata"], "resourceVersion").to_owned();
    let uid = text(&new["metadata"], "uid").to_owned();
    // Only a PUT is tied to the uid that it names; a patch that changes it is invalid.
    if call.verb != "patch" && !uid.is_empty() && uid != stored.meta("uid") {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            hooks::storage_path(&call.resource, &call.namespace, &call.name),
            stored.meta("uid")
        );
        return Err(conflict(call, &why));
    }
    if version.is_empty() || version == "0" {
        if !hooks::updates_unconditionally(&call.resource) {
            let cause = refusal::Cause::invalid("metadata.resourceVersion", "0", "must be specified for an update");
            // Named by its resource, not its kind (`config-validation/update-paths`).
            return Err(refusal::invalid(&call.resource.gvk.group, &call.resource.plural, &call.name, &[cause]));
        }
        return Ok(false);
    }
    if version.parse::<u64>().is_err() {
        let cause = refusal::Cause::invalid(
            "metadata.resourceVersion",
            &format!("{version:?}"),
            &format!("strconv.ParseUint: parsing {version:?}: invalid syntax"),
        );
        return Err(refusal::invalid(&call.resource.gvk.group, &call.resource.gvk.kind, &call.name, &[cause]));
    }
    if version != stored.meta("resourceVersion") {
        return Err(conflict(call, refusal::MODIFIED));
    }
    Ok(true)
}

/// What no client can change.
fn keep_system_fields(new: &mut Value, old: &Value) {
    let Some(metadata) = new.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
        "selfLink",
        "resourceVersion",
    ] {
        match old["metadata"].get(field) {
            Some(_) if field == "uid" && metadata.contains_key("uid") => None,
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None if field == "generateName" => None,
            None => metadata.remove(field),
        };
    }
}
