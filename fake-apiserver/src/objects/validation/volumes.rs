//! Volumes of a pod.

use std::collections::{HashMap, HashSet};

use apimachinery::value::Value;

use super::environment::{VOLUME_FIELDS, field_ref, resource_field};
use super::meta::invalid_each;
use super::sources;
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{int, list, object, sub, text};
use crate::objects::names;

const FILE_MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

/// Sources in the order in which the apiserver looks at them; the second name is the one it prints for a second source.
const SOURCES: [(&str, &str); 29] = [
    ("emptyDir", "emptyDir"),
    ("hostPath", "hostPath"),
    ("gitRepo", "gitRepo"),
    ("gcePersistentDisk", "gcePersistentDisk"),
    ("awsElasticBlockStore", "awsElasticBlockStore"),
    ("secret", "secret"),
    ("nfs", "nfs"),
    ("iscsi", "iscsi"),
    ("glusterfs", "glusterfs"),
    ("flocker", "flocker"),
    ("persistentVolumeClaim", "persistentVolumeClaim"),
    ("rbd", "rbd"),
    ("cinder", "cinder"),
    ("cephfs", "cephFS"),
    ("quobyte", "quobyte"),
    ("downwardAPI", "downwarAPI"),
    ("fc", "fc"),
    ("flexVolume", "flexVolume"),
    ("configMap", "configMap"),
    ("azureFile", "azureFile"),
    ("vsphereVolume", "vsphereVolume"),
    ("photonPersistentDisk", "photonPersistentDisk"),
    ("portworxVolume", "portworxVolume"),
    ("azureDisk", "azureDisk"),
    ("storageos", "storageos"),
    ("projected", "projected"),
    ("scaleIO", "scaleIO"),
    ("csi", "csi"),
    ("ephemeral", "ephemeral"),
];

