//! The formats of names: what is wrong with a text, in the apiserver's words; empty when it is well formed.

/// Messages about a text.
pub(crate) type Messages = Vec<String>;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const RELAXED_SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
const RFC1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// `must be no more than N characters`
pub(crate) fn too_long(limit: usize) -> String {
    format!("must be no more than {limit} characters")
}

/// `must be between LOW and HIGH, inclusive`
pub(crate) fn inclusive_range(low: i64, high: i64) -> String {
    format!("must be between {low} and {high}, inclusive")
}

const fn lower_alnum(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn matches_label(text: &[u8], inner: fn(u8) -> bool) -> bool {
    match text {
        [] => false,
        [first, .., last] if !lower_alnum(*first) || !lower_alnum(*last) => false,
        [only] => lower_alnum(*only),
        _ => text.iter().all(|byte| inner(*byte)),
    }
}

fn label_byte(byte: u8) -> bool {
    lower_alnum(byte) || byte == b'-'
}

fn relaxed_label_byte(byte: u8) -> bool {
    label_byte(byte) || byte == b'_'
}

/// RFC 1123 label: container names, host names.
pub(crate) fn dns1123_label(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 63 {
        messages.push(too_long(63));
    }
    if !matches_label(text.as_bytes(), label_byte) {
        // A text that would pass as a subdomain gets the shorter of the two explanations of a dot.
        messages.push(if is_subdomain(text) { "must not contain dots".to_owned() } else { LABEL.to_owned() });
    }
    messages
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(|part| matches_label(part.as_bytes(), label_byte))
}

/// RFC 1123 subdomain: names of most objects.
pub(crate) fn dns1123_subdomain(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 253 {
        messages.push(too_long(253));
    }
    if !is_subdomain(text) {
        messages.push(SUBDOMAIN.to_owned());
    }
    messages
}

/// RFC 1123 subdomain in which labels may have underscores: DNS search paths.
pub(crate) fn dns1123_subdomain_with_underscore(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 253 {
        messages.push(too_long(253));
    }
    let relaxed = |part: &str| {
        let bytes = part.as_bytes();
        let edge = |byte: Option<&u8>| byte.is_some_and(|byte| lower_alnum(*byte) || *byte == b'_');
        edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|byte| relaxed_label_byte(*byte))
    };
    if !text.split('.').all(relaxed) {
        messages.push(RELAXED_SUBDOMAIN.to_owned());
    }
    messages
}

/// RFC 1035 label: versions of an API, kinds in lower case.
pub(crate) fn dns1035_label(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 63 {
        messages.push(too_long(63));
    }
    let starts = text.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    if !starts || !matches_label(text.as_bytes(), label_byte) {
        messages.push(RFC1035.to_owned());
    }
    messages
}

fn is_name_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alnum = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    alnum(bytes.first())
        && alnum(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// Qualified name: label and annotation keys, finalizers, condition types.
pub(crate) fn qualified_name(text: &str) -> Messages {
    let mut messages = Vec::new();
    let mut parts = text.splitn(3, '/');
    let first = parts.next().unwrap_or_default();
    let name = match (parts.next(), parts.next()) {
        (None, _) => first,
        (Some(name), None) => {
            if first.is_empty() {
                messages.push("prefix part must be non-empty".to_owned());
            } else {
                messages.extend(dns1123_subdomain(first).into_iter().map(|message| format!("prefix part {message}")));
            }
            name
        }
        (Some(_), Some(_)) => {
            return vec![format!(
                "a valid label key {QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        messages.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        messages.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_name_part(name) {
        messages.push(format!("name part {QUALIFIED}"));
    }
    messages
}

/// Value of a label.
pub(crate) fn label_value(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 63 {
        messages.push("must be no more than 63 bytes".to_owned());
    }
    if !text.is_empty() && !is_name_part(text) {
        messages.push(LABEL_VALUE.to_owned());
    }
    messages
}

/// Key of a ConfigMap or Secret.
pub(crate) fn config_key(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 253 {
        messages.push(too_long(253));
    }
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || !text.bytes().all(valid) {
        messages.push("a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')".to_owned());
    }
    if text == "." {
        messages.push("must not be '.'".to_owned());
    } else if text == ".." {
        messages.push("must not be '..'".to_owned());
    } else if text.starts_with("..") {
        messages.push("must not start with '..'".to_owned());
    }
    messages
}

/// Name of an environment variable.
pub(crate) fn env_var_name(text: &str) -> Messages {
    if text.is_empty() {
        return vec!["environment variable name must be non-empty".to_owned()];
    }
    if text.bytes().all(|byte| (0x20..=0x7e).contains(&byte) && byte != b'=') {
        return Vec::new();
    }
    vec!["a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned()]
}

/// Name of an HTTP header.
pub(crate) fn http_header_name(text: &str) -> Messages {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Vec::new();
    }
    vec!["a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')".to_owned()]
}

/// Number of a port.
pub(crate) fn port_number(port: i64) -> Messages {
    if (1..=65535).contains(&port) { Vec::new() } else { vec![inclusive_range(1, 65535)] }
}

/// IANA service name of a port.
pub(crate) fn port_name(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 15 {
        messages.push(too_long(15));
    }
    if !text.bytes().all(label_byte) {
        messages.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        messages.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        messages.push("must not contain consecutive hyphens".to_owned());
    }
    if text.is_empty() || text.starts_with('-') || text.ends_with('-') {
        messages.push("must not begin or end with a hyphen".to_owned());
    }
    messages
}

/// What a text is when it should be an IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ip {
    /// None at all.
    None,
    /// One with zeros in front of a part, which older servers took.
    LeadingZeros(std::net::IpAddr),
    /// `::ffff:1.2.3.4`
    Mapped(std::net::IpAddr),
    /// One as it should be.
    Good(std::net::IpAddr),
}

/// Reads an IP address.
pub(crate) fn ip(text: &str) -> Ip {
    use std::net::{IpAddr, Ipv4Addr};
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) => Ip::Mapped(IpAddr::V4(mapped)),
            None => Ip::Good(IpAddr::V6(address)),
        },
        Ok(address) => Ip::Good(address),
        Err(_) => {
            // A part may have any number of zeros in front, if the rest is a part.
            let parts: Option<Vec<u8>> = text
                .split('.')
                .map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?)
                .collect();
            match parts.as_deref() {
                Some([a, b, c, d]) => Ip::LeadingZeros(IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d))),
                _ => Ip::None,
            }
        }
    }
}

