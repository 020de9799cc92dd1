//! Where the registry asks what objects are: decoding, defaults, managed fields, validation, patches.

mod patch;
mod valid;

use std::borrow::Cow;
use std::sync::Arc;

use apimachinery::value::{List, Value};
use bytes::Bytes;

use super::call::Call;
use super::{Gvk, Resource};
use crate::admission::{GroupVersionKind, Rejection};
use crate::core::Core;
use crate::kinds::old;
use crate::memo::{SPEC, Same};
use crate::objects::decode::{self, FieldValidation, Format};
use crate::objects::managed_fields::{self, Writer};
use crate::objects::memory;
use crate::objects::{Target, defaults, strategy};
use crate::store::Object;
use crate::version::KubernetesVersion;

pub(crate) use patch::{apply_to_nothing, check_patch_options, patch};
pub(crate) use valid::{validate_create, validate_update};

/// The kind as the objects' functions name it: a version of old times is what it is called today.
pub(crate) fn target(gvk: &Gvk) -> Target<'_> {
    today(&gvk.group, &gvk.version, &gvk.kind)
}

fn today<'a>(group: &'a str, version: &'a str, kind: &'a str) -> Target<'a> {
    let (group, version) = old::now(group, version).unwrap_or((group, version));
    Target::new(group, version, kind)
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
pub(super) fn field_validation(call: &Call) -> FieldValidation {
    FieldValidation::parse(call.query.get("fieldValidation")).unwrap_or_default()
}

/// Reads a body (or what was sent in its place) as an object of this kind, with defaults; warnings go to the call.
pub(crate) fn decode(core: &Core, call: &mut Call, gvk: &Gvk, body: &Bytes) -> Result<Value, Rejection> {
    let question = (call.sent.is_none() && !call.resource.is_custom()).then(|| -> Result<_, Rejection> {
        let (format, validation) = (format(call)?, field_validation(call));
        Ok(memory::Body { kind: parts(gvk), format, validation, body: body.clone() })
    });
    let question = question.transpose()?;
    if let Some(known) = question.as_ref().and_then(|question| core.memory.read.get(question)) {
        super::admit::merge(&mut call.warnings, known.warnings.to_vec());
        call.labels_of_template = known.labels_of_template;
        call.audit_object(&known.object);
        return Ok(known.object);
    }
    call.unseen = question.as_ref().is_some_and(|question| !core.memory.bodies.again(question));
    let decoded = match call.sent.take() {
        Some(object) => decode::normalize(target(gvk), object).map_err(|error| {
            let (kind, version) = (&gvk.kind, &gvk.version);
            Rejection::bad_request(&format!("{kind} in version {version:?} cannot be handled as a {kind}: {error}"))
        })?,
        None => {
            let (mut format, mut body) = (format(call)?, Cow::Borrowed(&**body));
            if let Some(written) = written_long_ago(core, gvk, format, &body) {
                (format, body) = (Format::Json, Cow::Owned(written));
            }
            decode::decode(target(gvk), &body, format, field_validation(call)).map_err(rejection)?
        }
    };
    let warnings = Arc::new(decoded.warnings);
    super::admit::merge(&mut call.warnings, warnings.to_vec());
    let mut object = decoded.object;
    call_by(gvk, &mut object);
    let has_labels = |object: &Value| object["metadata"]["labels"].as_object().is_some_and(|labels| !labels.is_empty());
    let labelled = has_labels(&object);
    default(core, gvk, &mut object);
    call.labels_of_template = !labelled && has_labels(&object);
    call.audit_object(&object);
    if call.resource.is_custom() && call.subresource.as_ref().is_none_or(|subresource| !subresource.foreign) {
        super::structural::fit(call, &mut object)?;
    }
    if let Some((question, memory)) = question.zip(call.memory(core)) {
        let labels_of_template = call.labels_of_template;
        memory.read.put(question, memory::Read { object: object.clone(), warnings, labels_of_template }, body.len());
    }
    Ok(object)
}

/// A body as today's version of its kind would be written; `None` if it is written so, or is no object.
fn written_long_ago(core: &Core, gvk: &Gvk, format: Format, body: &[u8]) -> Option<Vec<u8>> {
    let today = old::now(&gvk.group, &gvk.version);
    let webhooks = &*gvk.group == "admissionregistration.k8s.io" && core.version != KubernetesVersion::default();
    if today.is_none() && !webhooks {
        return None;
    }
    let mut object: Value = match format {
        Format::Json => serde_json::from_slice(body).ok()?,
        Format::Yaml => apimachinery::yaml::parse(&String::from_utf8_lossy(body)).ok()?,
    };
    let says = object["apiVersion"].as_str().unwrap_or_default();
    if !object.is_object() || !says.is_empty() && says != gvk.api_version() {
        return None;
    }
    old::forget_young(gvk, &mut object, core.version);
    old::default(gvk, &mut object);
    if let Some((group, version)) = today {
        object["apiVersion"] = Gvk::new(group, version, &gvk.kind).api_version().into();
    }
    Some(object.to_string().into_bytes())
}

