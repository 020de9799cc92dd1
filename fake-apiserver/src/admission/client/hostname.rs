//! Does a certificate stand for a host: crypto/x509's rules and texts.

use std::fmt::Write as _;
use std::net::IpAddr;

use admission::certificate::Certificate;

/// Checks the host of the URL, or the service's name, against the certificate.
///
/// # Errors
/// Go's text (vectors `failure/tls-wrong-san-*`, `failure/tls-no-san-*`, `service-ref/externalname`).
pub(crate) fn verify(certificate: &Certificate, host: &str) -> Result<(), String> {
    let ip = host.parse::<IpAddr>();
    if let Ok(ip) = &ip
        && certificate.ip_addresses.contains(ip)
    {
        return Ok(());
    }
    let wanted = host.to_ascii_lowercase();
    if ip.is_err() && certificate.dns_names.iter().any(|pattern| matches(pattern, &wanted)) {
        return Ok(());
    }
    // A name in the subject alone no longer counts.
    if !certificate.has_san && !host.is_empty() && certificate.common_name.eq_ignore_ascii_case(host) {
        return Err("x509: certificate relies on legacy Common Name field, use SANs instead".to_owned());
    }
    if ip.is_ok() {
        return Err(if certificate.ip_addresses.is_empty() {
            format!("x509: cannot validate certificate for {host} because it doesn't contain any IP SANs")
        } else {
            let valid = join(certificate.ip_addresses.iter().map(ToString::to_string));
            format!("x509: certificate is valid for {valid}, not {host}")
        });
    }
    if certificate.dns_names.is_empty() {
        return Err(format!("x509: certificate is not valid for any names, but wanted to match {host}"));
    }
    if certificate.dns_names.len() >= 100 {
        let count = certificate.dns_names.len();
        return Err(format!("x509: certificate is valid for {count} names, but none matched {host}"));
    }
    let valid = join(certificate.dns_names.iter().cloned());
    Err(format!("x509: certificate is valid for {valid}, not {host}"))
}

fn join(names: impl Iterator<Item = String>) -> String {
    let mut out = String::new();
    for (index, name) in names.enumerate() {
        let _ = write!(out, "{}{name}", if index == 0 { "" } else { ", " });
    }
    out
}

/// A `*` stands for the whole first label and nothing else.
fn matches(pattern: &str, host: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let pattern = pattern.strip_suffix('.').unwrap_or(&pattern);
    let host = host.strip_suffix('.').unwrap_or(host);
    if !valid_host(pattern, true) || !valid_host(host, false) {
        return pattern == host && !host.is_empty() && !pattern.contains('*');
    }
    match pattern.strip_prefix("*.") {
        Some(rest) => host.split_once('.').is_some_and(|(_, parent)| parent == rest),
        None => pattern == host,
    }
}

fn valid_host(name: &str, pattern: bool) -> bool {
    let name = if pattern { name } else { name.strip_suffix('.').unwrap_or(name) };
    !name.is_empty()
        && name.split('.').enumerate().all(|(index, label)| {
            (pattern && index == 0 && label == "*")
                || (!label.is_empty()
                    && !label.starts_with('-')
                    && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':')))
        })
}
