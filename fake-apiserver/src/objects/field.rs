//! Errors about one field of an object, and the `422 Invalid` status that gathers them.

use std::fmt::Write as _;

use apimachinery::go::quote;
use apimachinery::value::{Value, json};

use super::Target;

/// The place of a field in an object, kept as a chain on the stack: text only when an error needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    /// A field of the object itself, for example `spec`.
    pub(crate) const fn root(name: &'a str) -> Self {
        Self { parent: None, step: Step::Field(name) }
    }

    /// A field of the object at this path: `spec` gives `spec.containers`.
    pub(crate) const fn child(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Field(name) }
    }

    /// An element of the list at this path: `spec.containers[0]`.
    pub(crate) const fn index(&'a self, index: usize) -> Path<'a> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    /// A key of the map at this path: `data[key]`.
    pub(crate) const fn key(&'a self, key: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    fn write(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.write(out);
        }
        match self.step {
            Step::Field(name) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(name);
            }
            Step::Index(index) => {
                let _ = write!(out, "[{index}]");
            }
            Step::Key(key) => {
                let _ = write!(out, "[{key}]");
            }
        }
    }
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

/// What is wrong with a field; decides the cause's `reason` and how the message begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorType {
    /// `Required value`
    Required,
    /// `Invalid value: <value>`
    Invalid,
    /// `Unsupported value: <value>`
    NotSupported,
    /// `Duplicate value: <value>`
    Duplicate,
    /// `Not found: <value>`
    NotFound,
    /// `Forbidden`
    Forbidden,
    /// `Too long`
    TooLong,
    /// `Too many: <value>`
    TooMany,
    /// `Invalid value: <value>`, of another type than it should be.
    TypeInvalid,
}

impl ErrorType {
    const fn text(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::NotFound => "Not found",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotFound => "FieldValueNotFound",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

/// One thing that is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldError {
    /// What kind of error this is.
    pub(crate) error_type: ErrorType,
    /// The field, for example `spec.containers[0].name`.
    pub(crate) field: String,
    /// The value as the apiserver prints it (a quoted string, a number, JSON); empty for types that print none.
    pub(crate) value: String,
    /// The explanation; may be empty.
    pub(crate) detail: String,
}

impl FieldError {
    fn new(error_type: ErrorType, path: &Path<'_>, value: String, detail: impl Into<String>) -> Self {
        Self { error_type, field: path.to_string(), value, detail: detail.into() }
    }

    /// A field that must be there and is not.
    pub(crate) fn required(path: &Path<'_>, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Required, path, String::new(), detail)
    }

    /// A field whose value is not allowed.
    pub(crate) fn invalid(path: &Path<'_>, value: &Value, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Invalid, path, print_value(value), detail)
    }

    /// [`FieldError::invalid`] for a string.
    pub(crate) fn invalid_str(path: &Path<'_>, value: &str, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Invalid, path, quote(value), detail)
    }

    /// [`FieldError::invalid`] with a value that is printed as it stands (an internal struct as JSON).
    pub(crate) fn invalid_printed(path: &Path<'_>, value: String, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Invalid, path, value, detail)
    }

    /// A field whose value is none of the values it may have, which are named in the order given.
    pub(crate) fn not_supported(path: &Path<'_>, value: &str, supported: &[&str]) -> Self {
        let quoted: Vec<String> = supported.iter().map(|text| quote(text)).collect();
        Self::new(ErrorType::NotSupported, path, quote(value), format!("supported values: {}", quoted.join(", ")))
    }

    /// A value that occurs twice.
    pub(crate) fn duplicate(path: &Path<'_>, value: &Value) -> Self {
        Self::new(ErrorType::Duplicate, path, print_value(value), "")
    }

    /// [`FieldError::duplicate`] for a string.
    pub(crate) fn duplicate_str(path: &Path<'_>, value: &str) -> Self {
        Self::new(ErrorType::Duplicate, path, quote(value), "")
    }

    /// A reference to something that is not there.
    pub(crate) fn not_found(path: &Path<'_>, value: &str) -> Self {
        Self::new(ErrorType::NotFound, path, quote(value), "")
    }

    /// A field that may not be set, or not be changed.
    pub(crate) fn forbidden(path: &Path<'_>, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Forbidden, path, String::new(), detail)
    }

    /// A value longer than `limit` bytes.
    pub(crate) fn too_long(path: &Path<'_>, limit: usize) -> Self {
        Self::new(ErrorType::TooLong, path, String::new(), format!("may not be more than {limit} bytes"))
    }

    /// A list of `actual` elements where at most `limit` may be.
    pub(crate) fn too_many(path: &Path<'_>, actual: usize, limit: usize) -> Self {
        let noun = if limit == 1 { "item" } else { "items" };
        Self::new(ErrorType::TooMany, path, actual.to_string(), format!("must have at most {limit} {noun}"))
    }

    /// The message without the field: `Invalid value: "x": must be …`.
    pub(crate) fn body(&self) -> String {
        let mut out = self.error_type.text().to_owned();
        let printed = match self.error_type {
            ErrorType::Required | ErrorType::Forbidden | ErrorType::TooLong => false,
            _ => !self.value.is_empty(),
        };
        if printed {
            out.push_str(": ");
            out.push_str(&self.value);
        }
        if !self.detail.is_empty() {
            out.push_str(": ");
            out.push_str(&self.detail);
        }
        out
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// The text that gathers errors: one as it stands, several as `[a, b]`, each text once.
pub(crate) fn aggregate(errors: &[FieldError]) -> String {
    let mut seen = std::collections::HashSet::new();
    let mut texts: Vec<String> = Vec::with_capacity(errors.len());
    for error in errors {
        let text = error.to_string();
        if seen.insert(text.clone()) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [one] => one.clone(),
        _ => format!("[{}]", texts.join(", ")),
    }
}

/// The `422 Invalid` status for an object with these errors, as the apiserver sends it.
///
/// `name` is the object's name (or the generated one). The message names each distinct error once, the causes name every one
/// (api-basics/patch-malformed, metadata.uid).
pub(crate) fn invalid_status(target: Target<'_>, name: &str, errors: &[FieldError]) -> Value {
    let causes: Vec<Value> = errors
        .iter()
        .map(|error| json!({"reason": error.error_type.reason(), "message": error.body(), "field": error.field}))
        .collect();
    let mut details = apimachinery::value::Map::new();
    for (key, text) in [("name", name), ("group", target.group), ("kind", target.kind)] {
        if !text.is_empty() {
            details.insert(key.to_owned(), Value::from(text));
        }
    }
    details.insert("causes".to_owned(), Value::from(causes));
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": format!("{} {} is invalid: {}", target.qualified_kind(), quote(name), aggregate(errors)),
        "reason": "Invalid",
        "details": details,
        "code": 422,
    })
}

/// A value as Go prints it in a field error: strings quoted, numbers plain, the rest as compact JSON.
fn print_value(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        other => other.to_string(),
    }
}
