//! Where the registry asks what objects are: decoding, defaults, validation, managed fields, patches.

use serde_json::Value;

use super::call::Call;
use super::{Gvk, Resource};
use crate::admission::{GroupVersionKind, Rejection, validate_configuration};
use crate::core::Core;
use crate::objects::Target;
use crate::objects::decode::{self, FieldValidation, Format};
use crate::objects::field::{FieldError, invalid_status};
use crate::objects::validation;

/// The kind as the objects' functions name it.
pub(crate) fn target(gvk: &Gvk) -> Target<'_> {
    Target::new(&gvk.group, &gvk.version, &gvk.kind)
}

/// A Status as a rejection.
pub(crate) fn rejection(status: Value) -> Rejection {
    let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(500);
    Rejection { code, status }
}

/// How the body is written, by its content type; a body without one is JSON (`pod-create/unsupported-media`).
fn format(call: &Call) -> Result<Format, Rejection> {
    match super::patch::media_type(&call.content_type) {
        "" | "application/json" => Ok(Format::Json),
        "application/yaml" => Ok(Format::Yaml),
        _ => {
            let known = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
            let message = format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                known.join(", ")
            );
            Err(Rejection::new(415, "UnsupportedMediaType", &message))
        }
    }
}

/// What is done about unknown fields.
fn field_validation(call: &Call) -> FieldValidation {
    FieldValidation::parse(call.query.get("fieldValidation")).unwrap_or_default()
}

/// Reads a body as an object of this kind, with defaults; warnings go to the call.
pub(crate) fn decode(core: &Core, call: &mut Call, gvk: &Gvk, body: &[u8]) -> Result<Value, Rejection> {
    let decoded = decode::decode(target(gvk), body, format(call)?, field_validation(call)).map_err(rejection)?;
    super::admit::merge(&mut call.warnings, decoded.warnings);
    let mut object = decoded.object;
    default(core, gvk, &mut object);
    Ok(object)
}

/// Brings an object that a webhook changed back into the shape of its kind; no defaults.
pub(crate) fn normalize(_core: &Core, kind: &GroupVersionKind, object: Value) -> Result<Value, String> {
    decode::normalize(Target::new(&kind.group, &kind.version, &kind.kind), object).map(|decoded| decoded.object)
}

/// Sets the defaults of a kind.
pub(crate) fn default(_core: &Core, _gvk: &Gvk, _object: &mut Value) {}

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
    let mut errors = validation::create(target(&resource.gvk), object, resource.namespaced);
    errors.extend(validate_webhooks(resource, object, None));
    refuse(resource, object, &errors)
}

/// Refuses a change that is not valid.
pub(crate) fn validate_update(
    resource: &Resource,
    subresource: Option<&super::Subresource>,
    new: &Value,
    old: &Value,
    _warnings: &mut Vec<String>,
) -> Result<(), Rejection> {
    let subresource = subresource.map(|subresource| &*subresource.name).unwrap_or_default();
    let mut errors = validation::update(target(&resource.gvk), new, old, resource.namespaced, subresource);
    errors.extend(validate_webhooks(resource, new, Some(old)));
    refuse(resource, new, &errors)
}

/// Webhook configurations are admission's to judge.
fn validate_webhooks(resource: &Resource, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    match (&*resource.gvk.group, &*resource.gvk.kind) {
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration") => validate_configuration(true, new, old),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => validate_configuration(false, new, old),
        _ => Vec::new(),
    }
}

fn refuse(resource: &Resource, object: &Value, errors: &[FieldError]) -> Result<(), Rejection> {
    if errors.is_empty() {
        return Ok(());
    }
    let name = super::meta::text(&object["metadata"], "name");
    Err(rejection(invalid_status(target(&resource.gvk), name, errors)))
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
