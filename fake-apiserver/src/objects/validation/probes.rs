//! Probes and lifecycle handlers.

use apimachinery::value::Value;

use super::container::port_number;
use super::meta::invalid_each;
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{int, list, object, sub, text};
use crate::objects::names;

/// The three probes of a container.
pub(crate) fn all(container: &Value, grace: Option<i64>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = object(container, field) else { continue };
        let path = path.child(field);
        one(probe, grace, &path, errors);
        if field == "readinessProbe" {
            if let Some(seconds) = probe.get("terminationGracePeriodSeconds") {
                let path = path.child("terminationGracePeriodSeconds");
                errors.push(FieldError::invalid(&path, seconds, "must not be set for readinessProbes"));
            }
        } else {
            let threshold = int(probe, "successThreshold").unwrap_or(0);
            if threshold != 1 {
                let path = path.child("successThreshold");
                errors.push(FieldError::invalid(&path, &Value::from(threshold), "must be 1"));
            }
        }
    }
}

fn one(probe: &Value, grace: Option<i64>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], grace, path, errors);
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        non_negative(probe, field, path, errors);
    }
    if let Some(seconds) = int(probe, "terminationGracePeriodSeconds").filter(|seconds| *seconds <= 0) {
        let path = path.child("terminationGracePeriodSeconds");
        errors.push(FieldError::invalid(&path, &Value::from(seconds), "must be greater than 0"));
    }
}

/// An integer that may not be below zero.
pub(crate) fn non_negative(parent: &Value, field: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(value) = int(parent, field).filter(|value| *value < 0) {
        let detail = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(&path.child(field), &Value::from(value), detail));
    }
}

/// `lifecycle` of a container.
pub(crate) fn lifecycle(container: &Value, grace: Option<i64>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(lifecycle) = object(container, "lifecycle") else { return };
    let path = path.child("lifecycle");
    for field in ["postStart", "preStop"] {
        if let Some(hook) = object(lifecycle, field) {
            handler(hook, &["exec", "httpGet", "tcpSocket", "sleep"], grace, &path.child(field), errors);
        }
    }
}

fn handler(parent: &Value, kinds: &[&str], grace: Option<i64>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut handlers = 0;
    for kind in kinds {
        let Some(action) = object(parent, kind) else { continue };
        let path = path.child(kind);
        handlers += 1;
        if handlers > 1 {
            errors.push(FieldError::forbidden(&path, "may not specify more than 1 handler type"));
            continue;
        }
        match *kind {
            "exec" => {
                if list(action, "command").is_empty() {
                    errors.push(FieldError::required(&path.child("command"), ""));
                }
            }
            "httpGet" => http_get(action, &path, errors),
            "grpc" => port_number(int(action, "port").unwrap_or(0), &path.child("port"), errors),
            "sleep" => sleep(action, grace, &path, errors),
            _ => port_or_name(sub(action, "port"), &path.child("port"), errors),
        }
    }
    if handlers == 0 {
        errors.push(FieldError::required(path, "must specify a handler type"));
    }
}

fn http_get(action: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if text(action, "path").is_empty() {
        errors.push(FieldError::required(&path.child("path"), ""));
    }
    port_or_name(sub(action, "port"), &path.child("port"), errors);
    let scheme = text(action, "scheme");
    if !matches!(scheme, "HTTP" | "HTTPS") {
        errors.push(FieldError::not_supported(&path.child("scheme"), scheme, &["HTTP", "HTTPS"]));
    }
    for header in list(action, "httpHeaders") {
        let name = text(header, "name");
        invalid_each(errors, &path.child("httpHeaders"), name, names::http_header_name(name));
    }
}

fn sleep(action: &Value, grace: Option<i64>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let seconds = int(action, "seconds").unwrap_or(0);
    if let Some(grace) = grace.filter(|grace| seconds < 0 || seconds > *grace) {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        errors.push(FieldError::invalid(path, &Value::from(seconds), detail));
    }
}

/// A port by number or by name.
pub(crate) fn port_or_name(port: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match port {
        Value::String(name) => invalid_each(errors, path, name, names::port_name(name)),
        other => port_number(other.as_i64().unwrap_or(0), path, errors),
    }
}
