//! Whether an object is valid, and what there is to warn of.

use std::sync::Arc;

use apimachinery::value::Value;

use super::super::call::Call;
use super::super::{Resource, Subresource, admit, meta, structural};
use super::{rejection, target};
use crate::admission::{Rejection, validate_configuration};
use crate::core::Core;
use crate::memo::{SPEC, Same};
use crate::objects::field::{FieldError, invalid_status};
use crate::objects::{memory, validation, warnings};

/// Refuses a new object that is not valid; warnings go to the call.
pub(crate) fn validate_create(core: &Core, call: &mut Call, object: &Value) -> Result<(), Rejection> {
    let resource = &*call.resource;
    if (&*resource.gvk.group, &*resource.gvk.kind) == ("", "Pod") {
        return validate_new_pod(core, call, object);
    }
    let mut errors = validation::create(target(&resource.gvk), object, resource.namespaced);
    errors.extend(structural::validate(core, resource, object, None));
    errors.extend(validate_webhooks(resource, object, None));
    refuse(resource, object, &errors)?;
    admit::merge(&mut call.warnings, warnings::created(target(&resource.gvk), object));
    Ok(())
}

/// The same for a pod, whose spec is validated once for all pods that share it.
fn validate_new_pod(core: &Core, call: &mut Call, object: &Value) -> Result<(), Rejection> {
    let memory = call.memory(core);
    let part = validation::PodPart::of(object);
    let judge = || {
        let errors = part.validate();
        let warnings = if errors.is_empty() { part.warnings() } else { Vec::new() };
        Arc::new(memory::Judged { errors, warnings })
    };
    let judged = memory.map_or_else(judge, |memory| {
        let question = memory::Part {
            spec: Same(part.spec.clone()),
            annotations: Same(part.annotations.clone()),
            name: part.name.to_owned(),
        };
        memory.judged.get(&question).unwrap_or_else(|| {
            let judged = judge();
            memory.judged.put(question, Arc::clone(&judged), SPEC);
            judged
        })
    });
    let texts_of = |field: &str| Same(object["metadata"][field].clone());
    let labels = memory.map(|memory| (memory, [texts_of("labels"), texts_of("annotations")]));
    let sound = labels.as_ref().is_some_and(|(memory, labels)| memory.sound.get(labels).is_some());
    let mut errors = validation::pod_metadata(object, sound);
    if let Some((memory, labels)) = labels.filter(|_| errors.is_empty() && !sound) {
        memory.sound.put(labels, (), SPEC);
    }
    errors.extend_from_slice(&judged.errors);
    refuse(&call.resource, object, &errors)?;
    admit::merge(&mut call.warnings, warnings::of_name(object));
    admit::merge(&mut call.warnings, judged.warnings.clone());
    Ok(())
}

/// Refuses a change that is not valid.
pub(crate) fn validate_update(
    core: &Core,
    resource: &Resource,
    subresource: Option<&Subresource>,
    new: &Value,
    old: &Value,
    texts: &mut Vec<String>,
) -> Result<(), Rejection> {
    let subresource = subresource.map(|subresource| &*subresource.name).unwrap_or_default();
    let mut errors = validation::update(target(&resource.gvk), new, old, resource.namespaced, subresource);
    errors.extend(structural::validate(core, resource, new, Some(old)));
    errors.extend(validate_webhooks(resource, new, Some(old)));
    refuse(resource, new, &errors)?;
    admit::merge(texts, warnings::warnings(target(&resource.gvk), new));
    Ok(())
}

/// Webhook configurations and policies are admission's to judge.
fn validate_webhooks(resource: &Resource, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    match &*resource.gvk.group {
        "admissionregistration.k8s.io" => validate_configuration(&resource.gvk.kind, new, old),
        _ => Vec::new(),
    }
}

fn refuse(resource: &Resource, object: &Value, errors: &[FieldError]) -> Result<(), Rejection> {
    if errors.is_empty() {
        return Ok(());
    }
    let name = meta::text(&object["metadata"], "name");
    Err(rejection(invalid_status(target(&resource.gvk), name, errors)))
}
