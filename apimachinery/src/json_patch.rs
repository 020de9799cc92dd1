//! JSON Patch in the dialect of kube-apiserver, which uses evanphx/json-patch v4.
//!
//! The dialect is laxer than RFC 6902 and its error texts reach the client, so both are kept (vectors `patch-semantics`
//! and `failure/patch-*`): `replace` of a missing map key adds it, `add` without a value adds null, negative indices count
//! from the end, the first segment of a path is dropped whether or not a slash stands before it, `test` of null passes on
//! a missing key, unknown members of an operation are ignored. `copy` may add at most [`COPY_LIMIT`] bytes in all.
//!
//! Applying costs the length of the patch plus the length of the arrays that operations insert into or remove from.

mod apply;
#[cfg(test)]
mod tests;

use crate::value::{List, Map, Value};

use crate::go_json;

/// Bytes of JSON that the `copy` operations of one patch may add together; the apiserver's request limit.
pub const COPY_LIMIT: usize = 3 * 1024 * 1024;

/// A decoded patch: a list of operations, not yet looked at more closely than that each is an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch {
    operations: Vec<Map>,
}

/// Why a patch document does not decode or does not apply. `Display` is the apiserver's own text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The document is not a JSON array of objects; the text is that of Go's decoder.
    #[error("{0}")]
    Decode(String),
    /// An operation does not apply to the object; the rest of the patch was not tried.
    #[error("{0}")]
    Apply(String),
    /// A `test` operation found something else.
    #[error("testing value {path} failed: test failed")]
    Test {
        /// The operation's path as written.
        path: String,
    },
}

impl Patch {
    /// Decodes a patch document. `null` is an empty patch, as in Go.
    ///
    /// # Errors
    /// [`Error::Decode`] with the text of Go's decoder.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let value: Value = match serde_json::from_slice(text) {
            Ok(value) => value,
            Err(e) => return Err(Error::Decode(go_json::check(text).err().unwrap_or_else(|| e.to_string()))),
        };
        Self::from_value(value)
    }

    /// The same from a document that is already decoded.
    ///
    /// # Errors
    /// [`Error::Decode`] if it is not an array of objects.
    pub fn from_value(value: Value) -> Result<Self, Error> {
        let items = match value {
            Value::Null => List::new(),
            Value::Array(items) => items,
            other => return Err(mismatch(&other, "jsonpatch.Patch")),
        };
        let operations = items
            .into_iter()
            .map(|item| match item {
                Value::Object(operation) => Ok(operation),
                Value::Null => Ok(Map::new()),
                other => Err(mismatch(&other, "jsonpatch.Operation")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { operations })
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are no operations; such a patch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The document again: an array of operations.
    pub fn into_value(self) -> Value {
        Value::Array(self.operations.into_iter().map(Value::Object).collect())
    }

    /// Applies the operations in order and returns the patched document.
    ///
    /// # Errors
    /// The first operation that does not apply; the document is lost, so callers that go on keep a copy.
    pub fn apply(&self, document: Value) -> Result<Value, Error> {
        apply::apply(&self.operations, document)
    }
}

fn mismatch(value: &Value, target: &str) -> Error {
    let found = crate::go_json::kind_of(value);
    Error::Decode(format!("json: cannot unmarshal {found} into Go value of type {target}"))
}