/// Gives an object of an old version the `apiVersion` that it is known by.
fn call_by(gvk: &Gvk, object: &mut Value) {
    if old::now(&gvk.group, &gvk.version).is_some()
        && let Some(fields) = object.as_object_mut()
    {
        fields.insert("apiVersion".to_owned(), gvk.api_version().into());
    }
}

/// Brings an object that a webhook changed back into the shape of its kind; no defaults.
pub(crate) fn normalize(_core: &Core, kind: &GroupVersionKind, object: Value) -> Result<Value, String> {
    let mut object = decode::normalize(today(&kind.group, &kind.version, &kind.kind), object)?.object;
    call_by(&Gvk::new(&kind.group, &kind.version, &kind.kind), &mut object);
    Ok(object)
}

/// Sets the defaults of a kind.
pub(crate) fn default(_core: &Core, gvk: &Gvk, object: &mut Value) {
    defaults::apply(target(gvk), object);
    own_defaults(target(gvk), object);
}

/// What conversions to the internal version add, besides the defaults.
fn own_defaults(target: Target<'_>, object: &mut Value) {
    match (target.group, target.kind) {
        ("apiextensions.k8s.io", _) => super::crds::default(object),
        ("", "Pod") => {
            // The list of addresses begins with the one that is always there.
            let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) else { return };
            let first = status.get("podIP").cloned().filter(|ip| ip.as_str().is_some_and(|ip| !ip.is_empty()));
            if let Some(ip) = first
                && status.get("podIPs").and_then(Value::as_array).is_none_or(List::is_empty)
            {
                status.insert("podIPs".to_owned(), apimachinery::value::json!([{"ip": ip}]));
            }
        }
        _ => {}
    }
}

/// Reads DeleteOptions.
pub(crate) fn decode_options(_core: &Core, _call: &mut Call, body: &[u8]) -> Result<Value, Rejection> {
    serde_json::from_slice(body).map_err(|error| Rejection::bad_request(&error.to_string()))
}

/// The kind that an object says it is of.
fn own_target(object: &Value) -> Target<'_> {
    let api_version = super::meta::text(object, "apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    today(group, version, super::meta::text(object, "kind"))
}

/// Group, version and kind.
fn parts(gvk: &Gvk) -> [Arc<str>; 3] {
    [gvk.group.clone(), gvk.version.clone(), gvk.kind.clone()]
}

/// A new object as admission sees it: with the namespace of the path, without what a client cannot set, and with who set
/// what in it.
pub(crate) fn new_object(core: &Core, call: &Call, mut object: Value) -> Result<Value, Rejection> {
    let gvk = call.subresource.as_ref().map_or(&call.resource.gvk, |subresource| &subresource.gvk);
    with_writer(core, call, |writer| {
        let question = memory::New {
            object: Same(object.clone()),
            kind: parts(gvk),
            namespace: call.resource.namespaced.then(|| call.namespace.clone()),
            manager: writer.manager.to_owned(),
            subresource: writer.subresource.to_owned(),
        };
        let memory = call.memory(core);
        if let Some(mut known) = memory.and_then(|memory| memory.new.get(&question)) {
            managed_fields::set_time(&mut known, writer.time);
            return Ok(known);
        }
        super::meta::check_names(call, &mut object)?;
        super::meta::wipe_system_fields(&mut object);
        managed_fields::update(target(gvk), None, &mut object, writer);
        if let Some(memory) = memory.filter(|_| managed_fields::is_all_of(&object, writer)) {
            memory.new.put(question, object.clone(), call.body.len());
        }
        Ok(object)
    })
}

