//! What is inside of volumes whose kinds are seldom used any more.

use apimachinery::value::Value;

use super::meta::invalid_each;
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{entries, int, is_set, list, object, sub, text};
use crate::objects::names;

/// The rules of one source, without the texts that it cannot do without.
pub(super) fn details(kind: &str, source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match kind {
        "iscsi" => iscsi(source, path, errors),
        "fc" => fibre_channel(source, path, errors),
        "quobyte" => quobyte(source, path, errors),
        "flocker" => flocker(source, path, errors),
        "rbd" => {
            monitors(source, path, errors);
            required(source, &["image"], path, errors);
        }
        "cephfs" => monitors(source, path, errors),
        "cinder" => secret(source, path, errors),
        "flexVolume" => flex(source, path, errors),
        "azureDisk" => azure_disk(source, path, errors),
        "storageos" => storage_os(source, path, errors),
        "scaleIO" => required(source, &["gateway", "system", "volumeName"], path, errors),
        _ => {}
    }
}

fn required(source: &Value, fields: &[&str], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in fields.iter().filter(|field| text(source, field).is_empty()) {
        errors.push(FieldError::required(&path.child(field), ""));
    }
}

fn monitors(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if list(source, "monitors").is_empty() {
        errors.push(FieldError::required(&path.child("monitors"), ""));
    }
}

fn secret(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(reference) = object(source, "secretRef") {
        required(reference, &["name"], &path.child("secretRef"), errors);
    }
}

/// The name of a volume and its portal become one name if the initiator is named.
pub(super) fn iscsi_name(source: &Value, name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let length = name.len() + 1 + text(source, "targetPortal").len();
    if source.get("initiatorName").is_some_and(Value::is_string) && length > 64 {
        let detail = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
        errors.push(FieldError::invalid_str(path, name, detail));
    }
}

fn iscsi(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let name = text(source, "iqn");
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("iqn"), ""));
    } else {
        qualified(name, &path.child("iqn"), errors);
    }
    lun(source, path, errors);
    let authenticated = is_set(source, "chapAuthDiscovery") || is_set(source, "chapAuthSession");
    if authenticated && object(source, "secretRef").is_none() {
        errors.push(FieldError::required(&path.child("secretRef"), ""));
    }
    if let Some(name) = source.get("initiatorName").and_then(Value::as_str) {
        qualified(name, &path.child("initiatorname"), errors);
    }
}

fn lun(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(lun) = int(source, "lun").filter(|lun| !(0..=255).contains(lun)) {
        errors.push(FieldError::invalid(&path.child("lun"), &Value::from(lun), names::inclusive_range(0, 255)));
    }
}

/// A name of iSCSI: `iqn.2001-04.com.example:storage`, `eui.` and 16, `naa.` and 32 characters.
fn qualified(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let alphanumeric =
        |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    // Any one character stands where the dot should.
    let after = |text: &str| text.chars().next().map_or(String::new(), |first| text[first.len_utf8()..].to_owned());
    let good = match name.get(..3) {
        Some("iqn") => iqn(name),
        Some("eui") => alphanumeric(&after(&name[3..]), 16),
        Some("naa") => alphanumeric(&after(&name[3..]), 32),
        _ => {
            let detail = "must be valid format starting with iqn, eui, or naa";
            return errors.push(FieldError::invalid_str(path, name, detail));
        }
    };
    if !good {
        errors.push(FieldError::invalid_str(path, name, "must be valid format"));
    }
}

/// `iqn.yyyy-mm.authority:anything`
fn iqn(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("iqn.") else { return false };
    let bytes = rest.as_bytes();
    let digits =
        |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    if !digits(0..4) || bytes.get(4) != Some(&b'-') || !digits(5..7) || bytes.get(7) != Some(&b'.') {
        return false;
    }
    let Some((authority, unique)) = rest.get(8..).and_then(|rest| rest.split_once(':')) else { return false };
    let in_authority = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let in_unique = |letter: char| !letter.is_whitespace() && !matches!(letter, ',' | ';' | '*' | '&' | '$' | '|');
    !authority.is_empty() && authority.bytes().all(in_authority) && !unique.is_empty() && unique.chars().all(in_unique)
}

