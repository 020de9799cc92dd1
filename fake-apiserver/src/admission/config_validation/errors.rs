//! Field errors as the apiserver words them.

use apimachinery::status::Cause;
use serde_json::Value;

use super::super::golang::quote;

/// The errors found so far.
#[derive(Default)]
pub(crate) struct Errors(Vec<Cause>);

impl Errors {
    fn push(&mut self, reason: &str, field: &str, message: String) {
        self.0.push(Cause { reason: reason.to_owned(), message, field: field.to_owned() });
    }

    pub(crate) fn required(&mut self, field: &str, why: &str) {
        self.push("FieldValueRequired", field, with("Required value".to_owned(), why));
    }

    /// `value` as it is printed: a number, or JSON.
    pub(crate) fn invalid(&mut self, field: &str, value: &str, why: &str) {
        self.push("FieldValueInvalid", field, with(format!("Invalid value: {value}"), why));
    }

    pub(crate) fn invalid_text(&mut self, field: &str, value: &str, why: &str) {
        self.invalid(field, &quote(value), why);
    }

    pub(crate) fn duplicate(&mut self, field: &str, value: &str) {
        self.push("FieldValueDuplicate", field, format!("Duplicate value: {}", quote(value)));
    }

    pub(crate) fn forbidden(&mut self, field: &str, why: &str) {
        self.push("FieldValueForbidden", field, with("Forbidden".to_owned(), why));
    }

    pub(crate) fn too_many(&mut self, field: &str, count: usize, most: usize) {
        self.push("FieldValueTooMany", field, format!("Too many: {count}: must have at most {most} items"));
    }

    pub(crate) fn not_supported(&mut self, field: &str, value: &str, supported: &[&str]) {
        let supported: Vec<_> = supported.iter().map(|one| quote(one)).collect();
        let message = format!("Unsupported value: {}: supported values: {}", quote(value), supported.join(", "));
        self.push("FieldValueNotSupported", field, message);
    }

    pub(crate) fn into_causes(self) -> Vec<Cause> {
        self.0
    }
}

fn with(text: String, why: &str) -> String {
    if why.is_empty() { text } else { format!("{text}: {why}") }
}

/// The strings of a list.
pub(crate) fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|one| one.as_str().unwrap_or_default()).collect()
}

/// What is wrong with a DNS subdomain.
pub(crate) fn dns1123_subdomain(text: &str) -> Vec<String> {
    let mut why = Vec::new();
    if text.len() > 253 {
        why.push("must be no more than 253 characters".to_owned());
    }
    if !text.split('.').all(|label| is_label(label, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())) {
        why.push("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')".to_owned());
    }
    why
}

/// What is wrong with a DNS-1035 label.
pub(crate) fn dns1035_label(text: &str) -> Vec<String> {
    let mut why = Vec::new();
    if text.len() > 63 {
        why.push("must be no more than 63 characters".to_owned());
    }
    if !is_label(text, |byte| byte.is_ascii_lowercase()) {
        why.push("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')".to_owned());
    }
    why
}

fn is_label(text: &str, first: impl Fn(u8) -> bool) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().next().is_some_and(first)
        && text.bytes().last().is_some_and(inner)
        && text.bytes().all(|byte| inner(byte) || byte == b'-')
}
