//! Volume mounts and volume devices of a container.

use std::collections::HashSet;

use apimachinery::value::Value;

use super::pod::Pod;
use super::volumes::{local_path, path_no_backsteps};
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{is_set, list, object, sub, text};

/// `volumeMounts` of a container.
pub(crate) fn mounts(pod: &Pod<'_>, container: &Value, parent: &Path<'_>, errors: &mut Vec<FieldError>) {
    let list_path = parent.child("volumeMounts");
    let devices = list(container, "volumeDevices");
    let device_names: HashSet<&str> = devices.iter().map(|device| text(device, "name")).collect();
    let device_paths: HashSet<&str> = devices.iter().map(|device| text(device, "devicePath")).collect();
    let mut seen = HashSet::new();
    for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
        let path = list_path.index(index);
        let (name, mount_path) = (text(mount, "name"), text(mount, "mountPath"));
        let (name_path, mount_path_path) = (path.child("name"), path.child("mountPath"));
        if name.is_empty() {
            errors.push(FieldError::required(&name_path, ""));
        }
        let volume = pod.volume(name);
        if volume.is_none() {
            errors.push(FieldError::not_found(&name_path, name));
        }
        if mount_path.is_empty() {
            errors.push(FieldError::required(&mount_path_path, ""));
        }
        if !seen.insert(mount_path) {
            errors.push(FieldError::invalid_str(&mount_path_path, mount_path, "must be unique"));
        }
        if device_names.contains(name) {
            errors.push(FieldError::invalid_str(&name_path, name, "must not already exist in volumeDevices"));
        }
        if device_paths.contains(mount_path) {
            let detail = "must not already exist as a path in volumeDevices";
            errors.push(FieldError::invalid_str(&mount_path_path, mount_path, detail));
        }
        // The list's path without index is what the apiserver prints for these (pod-validation/subpath-dotdot).
        let (sub_path, expression) = (text(mount, "subPath"), text(mount, "subPathExpr"));
        if !sub_path.is_empty() {
            local_path(sub_path, &list_path.child("subPath"), errors);
        }
        if !expression.is_empty() {
            if !sub_path.is_empty() {
                let detail = "subPathExpr and subPath are mutually exclusive";
                errors.push(FieldError::invalid_str(&path.child("subPathExpr"), expression, detail));
            }
            local_path(expression, &list_path.child("subPathExpr"), errors);
        }
        propagation(mount, container, &list_path, errors);
        recursive_read_only(mount, &list_path, errors);
    }
}

fn propagation(mount: &Value, container: &Value, list_path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(mode) = mount.get("mountPropagation").and_then(Value::as_str) else { return };
    let path = list_path.child("mountPropagation");
    if !["Bidirectional", "HostToContainer", "None"].contains(&mode) {
        let allowed = ["Bidirectional", "HostToContainer", "None"];
        errors.push(FieldError::not_supported(&path, mode, &allowed));
    } else if mode == "Bidirectional" && !is_set(sub(container, "securityContext"), "privileged") {
        let detail = "Bidirectional mount propagation is available only to privileged containers";
        errors.push(FieldError::forbidden(&path, detail));
    }
}

fn recursive_read_only(mount: &Value, list_path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(mode) = mount.get("recursiveReadOnly").and_then(Value::as_str) else { return };
    let path = list_path.child("recursiveReadOnly");
    match mode {
        "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if !is_set(mount, "readOnly") {
                let detail = "may only be specified when readOnly is true";
                errors.push(FieldError::forbidden(&path, detail));
            }
            if mount.get("mountPropagation").and_then(Value::as_str).is_some_and(|mode| mode != "None") {
                let detail = "may only be specified when mountPropagation is None or not specified";
                errors.push(FieldError::forbidden(&path, detail));
            }
        }
        other => errors.push(FieldError::not_supported(&path, other, &["Disabled", "Enabled", "IfPossible"])),
    }
}

/// `volumeDevices` of a container.
pub(crate) fn devices(pod: &Pod<'_>, container: &Value, parent: &Path<'_>, errors: &mut Vec<FieldError>) {
    let list_path = parent.child("volumeDevices");
    let devices = list(container, "volumeDevices");
    if devices.is_empty() {
        return;
    }
    let mounts = list(container, "volumeMounts");
    let mount_names: HashSet<&str> = mounts.iter().map(|mount| text(mount, "name")).collect();
    let mount_paths: HashSet<&str> = mounts.iter().map(|mount| text(mount, "mountPath")).collect();
    let (mut names, mut paths) = (HashSet::new(), HashSet::new());
    for (index, device) in devices.iter().enumerate() {
        let path = list_path.index(index);
        let (name, device_path) = (text(device, "name"), text(device, "devicePath"));
        let (name_path, device_path_path) = (path.child("name"), path.child("devicePath"));
        if name.is_empty() {
            errors.push(FieldError::required(&name_path, ""));
        }
        if names.contains(name) {
            errors.push(FieldError::invalid_str(&name_path, name, "must be unique"));
        }
        match pod.volume(name) {
            Some(volume) => {
                if object(volume, "persistentVolumeClaim").is_none() && object(volume, "ephemeral").is_none() {
                    let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                    errors.push(FieldError::invalid_str(&name_path, name, detail));
                }
            }
            None => errors.push(FieldError::not_found(&name_path, name)),
        }
        if device_path.is_empty() {
            errors.push(FieldError::required(&device_path_path, ""));
        }
        if paths.contains(device_path) {
            errors.push(FieldError::invalid_str(&device_path_path, device_path, "must be unique"));
        }
        let mut backsteps = Vec::new();
        path_no_backsteps(device_path, &device_path_path, &mut backsteps);
        if !device_path.is_empty() && !backsteps.is_empty() {
            let detail = "can not contain backsteps ('..')";
            errors.push(FieldError::invalid_str(&device_path_path, device_path, detail));
        } else {
            paths.insert(device_path);
        }
        if mount_names.contains(name) {
            errors.push(FieldError::invalid_str(&name_path, name, "must not already exist in volumeMounts"));
        }
        if mount_paths.contains(device_path) {
            let detail = "must not already exist as a path in volumeMounts";
            errors.push(FieldError::invalid_str(&device_path_path, device_path, detail));
        }
        if !name.is_empty() {
            names.insert(name);
        }
    }
}