/// Runs with the one who writes.
fn with_writer<T>(core: &Core, call: &Call, run: impl FnOnce(&Writer<'_>) -> T) -> T {
    let time = core.clock.now().rfc3339();
    let manager = managed_fields::manager(Some(call.query.get("fieldManager")), &call.user_agent);
    let subresource = call.subresource.as_ref().map(|subresource| &*subresource.name).unwrap_or_default();
    run(&Writer { manager, subresource, time: &time })
}

/// Writes down who set what in a new object.
pub(crate) fn track_create(core: &Core, call: &Call, object: &mut Value) {
    let gvk = call.subresource.as_ref().map_or(&call.resource.gvk, |subresource| &subresource.gvk).clone();
    with_writer(core, call, |writer| managed_fields::update(target(&gvk), None, object, writer));
}

/// Writes down who changed what; server-side apply has done so already.
pub(crate) fn track_update(core: &Core, call: &Call, new: &mut Value, old: &Value, patch: bool) {
    if patch && super::patch::media_type(&call.content_type) == super::patch::APPLY {
        return;
    }
    let gvk = call.resource.gvk.clone();
    with_writer(core, call, |writer| managed_fields::update(target(&gvk), Some(old), new, writer));
}

/// Writes down who changed what through a subresource with a kind of its own.
pub(crate) fn track_subresource(core: &Core, call: &Call, new: &mut Value, old: &Value) {
    let gvk = call.resource.gvk.clone();
    with_writer(core, call, |writer| managed_fields::update(target(&gvk), Some(old), new, writer));
}

/// What a kind does to every new object, which has its name and uid by now.
pub(crate) fn prepare_for_create(core: &Core, call: &Call, object: &mut Value) {
    let (resource, memory) = (&call.resource, call.memory(core));
    let uid = super::meta::text(&object["metadata"], "uid").to_owned();
    let spec = object["spec"].clone();
    let class = |spec: &Value| {
        let Some(memory) = memory else { return defaults::qos_class(spec) };
        let question = Same(spec.clone());
        memory.qos.get(&question).unwrap_or_else(|| {
            let class = defaults::qos_class(spec);
            memory.qos.put(question, class, SPEC);
            class
        })
    };
    strategy::prepare_create(target(&resource.gvk), object, &uid, &|| core.clock.now().rfc3339(), &class);
    if resource.is_custom()
        && resource.subresource("status").is_some()
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    if let Some(memory) = memory {
        memory.specs.settle(&spec, object);
    }
}

/// What a kind does to every changed object.
pub(crate) fn prepare_for_update(
    resource: &Resource,
    subresource: Option<&super::Subresource>,
    new: &mut Value,
    old: &Value,
) {
    let subresource = subresource.map(|subresource| &*subresource.name).unwrap_or_default();
    if resource.is_custom() && resource.subresource("status").is_some() {
        keep_custom(subresource, new, old);
    }
    strategy::prepare_update(target(&resource.gvk), new, old, subresource);
}

/// A custom resource with a status: `status` is written through its subresource only, and nothing else is.
fn keep_custom(subresource: &str, new: &mut Value, old: &Value) {
    let (Some(fields), Some(before)) = (new.as_object_mut(), old.as_object()) else { return };
    if subresource == "status" {
        fields.retain(|field, _| matches!(field.as_str(), "status" | "metadata"));
        for (field, value) in before.iter().filter(|(field, _)| !matches!(field.as_str(), "status" | "metadata")) {
            fields.insert(field.clone(), value.clone());
        }
        return;
    }
    match before.get("status") {
        Some(status) => fields.insert("status".to_owned(), status.clone()),
        None => fields.remove("status"),
    };
}

/// The object in the version in which its table holds it.
pub(crate) fn to_storage(resource: &Resource, object: Value) -> Value {
    let mut stored =
        if resource.gvk == resource.storage { object } else { super::convert::to_version(&object, &resource.storage) };
    read_back(&resource.storage, &mut stored);
    stored
}

/// The object as a dry run shows it: as if it had been stored and read back.
pub(crate) fn as_stored(resource: &Resource, mut object: Value) -> Value {
    read_back(&resource.gvk, &mut object);
    object
}

/// What reading an object from etcd adds to it and takes from it.
fn read_back(gvk: &Gvk, object: &mut Value) {
    strategy::forget_empty_lists(target(gvk), object);
    if (&*gvk.group, &*gvk.kind) == ("batch", "Job") {
        defaults::job_labels(object);
    }
}

/// The object in the version of the resource.
pub(crate) fn from_storage(resource: &Resource, object: Value) -> Value {
    if resource.gvk == resource.storage { object } else { super::convert::to_version(&object, &resource.gvk) }
}

/// A stored object in the version of the resource; with its managedFields.
pub(crate) fn read_from_storage(resource: &Resource, object: &Object) -> Arc<Value> {
    as_read(resource, object.whole())
}

/// What is in the store in the version of the resource.
pub(crate) fn as_read(resource: &Resource, object: Arc<Value>) -> Arc<Value> {
    if resource.gvk == resource.storage { object } else { super::convert::to_version(&object, &resource.gvk).into() }
}

/// Whether a write would change nothing but the times in managedFields.
pub(crate) fn is_unchanged(new: &Value, old: &Value) -> bool {
    managed_fields::is_same(old, new)
}
