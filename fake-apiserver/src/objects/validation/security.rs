//! Security contexts of pods and containers.

use std::collections::HashSet;

use apimachinery::value::Value;

use super::volumes::local_path;
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{flag, int, is_set, list, object, text};
use crate::objects::internal;
use crate::objects::names;

const MAX_ID: i64 = 2_147_483_647;

fn id(value: Option<i64>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(value) = value.filter(|value| !(0..=MAX_ID).contains(value)) {
        errors.push(FieldError::invalid(path, &Value::from(value), names::inclusive_range(0, MAX_ID)));
    }
}

/// An optional string with a few allowed values.
fn optional(parent: &Value, field: &str, allowed: &[&str], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(value) = parent.get(field).and_then(Value::as_str).filter(|value| !allowed.contains(value)) {
        errors.push(FieldError::not_supported(&path.child(field), value, allowed));
    }
}

/// `spec.securityContext` of a pod.
pub(crate) fn pod(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let empty = Value::Null;
    let context = object(spec, "securityContext").unwrap_or(&empty);
    id(int(context, "fsGroup"), &path.child("fsGroup"), errors);
    id(int(context, "runAsUser"), &path.child("runAsUser"), errors);
    id(int(context, "runAsGroup"), &path.child("runAsGroup"), errors);
    let groups = path.child("supplementalGroups");
    for (index, group) in list(context, "supplementalGroups").iter().enumerate() {
        id(group.as_i64(), &groups.index(index), errors);
    }
    if is_set(spec, "shareProcessNamespace") && is_set(spec, "hostPID") {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(FieldError::invalid(&path.child("shareProcessNamespace"), &Value::from(true), detail));
    }
    sysctls(spec, context, &path.child("sysctls"), errors);
    optional(context, "fsGroupChangePolicy", &["Always", "OnRootMismatch"], path, errors);
    seccomp(context, &path.child("seccompProfile"), errors);
    windows(context, &path.child("windowsOptions"), errors);
    app_armor(context, &path.child("appArmorProfile"), errors);
    optional(context, "supplementalGroupsPolicy", &["Merge", "Strict"], path, errors);
    optional(context, "seLinuxChangePolicy", &["MountOption", "Recursive"], path, errors);
}

fn sysctls(spec: &Value, context: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (index, sysctl) in list(context, "sysctls").iter().enumerate() {
        let path = path.index(index);
        let path = path.child("name");
        let name = text(sysctl, "name");
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
        } else if !is_sysctl(name) {
            let detail = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.push(FieldError::invalid_str(&path, name, detail));
        } else if seen.contains(name) {
            errors.push(FieldError::duplicate_str(&path, name));
        }
        let dotted = name.replace('/', ".");
        if is_set(spec, "hostNetwork") && dotted.starts_with("net.") {
            errors.push(FieldError::invalid_str(&path, name, "may not be specified when 'hostNetwork' is true"));
        } else if is_set(spec, "hostIPC")
            && ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."].iter().any(|ipc| dotted.starts_with(ipc))
        {
            errors.push(FieldError::invalid_str(&path, name, "may not be specified when 'hostIPC' is true"));
        }
        seen.insert(name);
    }
}

