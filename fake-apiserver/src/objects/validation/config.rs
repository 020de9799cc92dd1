//! ConfigMaps, Secrets, Services, Namespaces and other kinds with little to validate.

use apimachinery::value::Value;

use super::container::one_of;
use super::meta::invalid_each;
use super::probes::port_or_name;
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{entries, int, list, sub, text};
use crate::objects::names;

/// Most bytes in a ConfigMap or Secret.
const DATA_BYTES: usize = 1024 * 1024;

/// `data` and `binaryData` of a ConfigMap.
pub(crate) fn config_map(object: &Value, errors: &mut Vec<FieldError>) {
    let mut size = 0;
    let binary = sub(object, "binaryData");
    let path = Path::root("data");
    for (key, value) in entries(object, "data") {
        let path = path.key(key);
        invalid_each(errors, &path, key, names::config_key(key));
        if binary.get(key).is_some() {
            errors.push(FieldError::invalid_str(&path, key, "duplicate of key present in binaryData"));
        }
        size += value.as_str().map_or(0, str::len);
    }
    let path = Path::root("binaryData");
    for (key, value) in entries(object, "binaryData") {
        invalid_each(errors, &path.key(key), key, names::config_key(key));
        size += base64_length(value);
    }
    if size > DATA_BYTES {
        errors.push(FieldError::too_long(&Path::root(""), DATA_BYTES));
    }
}

/// Bytes that a base64 text stands for.
fn base64_length(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    text.trim_end_matches('=').len() * 3 / 4
}

/// `data` of a Secret, and the keys that its type asks for.
pub(crate) fn secret(object: &Value, errors: &mut Vec<FieldError>) {
    let path = Path::root("data");
    let mut size = 0;
    for (key, value) in entries(object, "data") {
        invalid_each(errors, &path.key(key), key, names::config_key(key));
        size += base64_length(value);
    }
    if size > DATA_BYTES {
        errors.push(FieldError::too_long(&path, DATA_BYTES));
    }
    let data = sub(object, "data");
    let required: &[&str] = match text(object, "type") {
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/basic-auth" => {
            if data.get("username").is_none() && data.get("password").is_none() {
                errors.push(FieldError::required(&path.key("username"), ""));
                errors.push(FieldError::required(&path.key("password"), ""));
            }
            &[]
        }
        "kubernetes.io/service-account-token" => {
            let annotations = sub(sub(object, "metadata"), "annotations");
            let key = "kubernetes.io/service-account.name";
            if text(annotations, key).is_empty() {
                let root = Path::root("metadata");
                let path = root.child("annotations");
                errors.push(FieldError::required(&path.key(key), ""));
            }
            &[]
        }
        _ => &[],
    };
    for key in required.iter().filter(|key| data.get(**key).is_none()) {
        errors.push(FieldError::required(&path.key(key), ""));
    }
}

/// `spec` of a Service.
pub(crate) fn service(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = sub(object, "spec");
    let path = Path::root("spec");
    let kind = text(spec, "type");
    let ports = list(spec, "ports");
    let ports_path = path.child("ports");
    let headless = text(spec, "clusterIP") == "None";
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.push(FieldError::required(&ports_path, ""));
    }
    if kind == "LoadBalancer" && headless {
        let detail = "may not be set to 'None' for LoadBalancer services";
        errors.push(FieldError::invalid_str(&path.child("clusterIPs[0]"), "None", detail));
    }
    if kind == "ExternalName" {
        let name = text(spec, "externalName");
        if name.is_empty() {
            errors.push(FieldError::required(&path.child("externalName"), ""));
        } else {
            let stripped = name.strip_suffix('.').unwrap_or(name);
            invalid_each(errors, &path.child("externalName"), stripped, names::dns1123_subdomain(stripped));
        }
    }
    let mut port_names = std::collections::HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        service_port(port, ports.len() > 1, &mut port_names, &ports_path.index(index), errors);
    }
    super::meta::labels(spec, "selector", &path, errors);
    one_of(spec, "sessionAffinity", &["ClientIP", "None"], &path, errors);
    for (index, address) in list(spec, "externalIPs").iter().enumerate() {
        let list_path = path.child("externalIPs");
        super::pod::ip(address.as_str().unwrap_or_default(), &list_path.index(index), errors);
    }
    one_of(spec, "type", &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], &path, errors);
    duplicate_ports(ports, &ports_path, errors);
    if kind == "ClusterIP" {
        for (index, port) in ports.iter().enumerate() {
            if int(port, "nodePort").unwrap_or(0) != 0 {
                let path = ports_path.index(index);
                let detail = "may not be used when `type` is 'ClusterIP'";
                errors.push(FieldError::forbidden(&path.child("nodePort"), detail));
            }
        }
    }
}

fn service_port<'a>(
    port: &'a Value,
    named: bool,
    seen: &mut std::collections::HashSet<&'a str>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let name = text(port, "name");
    let name_path = path.child("name");
    if name.is_empty() {
        if named {
            errors.push(FieldError::required(&name_path, ""));
        }
    } else {
        invalid_each(errors, &name_path, name, names::dns1123_label(name));
        if !seen.insert(name) {
            errors.push(FieldError::duplicate_str(&name_path, name));
        }
    }
    let number = int(port, "port").unwrap_or(0);
    super::container::port_number(number, &path.child("port"), errors);
    one_of(port, "protocol", &["SCTP", "TCP", "UDP"], path, errors);
    port_or_name(sub(port, "targetPort"), &path.child("targetPort"), errors);
}

fn duplicate_ports(ports: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = std::collections::HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let key = (text(port, "protocol"), int(port, "port").unwrap_or(0));
        if !seen.insert(key) {
            let printed = format!(
                "{{\"Name\":\"\",\"Protocol\":\"{}\",\"AppProtocol\":null,\"Port\":{},\"TargetPort\":0,\"NodePort\":0}}",
                key.0, key.1
            );
            let error = FieldError::duplicate(&path.index(index), &Value::Null);
            errors.push(FieldError { value: printed, ..error });
        }
    }
}

/// Finalizers of a Namespace's spec.
pub(crate) fn namespace(object: &Value, errors: &mut Vec<FieldError>) {
    let root = Path::root("spec");
    let path = root.child("finalizers");
    for finalizer in list(sub(object, "spec"), "finalizers").iter().filter_map(Value::as_str) {
        invalid_each(errors, &path, finalizer, names::qualified_name(finalizer));
        if !finalizer.contains('/') && !matches!(finalizer, "kubernetes" | "orphan" | "foregroundDeletion") {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid_str(&path, finalizer, detail));
        }
    }
}
