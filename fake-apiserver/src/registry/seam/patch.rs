//! What patches make of objects, and applying.

use apimachinery::value::Value;

use super::super::call::Call;
use super::super::{Gvk, admit, structural};
use super::{call_by, default, field_validation, own_defaults, own_target, rejection, target, with_writer};
use crate::admission::Rejection;
use crate::core::Core;
use crate::kinds::old;
use crate::objects::field::{FieldError, Path, invalid_status};
use crate::objects::patch::{self as patches, PatchType};
use crate::objects::{Target, defaults};

/// Checks the options of a PATCH: apply needs a manager, and only apply can be forced.
pub(crate) fn check_patch_options(call: &Call, apply: bool) -> Result<(), Rejection> {
    let mut errors = Vec::new();
    if apply && call.query.get("fieldManager").is_empty() {
        errors.push(FieldError::required(&Path::root("fieldManager"), "is required for apply patch"));
    }
    if !apply && !call.query.get("force").is_empty() {
        errors.push(FieldError::forbidden(&Path::root("force"), "may not be specified for non-apply patch"));
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(rejection(invalid_status(Target::new("meta.k8s.io", "v1", "PatchOptions"), "", &errors)))
}

/// What a patch makes of an object.
pub(crate) fn patch(core: &Core, call: &mut Call, old: &Value) -> Result<Value, Rejection> {
    let kind = own_target(old);
    let renamed = old::now(&call.resource.gvk.group, &call.resource.gvk.version).is_some().then(|| {
        let mut renamed = old.clone();
        renamed["apiVersion"] = kind.api_version().into();
        renamed
    });
    let old = renamed.as_ref().unwrap_or(old);
    let mut object = match PatchType::from_content_type(&call.content_type) {
        Some(PatchType::Apply) => apply(core, call, kind, Some(old))?,
        Some(sort) => {
            let patched = patches::patch(kind, sort, old, &call.body, field_validation(call)).map_err(rejection)?;
            admit::merge(&mut call.warnings, patched.warnings);
            patched.object
        }
        None => return Err(Rejection::new(415, "UnsupportedMediaType", "415: Unsupported Media Type")),
    };
    defaults::apply(kind, &mut object);
    own_defaults(kind, &mut object);
    call_by(&call.resource.gvk, &mut object);
    if call.resource.is_custom() {
        structural::fit(call, &mut object)?;
    }
    Ok(object)
}

/// Server-side apply. `?force=` is true for anything but the words for false.
fn apply(core: &Core, call: &Call, kind: Target<'_>, live: Option<&Value>) -> Result<Value, Rejection> {
    let force = !matches!(call.query.get("force"), "" | "0" | "f" | "F" | "false" | "FALSE" | "False");
    let renamed = applied_long_ago(&call.resource.gvk, kind, &call.body);
    let body = renamed.as_deref().unwrap_or(&call.body);
    with_writer(core, call, |writer| patches::apply(kind, live, body, writer, force)).map_err(rejection)
}

/// What is applied in an old version, with today's `apiVersion`: nothing else of it changes, least of all who owns what.
fn applied_long_ago(gvk: &Gvk, kind: Target<'_>, body: &[u8]) -> Option<Vec<u8>> {
    old::now(&gvk.group, &gvk.version)?;
    let mut applied = apimachinery::yaml::parse(&String::from_utf8_lossy(body)).ok()?;
    if applied["apiVersion"] != gvk.api_version() {
        return None;
    }
    applied["apiVersion"] = kind.api_version().into();
    Some(applied.to_string().into_bytes())
}

/// Server-side apply of an object that is not there.
pub(crate) fn apply_to_nothing(core: &Core, call: &mut Call) -> Result<Value, Rejection> {
    let gvk = call.resource.gvk.clone();
    let mut object = apply(core, call, target(&gvk), None)?;
    default(core, &gvk, &mut object);
    call_by(&gvk, &mut object);
    if call.resource.is_custom() {
        structural::fit(call, &mut object)?;
    }
    Ok(object)
}
