//! The annotations with which profiles of AppArmor and seccomp were given before there were fields.

use std::collections::HashSet;

use apimachinery::go::quote;
use apimachinery::value::Value;

use super::container;
use super::volumes::local_path;
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{entries, list, object, sub, text};

/// Followed by the name of a container.
pub(crate) const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
pub(crate) const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// Followed by the name of a container.
pub(crate) const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// What is wrong with the annotations themselves.
pub(super) fn annotations(pod: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let metadata = sub(pod, "metadata");
    let given = sub(metadata, "annotations");
    if let Some(profile) = given.get(SECCOMP_POD).and_then(Value::as_str) {
        seccomp(profile, &path.child(SECCOMP_POD), errors);
    }
    for (key, profile) in entries(metadata, "annotations").filter(|(key, _)| key.starts_with(SECCOMP_CONTAINER)) {
        seccomp(profile.as_str().unwrap_or_default(), &path.child(key), errors);
    }
    let spec = sub(pod, "spec");
    let of = |field| list(spec, field).iter().map(|container| text(container, "name"));
    let names: HashSet<&str> = container::LISTS.into_iter().flat_map(of).collect();
    for (key, profile) in entries(metadata, "annotations") {
        let Some(name) = key.strip_prefix(APP_ARMOR) else { continue };
        if !names.contains(name) {
            errors.push(FieldError::invalid_str(&path.key(key), name, "container not found"));
        }
        let profile = profile.as_str().unwrap_or_default();
        if !matches!(profile, "" | "runtime/default" | "unconfined") && !profile.starts_with("localhost/") {
            let detail = format!("invalid AppArmor profile name: {}", quote(profile));
            errors.push(FieldError::invalid_str(&path.key(key), profile, detail));
        }
    }
}

fn seccomp(profile: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if matches!(profile, "runtime/default" | "docker/default" | "unconfined") {
        return;
    }
    match profile.strip_prefix("localhost/") {
        Some(place) => local_path(place, path, errors),
        None => errors.push(FieldError::invalid_str(path, profile, "must be a valid seccomp profile")),
    }
}

/// Where the annotations do not say what the fields say.
pub(super) fn fields(pod: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let spec = sub(pod, "spec");
    let windows = text(sub(spec, "os"), "name") == "windows";
    seccomp_fields(pod, path, errors);
    if windows {
        return;
    }
    let annotations = sub(sub(pod, "metadata"), "annotations");
    let of_pod = object(sub(spec, "securityContext"), "appArmorProfile");
    container::each(spec, path, &mut |container, path| {
        let own = object(sub(container, "securityContext"), "appArmorProfile");
        let Some(profile) = own.or(of_pod) else { return };
        let key = format!("{APP_ARMOR}{}", text(container, "name"));
        let Some(annotation) = annotations.get(&key).and_then(Value::as_str) else { return };
        let path = path.child("securityContext");
        let path = path.child("appArmorProfile");
        let same_type = match text(profile, "type") {
            "Unconfined" => annotation == "unconfined",
            "RuntimeDefault" => annotation == "runtime/default",
            "Localhost" => annotation.starts_with("localhost/"),
            _ => true,
        };
        if !same_type {
            let detail = "apparmor type in annotation and field must match";
            errors.push(FieldError::forbidden(&path.child("type"), detail));
        } else if text(profile, "type") == "Localhost"
            && annotation.strip_prefix("localhost/") != profile.get("localhostProfile").and_then(Value::as_str)
        {
            let detail = "apparmor profile in annotation and field must match";
            errors.push(FieldError::forbidden(&path.child("localhostProfile"), detail));
        }
    });
}

fn seccomp_fields(pod: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let annotations = sub(sub(pod, "metadata"), "annotations");
    let spec = sub(pod, "spec");
    let check = |key: &str, context: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>| {
        let annotation = annotations.get(key).and_then(Value::as_str);
        let (Some(annotation), Some(profile)) = (annotation, object(context, "seccompProfile")) else { return };
        let path = path.child("securityContext");
        let path = path.child("seccompProfile");
        let same_type = match text(profile, "type") {
            "Unconfined" => annotation == "unconfined",
            "RuntimeDefault" => matches!(annotation, "runtime/default" | "docker/default"),
            "Localhost" => annotation.starts_with("localhost/"),
            _ => true,
        };
        if !same_type {
            let detail = "seccomp type in annotation and field must match";
            errors.push(FieldError::forbidden(&path.child("type"), detail));
        } else if text(profile, "type") == "Localhost"
            && annotation.strip_prefix("localhost/") != profile.get("localhostProfile").and_then(Value::as_str)
        {
            let detail = "seccomp profile in annotation and field must match";
            errors.push(FieldError::forbidden(&path.child("localhostProfile"), detail));
        }
    };
    check(SECCOMP_POD, sub(spec, "securityContext"), path, errors);
    container::each(spec, path, &mut |container, path| {
        let key = format!("{SECCOMP_CONTAINER}{}", text(container, "name"));
        check(&key, sub(container, "securityContext"), path, errors);
    });
}