fn fibre_channel(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (targets, ids) = (list(source, "targetWWNs"), list(source, "wwids"));
    let targets_path = path.child("targetWWNs");
    if targets.is_empty() && ids.is_empty() {
        errors.push(FieldError::required(&targets_path, "must specify either targetWWNs or wwids, but not both"));
    }
    if !targets.is_empty() && !ids.is_empty() {
        let detail = "targetWWNs and wwids can not be specified simultaneously";
        errors.push(FieldError::invalid(&targets_path, sub(source, "targetWWNs"), detail));
    }
    if !targets.is_empty() {
        if int(source, "lun").is_none() {
            errors.push(FieldError::required(&path.child("lun"), "lun is required if targetWWNs is specified"));
        }
        lun(source, path, errors);
    }
}

fn quobyte(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let registry = text(source, "registry");
    let detail = "must be a host:port pair or multiple pairs separated by commas";
    if registry.is_empty() {
        errors.push(FieldError::required(&path.child("registry"), detail));
    } else if text(source, "tenant").len() >= 65 {
        let detail = "must be a UUID and may not exceed a length of 64 characters";
        errors.push(FieldError::required(&path.child("tenant"), detail));
    } else {
        // One error for each, and each quotes the whole registry: of a long one the first few say enough.
        for _ in registry.split(',').filter(|pair| !is_host_port(pair)).take(16) {
            errors.push(FieldError::invalid_str(&path.child("registry"), registry, detail));
        }
    }
    required(source, &["volume"], path, errors);
}

/// `host:port`, an address of IPv6 in brackets.
fn is_host_port(text: &str) -> bool {
    match text.rsplit_once(':') {
        Some((host, _)) if host.starts_with('[') => host.ends_with(']') && host.matches(['[', ']']).count() == 2,
        Some((host, port)) => !host.contains([':', '[', ']']) && !port.contains(['[', ']']),
        None => false,
    }
}

fn flocker(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let name = text(source, "datasetName");
    match (name.is_empty(), text(source, "datasetUUID").is_empty()) {
        (true, true) => errors.push(FieldError::required(path, "one of datasetName and datasetUUID is required")),
        (false, false) => {
            let detail = "datasetName and datasetUUID can not be specified simultaneously";
            errors.push(FieldError::invalid_str(path, "resource", detail));
        }
        _ => {}
    }
    if name.contains('/') {
        errors.push(FieldError::invalid_str(&path.child("datasetName"), name, "must not contain '/'"));
    }
}

fn flex(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child("options");
    for (key, _) in entries(source, "options") {
        let namespace = key.split_once('/').map_or(key.as_str(), |(namespace, _)| namespace);
        let namespace = format!(".{}", namespace.to_lowercase());
        if namespace.ends_with(".kubernetes.io") || namespace.ends_with(".k8s.io") {
            let detail = "kubernetes.io and k8s.io namespaces are reserved";
            errors.push(FieldError::invalid_str(&path.key(key), key, detail));
        }
    }
}

fn azure_disk(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let kind = source.get("kind").and_then(Value::as_str);
    for (field, allowed) in
        [("cachingMode", ["None", "ReadOnly", "ReadWrite"]), ("kind", ["Dedicated", "Managed", "Shared"])]
    {
        let given = source.get(field).and_then(Value::as_str);
        if let Some(given) = given.filter(|given| !allowed.contains(given)) {
            errors.push(FieldError::not_supported(&path.child(field), given, &allowed));
        }
    }
    let uri = text(source, "diskURI");
    let (start, form) = match kind {
        Some("Managed") => (
            "/subscriptions/",
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        ),
        Some(_) => ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"),
        None => return,
    };
    if !uri.starts_with(start) {
        errors.push(FieldError::not_supported(&path.child("diskURI"), uri, &[form]));
    }
}

fn storage_os(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    required(source, &["volumeName"], path, errors);
    for field in ["volumeName", "volumeNamespace"] {
        let name = text(source, field);
        if !name.is_empty() {
            invalid_each(errors, &path.child(field), name, names::dns1123_label(name));
        }
    }
    secret(source, path, errors);
}
