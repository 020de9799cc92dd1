//! Environment variables and what they may be taken from.

use std::collections::HashMap;

use apimachinery::quantity::Quantity;
use apimachinery::value::Value;

use super::meta::invalid_each;
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{list, object, text};
use crate::objects::names;

/// `env` of a container.
pub(crate) fn variables(container: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (index, variable) in list(container, "env").iter().enumerate() {
        let path = path.index(index);
        let name = text(variable, "name");
        if name.is_empty() {
            errors.push(FieldError::required(&path.child("name"), ""));
        } else {
            invalid_each(errors, &path.child("name"), name, names::env_var_name(name));
        }
        if let Some(from) = object(variable, "valueFrom") {
            value_from(variable, from, &path.child("valueFrom"), errors);
        }
    }
}

fn value_from(variable: &Value, from: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut sources = 0;
    if let Some(selector) = object(from, "fieldRef") {
        sources += 1;
        field_ref(selector, &ENV_FIELDS, &path.child("fieldRef"), errors);
    }
    if let Some(selector) = object(from, "resourceFieldRef") {
        sources += 1;
        resource_field(selector, false, &path.child("resourceFieldRef"), errors);
    }
    for field in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(selector) = object(from, field) {
            sources += 1;
            key_selector(selector, &path.child(field), errors);
        }
    }
    if let Some(selector) = object(from, "fileKeyRef") {
        sources += 1;
        file_key(selector, &path.child("fileKeyRef"), errors);
    }
    let detail = if sources == 0 {
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
    } else if !text(variable, "value").is_empty() {
        "may not be specified when `value` is not empty"
    } else if sources > 1 {
        "may not have more than one field specified at a time"
    } else {
        return;
    };
    errors.push(FieldError::invalid_str(path, "", detail));
}

fn file_key(selector: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (field, format) in
        [("key", names::env_var_name as fn(&str) -> names::Messages), ("volumeName", names::dns1123_label)]
    {
        let value = text(selector, field);
        if value.is_empty() {
            errors.push(FieldError::required(&path.child(field), ""));
        } else {
            invalid_each(errors, &path.child(field), value, format(value));
        }
    }
    let file = text(selector, "path");
    if file.is_empty() {
        errors.push(FieldError::required(&path.child("path"), ""));
    } else {
        super::volumes::path_no_backsteps(file, &path.child("path"), errors);
    }
}

/// The volumes with files of variables have to be there, and to be empty at first.
pub(crate) fn file_volumes(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    // Of two volumes with one name the last counts.
    let volumes: HashMap<&str, &Value> =
        list(spec, "volumes").iter().map(|volume| (text(volume, "name"), volume)).collect();
    super::container::each(spec, path, &mut |container, path| {
        let path = path.child("env");
        for (index, variable) in list(container, "env").iter().enumerate() {
            let from = object(variable, "valueFrom").and_then(|from| object(from, "fileKeyRef"));
            let Some(selector) = from else { continue };
            let name = text(selector, "volumeName");
            let path = path.index(index);
            let path = path.child("valueFrom");
            let path = path.child("fileKeyRef");
            let path = path.child("volumeName");
            match volumes.get(name) {
                None => errors.push(FieldError::not_found(&path, name)),
                Some(volume) if object(volume, "emptyDir").is_none() => {
                    let detail = "referenced volume must be of type emptyDir";
                    errors.push(FieldError::invalid_str(&path, name, detail));
                }
                Some(_) => {}
            }
        }
    });
}

/// `envFrom` of a container.
pub(crate) fn sources(container: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (index, source) in list(container, "envFrom").iter().enumerate() {
        let list_path = path;
        let path = path.index(index);
        let prefix = text(source, "prefix");
        if !prefix.is_empty() {
            invalid_each(errors, &path.child("prefix"), prefix, names::env_var_name(prefix));
        }
        let mut sources = 0;
        for field in ["configMapRef", "secretRef"] {
            let Some(reference) = object(source, field) else { continue };
            sources += 1;
            let path = path.child(field);
            let name = text(reference, "name");
            if name.is_empty() {
                errors.push(FieldError::required(&path.child("name"), ""));
            } else {
                let messages = names::object_name(name, true, names::dns1123_subdomain);
                invalid_each(errors, &path.child("name"), name, messages);
            }
        }
        if sources == 0 {
            errors.push(FieldError::invalid_str(list_path, "", "must specify one of: `configMapRef` or `secretRef`"));
        } else if sources > 1 {
            errors.push(FieldError::invalid_str(list_path, "", "may not have more than one field specified at a time"));
        }
    }
}

