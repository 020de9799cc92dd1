//! Field errors as the apiserver words them.

use apimachinery::value::Value;

use super::super::golang::quote;
use crate::objects::field::{ErrorType, FieldError};
use crate::objects::names;
pub(crate) use crate::objects::names::dns1035_label;

/// The errors found so far.
#[derive(Default)]
pub(crate) struct Errors(Vec<FieldError>);

impl Errors {
    fn push(&mut self, error_type: ErrorType, field: &str, value: String, detail: String) {
        self.0.push(FieldError { error_type, field: field.to_owned(), value, detail });
    }

    pub(crate) fn required(&mut self, field: &str, why: &str) {
        self.push(ErrorType::Required, field, String::new(), why.to_owned());
    }

    /// `value` as it is printed: a number, or JSON.
    pub(crate) fn invalid(&mut self, field: &str, value: &str, why: &str) {
        self.push(ErrorType::Invalid, field, value.to_owned(), why.to_owned());
    }

    pub(crate) fn invalid_text(&mut self, field: &str, value: &str, why: &str) {
        self.invalid(field, &quote(value), why);
    }

    pub(crate) fn duplicate(&mut self, field: &str, value: &str) {
        self.push(ErrorType::Duplicate, field, quote(value), String::new());
    }

    pub(crate) fn forbidden(&mut self, field: &str, why: &str) {
        self.push(ErrorType::Forbidden, field, String::new(), why.to_owned());
    }

    /// A name with an optional prefix, such as that of a match condition.
    pub(crate) fn qualified_name(&mut self, field: &str, name: &str) {
        for why in names::qualified_name(name) {
            self.invalid_text(field, name, &why);
        }
    }

    pub(crate) fn too_many(&mut self, field: &str, count: usize, most: usize) {
        self.push(ErrorType::TooMany, field, count.to_string(), format!("must have at most {most} items"));
    }

    pub(crate) fn not_supported(&mut self, field: &str, value: &str, supported: &[&str]) {
        let supported: Vec<_> = supported.iter().map(|one| quote(one)).collect();
        let detail = format!("supported values: {}", supported.join(", "));
        self.push(ErrorType::NotSupported, field, quote(value), detail);
    }

    pub(crate) fn into_inner(self) -> Vec<FieldError> {
        self.0
    }
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

fn is_label(text: &str, first: impl Fn(u8) -> bool) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().next().is_some_and(first)
        && text.bytes().last().is_some_and(inner)
        && text.bytes().all(|byte| inner(byte) || byte == b'-')
}
