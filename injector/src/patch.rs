//! The patch: JSON Patch operations (RFC 6902), made from what was inserted where.

pub(crate) mod diff;

use apimachinery::value::Value;
use serde::Serialize;

/// One operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    /// Puts a value at a member, or inserts it before a list's index (`-`: at the end).
    Add {
        /// JSON pointer.
        path: String,
        /// What to put there.
        value: Value,
    },
    /// Puts a value in the place of an existing one.
    Replace {
        /// JSON pointer.
        path: String,
        /// What to put there.
        value: Value,
    },
    /// Removes a member or an item.
    Remove {
        /// JSON pointer.
        path: String,
    },
}

impl Operation {
    /// Where it acts.
    pub fn path(&self) -> &str {
        match self {
            Self::Add { path, .. } | Self::Replace { path, .. } | Self::Remove { path } => path,
        }
    }
}

/// The operations as the bytes of a JSON Patch document.
pub fn to_bytes(operations: &[Operation]) -> Vec<u8> {
    // Strings and JSON values: there is nothing in them that cannot be encoded.
    serde_json::to_vec(operations).unwrap_or_default()
}

/// A member's name as a token of a JSON pointer.
pub(crate) fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}