fn key_selector(selector: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let name = text(selector, "name");
    invalid_each(errors, &path.child("name"), name, names::dns1123_subdomain(name));
    let key = text(selector, "key");
    if key.is_empty() {
        errors.push(FieldError::required(&path.child("key"), ""));
    } else {
        invalid_each(errors, &path.child("key"), key, names::config_key(key));
    }
}

/// Fields of the pod that an environment variable can show, sorted.
pub(crate) const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Fields of the pod that a file can show, sorted.
pub(crate) const VOLUME_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// Fields of a pod that the downward API knows at all.
const KNOWN_FIELDS: [&str; 6] = [
    "metadata.annotations",
    "metadata.labels",
    "spec.restartPolicy",
    "spec.schedulerName",
    "status.phase",
    "spec.host",
];

/// A reference to a field of the pod.
pub(crate) fn field_ref(selector: &Value, allowed: &[&str], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (version, field) = (text(selector, "apiVersion"), text(selector, "fieldPath"));
    for (name, value) in [("apiVersion", version), ("fieldPath", field)] {
        if value.is_empty() {
            errors.push(FieldError::required(&path.child(name), ""));
            return;
        }
    }
    let field_path = path.child("fieldPath");
    let subscripted = field
        .strip_suffix(']')
        .and_then(|field| field.split_once("['"))
        .map(|(base, rest)| (base, rest.strip_suffix('\'').unwrap_or(rest)));
    let trouble = if version != "v1" {
        Some(format!("unsupported pod version: {version}"))
    } else if let Some((base, _)) = subscripted {
        (!matches!(base, "metadata.annotations" | "metadata.labels"))
            .then(|| format!("field label does not support subscript: {field}"))
    } else {
        (!ENV_FIELDS.contains(&field) && !KNOWN_FIELDS.contains(&field))
            .then(|| format!("field label not supported: {field}"))
    };
    if let Some(trouble) = trouble {
        let detail = format!("error converting fieldPath: {trouble}");
        errors.push(FieldError::invalid_str(&field_path, field, detail));
        return;
    }
    match subscripted {
        Some(("metadata.annotations", key)) => {
            let key = key.to_lowercase();
            invalid_each(errors, path, &key, names::qualified_name(&key));
        }
        Some((_, key)) => invalid_each(errors, path, key, names::qualified_name(key)),
        None => {
            let field = if field == "spec.host" { "spec.nodeName" } else { field };
            if !allowed.contains(&field) {
                errors.push(FieldError::not_supported(&field_path, field, allowed));
            }
        }
    }
}

const RESOURCE_FIELDS: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

const DIVISORS: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// A reference to a resource of a container; in a volume the container must be named.
pub(crate) fn resource_field(selector: &Value, volume: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let resource = text(selector, "resource");
    let huge_page = resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if volume && text(selector, "containerName").is_empty() {
        errors.push(FieldError::required(&path.child("containerName"), ""));
    } else if resource.is_empty() {
        errors.push(FieldError::required(&path.child("resource"), ""));
    } else if !RESOURCE_FIELDS.contains(&resource) && !huge_page {
        errors.push(FieldError::not_supported(&path.child("resource"), resource, &RESOURCE_FIELDS));
    }
    let divisor = text(selector, "divisor");
    let Some(printed) = Quantity::parse(divisor).map(|quantity| quantity.to_string()) else { return };
    if printed == "0" {
        return;
    }
    let (allowed, what): (&[&str], &str) = match resource {
        "limits.cpu" | "requests.cpu" => {
            if !["1m", "1"].contains(&printed.as_str()) {
                let detail = "only divisor's values 1m and 1 are supported with the cpu resource";
                errors.push(FieldError::invalid_str(&path.child("divisor"), resource, detail));
            }
            return;
        }
        "limits.memory" | "requests.memory" => (&DIVISORS, "memory"),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => (&DIVISORS, "local ephemeral storage"),
        _ if huge_page => (&DIVISORS, "hugepages"),
        _ => return,
    };
    if !allowed.contains(&printed.as_str()) {
        let detail = format!("only divisor's values {} are supported with the {what} resource", allowed.join(", "));
        errors.push(FieldError::invalid_str(&path.child("divisor"), resource, detail));
    }
}
