//! What a pod may not have because of the operating system that it is for.

use apimachinery::value::Value;

use super::container;
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{flag, is_set, object, sub, text};

/// Fields of a pod's security context that are Linux' own, in the order in which they are reported; the names of those that are
/// fields of the spec itself begin with a dot.
const POD_FIELDS: [&str; 15] = [
    "appArmorProfile",
    "seLinuxOptions",
    ".hostUsers",
    ".hostPID",
    ".hostIPC",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    ".shareProcessNamespace",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
];

/// The same of containers.
const CONTAINER_FIELDS: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

/// `spec.os` and what follows from it.
pub(crate) fn operating_system(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(os) = object(spec, "os") else { return };
    let os_path = path.child("os");
    match text(os, "name") {
        "" => errors.push(FieldError::required(&os_path.child("name"), "")),
        "linux" => linux(spec, path, errors),
        "windows" => windows(spec, path, errors),
        other => errors.push(FieldError::not_supported(&os_path, other, &["linux", "windows"])),
    }
}

fn linux(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let detail = "windows options cannot be set for a linux pod";
    let context_path = path.child("securityContext");
    if sub(spec, "securityContext").get("windowsOptions").is_some() {
        errors.push(FieldError::forbidden(&context_path.child("windowsOptions"), detail));
    }
    each_context(spec, path, &mut |context, path| {
        if context.get("windowsOptions").is_some() {
            errors.push(FieldError::forbidden(&path.child("windowsOptions"), detail));
        }
    });
}

fn windows(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let detail = "cannot be set for a windows pod";
    let context = sub(spec, "securityContext");
    let context_path = path.child("securityContext");
    for field in POD_FIELDS {
        match field.strip_prefix('.') {
            Some(field @ ("hostPID" | "hostIPC")) if !is_set(spec, field) => {}
            Some(field) if spec.get(field).is_some() => errors.push(FieldError::forbidden(&path.child(field), detail)),
            None if context.get(field).is_some() => {
                errors.push(FieldError::forbidden(&context_path.child(field), detail));
            }
            _ => {}
        }
    }
    each_context(spec, path, &mut |context, path| {
        for field in CONTAINER_FIELDS {
            if context.get(field).is_some() {
                errors.push(FieldError::forbidden(&path.child(field), detail));
            }
        }
    });
}

fn each_context(spec: &Value, path: &Path<'_>, visit: &mut dyn FnMut(&Value, &Path<'_>)) {
    container::each(spec, path, &mut |container, path| {
        if let Some(context) = object(container, "securityContext") {
            visit(context, &path.child("securityContext"));
        }
    });
}

/// Containers that are processes of a Windows host: all of a pod's or none, and with the host's network.
pub(crate) fn host_process(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let of = |owner: &Value| flag(sub(sub(owner, "securityContext"), "windowsOptions"), "hostProcess");
    let of_pod = of(spec);
    let (mut all, mut on_host) = (0, 0);
    container::each(spec, path, &mut |container, path| {
        all += 1;
        let own = of(container);
        if let (Some(of_pod), Some(own)) = (of_pod, own)
            && of_pod != own
        {
            let path = path.child("securityContext");
            let path = path.child("windowsOptions");
            let detail = format!("pod hostProcess value must be identical if both are specified, was {of_pod}");
            errors.push(FieldError::invalid(&path.child("hostProcess"), &Value::from(own), detail));
        }
        on_host += usize::from(own.or(of_pod).unwrap_or(false));
    });
    if on_host == 0 {
        return;
    }
    if on_host != all {
        let detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.push(FieldError::invalid_str(path, "", detail));
    }
    if !is_set(spec, "hostNetwork") {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.push(FieldError::invalid(&path.child("hostNetwork"), &Value::from(false), detail));
    }
}
