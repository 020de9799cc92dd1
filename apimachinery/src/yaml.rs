//! YAML as Kubernetes reads and prints it.
//!
//! kubectl, the apiserver and Istio read YAML through `sigs.k8s.io/yaml`, which stands on go-yaml v2: YAML 1.1 scalars
//! (`yes`, `on` and `y` are booleans, `0644` is octal, `1_000` is a thousand), `<<` merges, later duplicate keys win,
//! dates stay strings. The result is a JSON value; what JSON cannot hold (`.inf`, `.nan`, a list as a key) is an error.
//!
//! ```text
//! text ──► fast ───────────────────────► Value ──► write ──► text
//!           └─ or else ─► events ► load ──┘            │
//!                                   └── scalar (YAML 1.1 types)
//! ```

mod fast;
mod load;
mod scalar;
#[cfg(test)]
mod tests;
mod write;

use crate::value::Value;

pub use load::Documents;
pub use write::to_string;

/// Containers may be nested this deep; the same limit as `serde_json` sets for JSON.
pub const MAX_DEPTH: usize = 127;

/// What aliases (and the anchors they stand for) may add to a document, in bytes of the expanded value.
pub const MAX_ALIAS_BYTES: usize = 16 << 20;

/// Why a text is not YAML that JSON can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("yaml: line {line}: {message}")]
pub struct Error {
    /// Line of the text, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

/// One document of a multi-document text.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Line on which the document's content begins, from 1.
    pub line: usize,
    /// What it holds; `Value::Null` for an empty one.
    pub value: Value,
}

/// Reads the first document of `text`; an empty text is `Value::Null`. Later documents are not looked at.
///
/// JSON is read as well. A number without a fraction is an integer however it is written (`1.0`, `1e3`), as after the
/// round trip through Go's JSON encoder that `sigs.k8s.io/yaml` makes.
///
/// # Errors
/// On bad syntax, a value that JSON cannot hold, nesting deeper than [`MAX_DEPTH`] or aliases that expand to more than
/// [`MAX_ALIAS_BYTES`].
pub fn parse(text: &str) -> Result<Value, Error> {
    if text.trim_start().starts_with(['{', '['])
        && let Ok(mut value) = serde_json::from_str(text)
    {
        scalar::normalise(&mut value);
        return Ok(value);
    }
    if let Some(value) = fast::first_document(text) {
        return Ok(value);
    }
    match documents(text).next() {
        Some(document) => document.map(|document| document.value),
        None => Ok(Value::Null),
    }
}

/// Reads the documents of `text` one after the other, empty ones included. The iterator ends at the first error.
pub fn documents(text: &str) -> Documents<'_> {
    Documents::new(text)
}