/// Texts that a source cannot do without.
const REQUIRED: [(&str, &[&str]); 16] = [
    ("gitRepo", &["repository"]),
    ("gcePersistentDisk", &["pdName"]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("secret", &["secretName"]),
    ("nfs", &["server", "path"]),
    ("iscsi", &["targetPortal"]),
    ("glusterfs", &["endpoints", "path"]),
    ("persistentVolumeClaim", &["claimName"]),
    ("cinder", &["volumeID"]),
    ("flexVolume", &["driver"]),
    ("configMap", &["name"]),
    ("azureFile", &["secretName", "shareName"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
];

/// `spec.volumes`; `pod_name` is empty for a template. Yields the volumes that can be referred to: those without an error.
pub(crate) fn volumes<'a>(
    spec: &'a Value,
    pod_name: &str,
    is_pod: bool,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) -> HashMap<&'a str, &'a Value> {
    let volumes = list(spec, "volumes");
    let mut good: HashMap<&str, &Value> = HashMap::with_capacity(volumes.len());
    // Claims that will be made for this pod: only a named pod's are known.
    let made: HashSet<String> = volumes
        .iter()
        .filter(|volume| !pod_name.is_empty() && object(volume, "ephemeral").is_some())
        .map(|volume| format!("{pod_name}-{}", text(volume, "name")))
        .collect();
    for (index, volume) in volumes.iter().enumerate() {
        let path = path.index(index);
        let name_path = path.child("name");
        let name = text(volume, "name");
        let before = errors.len();
        // The source's errors come first (they are about the volume), the name's after them.
        source(volume, name, pod_name, is_pod, &path, errors);
        if name.is_empty() {
            errors.push(FieldError::required(&name_path, ""));
        } else {
            invalid_each(errors, &name_path, name, names::dns1123_label(name));
        }
        if good.contains_key(name) {
            errors.push(FieldError::duplicate_str(&name_path, name));
        }
        if errors.len() == before {
            good.insert(name, volume);
        }
        let claim = object(volume, "persistentVolumeClaim").map_or("", |claim| text(claim, "claimName"));
        if made.contains(claim) {
            let path = path.child("persistentVolumeClaim");
            let detail = "must not reference a PVC that gets created for an ephemeral volume";
            errors.push(FieldError::invalid_str(&path.child("claimName"), claim, detail));
        }
    }
    good
}

fn source(volume: &Value, name: &str, pod_name: &str, is_pod: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut count = 0;
    for (field, second) in SOURCES.into_iter().chain([("image", "image")]) {
        let Some(source) = object(volume, field) else { continue };
        count += 1;
        if count > 1 {
            errors.push(FieldError::forbidden(&path.child(second), "may not specify more than 1 volume type"));
            continue;
        }
        // What is wrong inside of one is reported under another name.
        let source_path = path.child(if field == "gcePersistentDisk" { "persistentDisk" } else { field });
        for (_, fields) in REQUIRED.iter().filter(|(kind, _)| *kind == field) {
            for required in fields.iter().filter(|required| text(source, required).is_empty()) {
                errors.push(FieldError::required(&source_path.child(required), ""));
            }
        }
        details(field, source, is_pod, &source_path, errors);
        if field == "iscsi" {
            sources::iscsi_name(source, name, &path.child("name"), errors);
        }
        if field == "ephemeral" && !pod_name.is_empty() && !name.is_empty() {
            let claim = format!("{pod_name}-{name}");
            for message in names::dns1123_subdomain(&claim) {
                let detail = format!("PVC name \"{claim}\": {message}");
                errors.push(FieldError::invalid_str(&path.child("name"), name, detail));
            }
        }
    }
    if count == 0 {
        errors.push(FieldError::required(path, "must specify a volume type"));
    }
}

fn details(kind: &str, source: &Value, is_pod: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match kind {
        "emptyDir" if text(source, "sizeLimit").starts_with('-') => {
            let detail = "SizeLimit field must be a valid resource quantity";
            errors.push(FieldError::forbidden(&path.child("sizeLimit"), detail));
        }
        "hostPath" => host_path(source, path, errors),
        "gitRepo" => local_path(text(source, "directory"), &path.child("directory"), errors),
        "gcePersistentDisk" | "awsElasticBlockStore" => {
            // Zero is allowed, whatever the message says.
            range(source, "partition", 0, 255, "must be between 1 and 255, inclusive", path, errors);
        }
        "secret" | "configMap" => {
            mode(source, "defaultMode", path, errors);
            key_paths(source, &path.child("items"), errors);
        }
        "nfs" if !text(source, "path").starts_with('/') => {
            let detail = "must be an absolute path";
            errors.push(FieldError::invalid_str(&path.child("path"), text(source, "path"), detail));
        }
        "iscsi" | "fc" | "quobyte" | "flocker" | "rbd" | "cephfs" | "cinder" | "flexVolume" | "azureDisk"
        | "storageos" | "scaleIO" => sources::details(kind, source, path, errors),
        "downwardAPI" => {
            mode(source, "defaultMode", path, errors);
            for file in list(source, "items") {
                downward_file(file, path, errors);
            }
        }
        "projected" => projected(source, path, errors),
        "csi" => csi(source, path, errors),
        "ephemeral" => ephemeral(source, path, errors),
        "image" => image(source, is_pod, path, errors),
        _ => {}
    }
}

fn range(
    parent: &Value,
    field: &str,
    low: i64,
    high: i64,
    detail: &str,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if let Some(value) = int(parent, field).filter(|value| !(low..=high).contains(value)) {
        errors.push(FieldError::invalid(&path.child(field), &Value::from(value), detail));
    }
}

fn mode(parent: &Value, field: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    range(parent, field, 0, 0o777, FILE_MODE, path, errors);
}

fn host_path(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let place = text(source, "path");
    if place.is_empty() {
        errors.push(FieldError::required(&path.child("path"), ""));
        return;
    }
    path_no_backsteps(place, &path.child("path"), errors);
    let kind = text(source, "type");
    let allowed = ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
    if !allowed.contains(&kind) {
        errors.push(FieldError::not_supported(&path.child("type"), kind, &allowed));
    }
}

fn key_paths(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (index, item) in list(source, "items").iter().enumerate() {
        let path = path.index(index);
        if text(item, "key").is_empty() {
            errors.push(FieldError::required(&path.child("key"), ""));
        }
        file_path(item, &path, errors);
        mode(item, "mode", &path, errors);
    }
}

fn file_path(item: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let place = text(item, "path");
    if place.is_empty() {
        errors.push(FieldError::required(&path.child("path"), ""));
    }
    local_non_reserved_path(place, &path.child("path"), errors);
}

/// One file of a downward API volume; the list's index is not part of the path that the apiserver prints.
fn downward_file(file: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    file_path(file, path, errors);
    let resource = object(file, "resourceFieldRef");
    if let Some(selector) = object(file, "fieldRef") {
        field_ref(selector, &VOLUME_FIELDS, &path.child("fieldRef"), errors);
        if resource.is_some() {
            let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
            errors.push(FieldError::invalid_str(path, "resource", detail));
        }
    } else if let Some(selector) = resource {
        resource_field(selector, true, &path.child("resourceFieldRef"), errors);
    } else {
        errors.push(FieldError::required(path, "one of fieldRef and resourceFieldRef is required"));
    }
    mode(file, "mode", path, errors);
}

fn projected(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    mode(source, "defaultMode", path, errors);
    let sources_path = path.child("sources");
    let mut seen = HashSet::new();
    for (index, projection) in list(source, "sources").iter().enumerate() {
        let source_path = sources_path.index(index);
        let mut kinds = 0;
        for field in ["secret", "configMap"] {
            let Some(named) = object(projection, field) else { continue };
            kinds += 1;
            let field_path = source_path.child(field);
            let name = text(named, "name");
            if name.is_empty() {
                errors.push(FieldError::required(&field_path.child("name"), ""));
            }
            let items_path = field_path.child("items");
            for (index, item) in list(named, "items").iter().enumerate() {
                let one = items_path.index(index);
                if text(item, "key").is_empty() {
                    errors.push(FieldError::required(&one.child("key"), ""));
                }
                file_path(item, &one, errors);
                mode(item, "mode", &one, errors);
                let place = text(item, "path");
                if !place.is_empty() && !seen.insert(place) {
                    errors.push(FieldError::invalid_str(path, name, "conflicting duplicate paths"));
                }
            }
        }
        if let Some(downward) = object(projection, "downwardAPI") {
            kinds += 1;
            let field_path = source_path.child("downwardAPI");
            for file in list(downward, "items") {
                downward_file(file, &field_path, errors);
                let place = text(file, "path");
                if !place.is_empty() && !seen.insert(place) {
                    errors.push(FieldError::invalid_str(path, place, "conflicting duplicate paths"));
                }
            }
        }
        if let Some(token) = object(projection, "serviceAccountToken") {
            kinds += 1;
            service_account_token(token, path, &source_path.child("serviceAccountToken"), errors);
        }
        // clusterTrustBundle and podCertificate are behind gates that are off: they are dropped before anything looks at them.
        if kinds > 1 {
            errors.push(FieldError::forbidden(&source_path, "may not specify more than 1 volume type per source"));
        }
    }
}

fn service_account_token(token: &Value, volume: &Path<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let seconds = int(token, "expirationSeconds").unwrap_or(0);
    let seconds_path = path.child("expirationSeconds");
    if seconds < 600 {
        let detail = "may not specify a duration less than 10 minutes";
        errors.push(FieldError::invalid(&seconds_path, &Value::from(seconds), detail));
    }
    if seconds > 1 << 32 {
        let detail = "may not specify a duration larger than 2^32 seconds";
        errors.push(FieldError::invalid(&seconds_path, &Value::from(seconds), detail));
    }
    file_path(token, volume, errors);
}

fn csi(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let driver = text(source, "driver");
    let driver_path = path.child("driver");
    if driver.is_empty() {
        errors.push(FieldError::required(&driver_path, ""));
    } else {
        if driver.len() > 63 {
            errors.push(FieldError::too_long(&driver_path, 63));
        }
        let lower = driver.to_lowercase();
        invalid_each(errors, &driver_path, driver, names::dns1123_subdomain(&lower));
    }
    if let Some(reference) = object(source, "nodePublishSecretRef") {
        let name = text(reference, "name");
        if name.is_empty() {
            let path = path.child("nodePublishSecretRef");
            errors.push(FieldError::required(&path.child("name"), ""));
        } else {
            // The apiserver leaves the reference out of the path.
            invalid_each(errors, &path.child("name"), name, names::dns1123_subdomain(name));
        }
    }
}

/// Metadata that the template of a claim cannot have, in the order in which they are reported.
const TEMPLATE_FIELDS: [&str; 13] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

fn ephemeral(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let template_path = path.child("volumeClaimTemplate");
    let Some(template) = object(source, "volumeClaimTemplate") else {
        errors.push(FieldError::required(&template_path, ""));
        return;
    };
    let metadata_path = template_path.child("metadata");
    let metadata = sub(template, "metadata");
    super::meta::annotations(metadata, &metadata_path.child("annotations"), errors);
    super::meta::labels(metadata, "labels", &metadata_path, errors);
    for field in TEMPLATE_FIELDS {
        let set = match metadata.get(field) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Number(number)) => number.as_i64() != Some(0),
            Some(_) => true,
        };
        if set {
            errors.push(FieldError::forbidden(&metadata_path.child(field), "cannot be set"));
        }
    }
    let spec_path = template_path.child("spec");
    super::storage::claim_spec(sub(template, "spec"), &spec_path, errors);
}

/// An image volume of a template may get its reference later.
fn image(source: &Value, is_pod: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if is_pod && text(source, "reference").is_empty() {
        errors.push(FieldError::required(&path.child("reference"), ""));
    }
    super::container::one_of(source, "pullPolicy", &["Always", "IfNotPresent", "Never"], path, errors);
}

/// A path that stays below where it starts.
pub(crate) fn local_path(place: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if place.starts_with('/') {
        errors.push(FieldError::invalid_str(path, place, "must be a relative path"));
    }
    path_no_backsteps(place, path, errors);
}

/// A path without `..`.
pub(crate) fn path_no_backsteps(place: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if place.split('/').any(|part| part == "..") {
        errors.push(FieldError::invalid_str(path, place, "must not contain '..'"));
    }
}

fn local_non_reserved_path(place: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    local_path(place, path, errors);
    if place.starts_with("..") && !place.starts_with("../") {
        errors.push(FieldError::invalid_str(path, place, "must not start with '..'"));
    }
}
