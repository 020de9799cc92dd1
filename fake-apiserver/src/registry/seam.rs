//! Where the registry asks what objects are: decoding, defaults, validation, managed fields, patches.

use serde_json::{Value, json};

use super::call::Call;
use super::{Gvk, Resource};
use crate::admission::{GroupVersionKind, Rejection};
use crate::core::Core;

/// Reads a body as an object of this kind; warnings go to the call.
pub(crate) fn decode(_core: &Core, call: &mut Call, gvk: &Gvk, body: &[u8]) -> Result<Value, Rejection> {
    let value: Value = if call.content_type.contains("yaml") {
        let text = String::from_utf8_lossy(body);
        apimachinery::yaml::parse(&text).map_err(|error| Rejection::bad_request(&error.to_string()))?
    } else {
        serde_json::from_slice(body).map_err(|error| Rejection::bad_request(&error.to_string()))?
    };
    if !value.is_object() {
        return Err(Rejection::bad_request("the object provided is not an object"));
    }
    let mut value = value;
    value["kind"] = (*gvk.kind).into();
    value["apiVersion"] = gvk.api_version().into();
    if !value["metadata"].is_object() {
        value["metadata"] = json!({});
    }
    Ok(value)
}

/// Brings an object that a webhook changed back into the shape of its kind.
pub(crate) fn normalize(_core: &Core, _kind: &GroupVersionKind, object: Value) -> Result<Value, String> {
    Ok(object)
}

/// What strategy and validation say of a new object.
pub(crate) fn validate(_resource: &Resource, _object: &Value, _old: Option<&Value>) -> Result<(), Rejection> {
    Ok(())
}

/// Reads DeleteOptions.
pub(crate) fn decode_options(_core: &Core, _call: &mut Call, body: &[u8]) -> Result<Value, Rejection> {
    serde_json::from_slice(body).map_err(|error| Rejection::bad_request(&error.to_string()))
}

/// Writes down who set what in a new object.
pub(crate) fn track_create(_core: &Core, _call: &Call, _object: &mut Value) {}

/// Writes down who changed what.
pub(crate) fn track_update(_core: &Core, _call: &Call, _new: &mut Value, _old: &Value, _patch: bool) {}

/// What a kind does to every new object.
pub(crate) fn prepare_for_create(_core: &Core, _resource: &Resource, _object: &mut Value) {}

/// What a kind does to every changed object.
pub(crate) fn prepare_for_update(
    _resource: &Resource,
    _subresource: Option<&super::Subresource>,
    _new: &mut Value,
    _old: &Value,
) {
}

/// Refuses a new object that is not valid.
pub(crate) fn validate_create(
    resource: &Resource,
    object: &Value,
    _warnings: &mut Vec<String>,
) -> Result<(), Rejection> {
    validate(resource, object, None)
}

/// Refuses a change that is not valid.
pub(crate) fn validate_update(
    resource: &Resource,
    _subresource: Option<&super::Subresource>,
    new: &Value,
    old: &Value,
    _warnings: &mut Vec<String>,
) -> Result<(), Rejection> {
    validate(resource, new, Some(old))
}

/// The object in the version in which its table holds it.
pub(crate) fn to_storage(resource: &Resource, object: &Value) -> Value {
    if resource.gvk == resource.storage {
        object.clone()
    } else {
        super::convert::to_version(object, &resource.storage)
    }
}

/// The object in the version of the resource.
pub(crate) fn from_storage(resource: &Resource, object: &Value) -> Value {
    if resource.gvk == resource.storage { object.clone() } else { super::convert::to_version(object, &resource.gvk) }
}

/// Whether a write would change nothing but the times in managedFields.
pub(crate) fn is_unchanged(new: &Value, old: &Value) -> bool {
    new == old
}

/// Checks the options of a PATCH.
pub(crate) fn check_patch_options(_call: &Call, _apply: bool) -> Result<(), Rejection> {
    Ok(())
}

/// What a patch makes of an object.
pub(crate) fn patch(_core: &Core, call: &mut Call, old: &Value) -> Result<Value, Rejection> {
    let media = super::patch::media_type(&call.content_type);
    let bad = |error: String| Rejection::bad_request(&error);
    if media == "application/json-patch+json" {
        let patch = apimachinery::json_patch::Patch::parse(&call.body).map_err(|error| bad(error.to_string()))?;
        return patch.apply(old.clone()).map_err(|error| bad(error.to_string()));
    }
    let patch: Value = serde_json::from_slice(&call.body).map_err(|error| bad(error.to_string()))?;
    let gvk = &call.resource.gvk;
    match (media, apimachinery::schema::lookup(&gvk.group, &gvk.version, &gvk.kind)) {
        ("application/strategic-merge-patch+json" | super::patch::APPLY, Some(ty)) => {
            apimachinery::merge::strategic(old.clone(), patch, ty).map_err(|error| bad(error.to_string()))
        }
        _ => Ok(apimachinery::merge::json_merge(old.clone(), patch)),
    }
}

/// Server-side apply of an object that is not there.
pub(crate) fn apply_to_nothing(core: &Core, call: &mut Call) -> Result<Value, Rejection> {
    let gvk = call.resource.gvk.clone();
    let body = call.body.clone();
    decode(core, call, &gvk, &body)
}

/// Writes down who changed what through a subresource with a kind of its own.
pub(crate) fn track_subresource(_core: &Core, _call: &Call, _new: &mut Value, _old: &Value) {}