/// Name of most objects; `prefix` for a `generateName`, whose last character may be a hyphen.
pub(crate) fn object_name(text: &str, prefix: bool, format: fn(&str) -> Messages) -> Messages {
    match text.strip_suffix('-') {
        Some(stem) if prefix => format(&format!("{stem}a")),
        _ => format(text),
    }
}

/// Name that may be a part of a path: RBAC objects.
pub(crate) fn path_segment(text: &str) -> Messages {
    if text == "." || text == ".." {
        return vec![format!("may not be '{text}'")];
    }
    ['/', '%'].iter().filter(|part| text.contains(**part)).map(|part| format!("may not contain '{part}'")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_subdomains() {
        assert!(dns1123_label("a").is_empty() && dns1123_label("a-b1").is_empty());
        assert_eq!(dns1123_label("A_b"), [LABEL]);
        assert_eq!(dns1123_label("-a"), [LABEL]);
        assert_eq!(dns1123_label(""), [LABEL]);
        assert_eq!(dns1123_label(&"a".repeat(64)), ["must be no more than 63 characters"]);
        assert!(dns1123_subdomain("a.b-c.d").is_empty());
        assert_eq!(dns1123_subdomain("a..b"), [SUBDOMAIN]);
        assert!(dns1123_subdomain_with_underscore("_tcp.example.com").is_empty());
        assert_eq!(dns1035_label("1a"), [RFC1035]);
    }

    #[test]
    fn qualified_names() {
        assert!(qualified_name("example.com/a.b").is_empty());
        assert_eq!(qualified_name(""), ["name part must be non-empty".to_owned(), format!("name part {QUALIFIED}")]);
        assert_eq!(qualified_name("/a"), ["prefix part must be non-empty"]);
        assert!(qualified_name("a/b/c")[0].starts_with("a valid label key must consist of"));
        assert!(qualified_name("a/b/c")[0].ends_with("(e.g. 'example.com/MyName')"));
        assert_eq!(label_value(&"a".repeat(64)), ["must be no more than 63 bytes"]);
    }

    #[test]
    fn other_formats() {
        assert_eq!(port_name("this-name-is-too-long-x"), ["must be no more than 15 characters"]);
        assert_eq!(env_var_name("a=b").len(), 1);
        assert_eq!(config_key("..x"), ["must not start with '..'"]);
        assert!(object_name("web-", true, dns1123_subdomain).is_empty());
        assert!(!object_name("web-", false, dns1123_subdomain).is_empty());
        assert!(matches!(ip("::1"), Ip::Good(_)) && matches!(ip("::ffff:1.2.3.4"), Ip::Mapped(_)));
        assert!(matches!(ip("010.0.0.1"), Ip::LeadingZeros(address) if address.to_string() == "10.0.0.1"));
        assert_eq!([ip("x"), ip("1.2.3"), ip("1.2.3.256"), ip("1.2.+3.4")], [Ip::None; 4]);
    }
}
