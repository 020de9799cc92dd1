//! `clientConfig`: a URL or a service.

use apimachinery::value::Value;

use super::super::golang::quote;
use super::errors::{Errors, dns1123_subdomain};

const FORM: &str = "; desired format: https://host[/path]";

pub(crate) fn validate(config: &Value, path: &str, errors: &mut Errors) {
    match (config["url"].as_str(), config["service"].as_object()) {
        (Some(url), None) => check_url(url, &format!("{path}.url"), errors),
        (None, Some(_)) => service(&config["service"], &format!("{path}.service"), errors),
        _ => errors.required(path, "exactly one of url or service is required"),
    }
}

/// The parts of a URL as net/url takes it apart.
#[derive(Default)]
struct Parts<'a> {
    scheme: String,
    user: Option<&'a str>,
    host: &'a str,
    query: &'a str,
    fragment: &'a str,
}

fn check_url(url: &str, path: &str, errors: &mut Errors) {
    let parts = match parse(url) {
        Ok(parts) => parts,
        Err(why) => {
            return errors.required(path, &format!("url must be a valid URL: parse {}: {why}{FORM}", quote(url)));
        }
    };
    if parts.scheme != "https" {
        let why = format!("'https' is the only allowed URL scheme{FORM}");
        errors.invalid_text(path, &parts.scheme, &why);
    }
    if parts.host.is_empty() {
        errors.invalid_text(path, parts.host, &format!("host must be specified{FORM}"));
    }
    if let Some(user) = parts.user {
        errors.invalid_text(path, user, "user information is not permitted in the URL");
    }
    if !parts.fragment.is_empty() {
        errors.invalid_text(path, parts.fragment, "fragments are not permitted in the URL");
    }
    if !parts.query.is_empty() {
        errors.invalid_text(path, parts.query, "query parameters are not permitted in the URL");
    }
}

/// net/url's parsing as far as its errors go.
fn parse(url: &str) -> Result<Parts<'_>, String> {
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    if url.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let mut parts = Parts { fragment, ..Parts::default() };
    let mut rest = rest;
    for (index, byte) in rest.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => continue,
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => continue,
            b':' if index == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => {
                parts.scheme = rest[..index].to_ascii_lowercase();
                rest = &rest[index + 1..];
            }
            _ => {}
        }
        break;
    }
    if let Some((before, query)) = rest.split_once('?') {
        rest = before;
        parts.query = query;
    }
    if !rest.starts_with('/') {
        if !parts.scheme.is_empty() {
            return escapes(rest, false).map(|()| parts); // opaque
        }
        let segment = rest.split('/').next().unwrap_or_default();
        if segment.contains(':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    if let Some(after) = rest.strip_prefix("//")
        && (!parts.scheme.is_empty() || !rest.starts_with("///"))
    {
        let end = after.find('/').unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        check_host(host)?;
        parts.user = user;
        parts.host = host;
        rest = path;
    }
    escapes(rest, false)?;
    Ok(parts)
}

fn check_host(host: &str) -> Result<(), String> {
    let port = if host.starts_with('[') {
        let Some(end) = host.rfind(']') else { return Err("missing ']' in host".to_owned()) };
        &host[end + 1..]
    } else {
        host.find(':').map_or("", |_| host.rfind(':').map_or("", |at| &host[at..]))
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    if !port.is_empty() && (!port.starts_with(':') || !digits.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(format!("invalid port {} after host", quote(port)));
    }
    escapes(host, true)
}

fn escapes(text: &str, host: bool) -> Result<(), String> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let hex = bytes.get(at + 1..at + 3);
                if !hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
                    let end = (at + 3).min(bytes.len());
                    let shown = String::from_utf8_lossy(&bytes[at..end]);
                    return Err(format!("invalid URL escape {}", quote(&shown)));
                }
                at += 3;
            }
            byte @ (b' ' | b'"' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}') if host => {
                let shown = char::from(byte).to_string();
                return Err(format!("invalid character {} in host name", quote(&shown)));
            }
            _ => at += 1,
        }
    }
    Ok(())
}

/// Upstream hands name and namespace over in the wrong order, so each error names the other field.
fn service(service: &Value, path: &str, errors: &mut Errors) {
    let text = |key: &str| service[key].as_str().unwrap_or_default();
    if text("namespace").is_empty() {
        errors.required(&format!("{path}.name"), "");
    }
    if text("name").is_empty() {
        errors.required(&format!("{path}.namespace"), "");
    }
    let port = service["port"].as_i64().unwrap_or(443);
    if !(1..=65535).contains(&port) {
        let why = "port is not valid: must be between 1 and 65535, inclusive";
        errors.invalid(&format!("{path}.port"), &port.to_string(), why);
    }
    let at = format!("{path}.path");
    let given = text("path");
    if given.is_empty() || given == "/" {
        return;
    }
    if given == "//" {
        return errors.invalid_text(&at, given, "segment[0] may not be empty");
    }
    if !given.starts_with('/') {
        errors.invalid_text(&at, given, "must start with a '/'");
    }
    let mut first = given.chars();
    first.next();
    let steps = first.as_str();
    let steps = steps.strip_suffix('/').unwrap_or(steps);
    for (index, step) in steps.split('/').enumerate() {
        if step.is_empty() {
            errors.invalid_text(&at, given, &format!("segment[{index}] may not be empty"));
            continue;
        }
        for why in dns1123_subdomain(step) {
            errors.invalid_text(&at, given, &format!("segment[{index}]: {why}"));
        }
    }
}