fn is_sysctl(name: &str) -> bool {
    let word = |part: &str| {
        let bytes = part.as_bytes();
        let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        edge(bytes.first())
            && edge(bytes.last())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split(['.', '/']).all(word)
}

/// `securityContext` of a container.
pub(crate) fn container(container: &Value, host_users: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(context) = object(container, "securityContext") else { return };
    id(int(context, "runAsUser"), &path.child("runAsUser"), errors);
    id(int(context, "runAsGroup"), &path.child("runAsGroup"), errors);
    let mount = text(context, "procMount");
    if !mount.is_empty() {
        let path = path.child("procMount");
        if !["Default", "Unmasked"].contains(&mount) {
            errors.push(FieldError::not_supported(&path, mount, &["Default", "Unmasked"]));
        } else if host_users && mount == "Unmasked" {
            let detail = "`hostUsers` must be false to use `Unmasked`";
            errors.push(FieldError::invalid_str(&path, mount, detail));
        }
    }
    seccomp(context, &path.child("seccompProfile"), errors);
    if flag(context, "allowPrivilegeEscalation") == Some(false) {
        let printed = || internal::compact("SecurityContext", context);
        if is_set(context, "privileged") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.push(FieldError::invalid_printed(path, printed(), detail));
        }
        let added = object(context, "capabilities").map_or(&[][..], |capabilities| list(capabilities, "add"));
        for capability in added.iter().filter(|capability| capability.as_str() == Some("CAP_SYS_ADMIN")) {
            let detail = format!(
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` {}",
                capability.as_str().unwrap_or_default()
            );
            errors.push(FieldError::invalid_printed(path, printed(), detail));
        }
    }
    windows(context, &path.child("windowsOptions"), errors);
    app_armor(context, &path.child("appArmorProfile"), errors);
}

fn seccomp(context: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(profile) = object(context, "seccompProfile") else { return };
    let kind = text(profile, "type");
    let allowed = ["Localhost", "RuntimeDefault", "Unconfined"];
    if kind.is_empty() {
        errors.push(FieldError::required(&path.child("type"), "type is required when seccompProfile is set"));
    } else if !allowed.contains(&kind) {
        errors.push(FieldError::not_supported(&path.child("type"), kind, &allowed));
    }
    let file_path = path.child("localhostProfile");
    match (kind, profile.get("localhostProfile").and_then(Value::as_str)) {
        ("Localhost", None) => {
            errors.push(FieldError::required(&file_path, "must be set when seccomp type is Localhost"));
        }
        ("Localhost", Some(file)) => local_path(file, &file_path, errors),
        (_, Some(_)) => {
            let detail = "can only be set when seccomp type is Localhost";
            errors.push(FieldError::invalid_printed(&file_path, internal::compact("SeccompProfile", profile), detail));
        }
        (_, None) => {}
    }
}

fn app_armor(context: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(profile) = object(context, "appArmorProfile") else { return };
    let kind = text(profile, "type");
    let file = profile.get("localhostProfile").and_then(Value::as_str);
    let file_path = path.child("localhostProfile");
    match (kind, file) {
        ("Localhost", file) => match file {
            Some(file) if !file.trim().is_empty() && file.trim() != file => {
                errors.push(FieldError::invalid_str(&file_path, file, "must not be padded with whitespace"));
            }
            Some(file) if file.len() > 4095 => errors.push(FieldError::too_long(&file_path, 4095)),
            Some(file) if !file.is_empty() && file.trim() == file => {}
            Some(file) if !file.is_empty() => {
                errors.push(FieldError::invalid_str(&file_path, file, "must not be padded with whitespace"));
            }
            _ => errors.push(FieldError::required(&file_path, "must be set when AppArmor type is Localhost")),
        },
        ("RuntimeDefault" | "Unconfined", Some(file)) => {
            let detail = "can only be set when AppArmor type is Localhost";
            errors.push(FieldError::invalid_str(&file_path, file, detail));
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => {
            errors.push(FieldError::required(&path.child("type"), "type is required when appArmorProfile is set"));
        }
        (other, _) => {
            let allowed = ["Localhost", "RuntimeDefault", "Unconfined"];
            errors.push(FieldError::not_supported(&path.child("type"), other, &allowed));
        }
    }
}

fn windows(context: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(options) = object(context, "windowsOptions") else { return };
    if let Some(name) = options.get("gmsaCredentialSpecName").and_then(Value::as_str) {
        let path = path.child("gmsaCredentialSpecName");
        super::meta::invalid_each(errors, &path, name, names::dns1123_subdomain(name));
    }
    if let Some(credentials) = options.get("gmsaCredentialSpec").and_then(Value::as_str) {
        let path = path.child("gmsaCredentialSpec");
        if credentials.is_empty() {
            errors.push(FieldError::invalid_str(&path, credentials, "gmsaCredentialSpec cannot be an empty string"));
        } else if credentials.len() > 64 * 1024 {
            errors.push(FieldError::invalid_str(&path, credentials, "gmsaCredentialSpec size must be under 64 KiB"));
        }
    }
    if let Some(user) = options.get("runAsUserName").and_then(Value::as_str) {
        let path = path.child("runAsUserName");
        for detail in windows_user(user) {
            errors.push(FieldError::invalid_str(&path, user, detail));
        }
    }
}

/// `DOMAIN\USER`, the domain being optional.
fn windows_user(name: &str) -> Vec<&'static str> {
    if name.is_empty() {
        return vec!["runAsUserName cannot be an empty string"];
    }
    if name.bytes().any(|byte| byte.is_ascii_control()) {
        return vec!["runAsUserName cannot contain control characters"];
    }
    let (domain, user) = match name.split_once('\\') {
        None => (None, name),
        Some((_, user)) if user.contains('\\') => return vec!["runAsUserName cannot contain more than one backslash"],
        Some((domain, user)) => (Some(domain), user),
    };
    let mut trouble = Vec::new();
    if domain.is_some_and(|domain| domain.len() >= 256) {
        trouble.push("runAsUserName's Domain length must be under 256 characters");
    }
    if domain.is_some_and(|domain| !is_net_bios(domain) && !is_dns(domain)) {
        trouble.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
    }
    if user.is_empty() {
        trouble.push("runAsUserName's User cannot be empty");
    } else if user.len() > 104 {
        trouble.push("runAsUserName's User length must not be longer than 104 characters");
    }
    if !user.is_empty() && user.bytes().all(|byte| matches!(byte, b'.' | b' ')) {
        trouble.push("runAsUserName's User cannot contain only periods or spaces");
    }
    if user.contains(['"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']']) {
        trouble.push("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
    }
    trouble
}

/// 1 to 15 letters, the first of which is no dot.
fn is_net_bios(domain: &str) -> bool {
    let allowed = |letter: char| !matches!(letter, '\\' | '/' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    (1..=15).contains(&domain.chars().count()) && !domain.starts_with('.') && domain.chars().all(allowed)
}

fn is_dns(domain: &str) -> bool {
    domain.split('.').all(|label| {
        let bytes = label.as_bytes();
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        bytes.len() <= 63
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    })
}
