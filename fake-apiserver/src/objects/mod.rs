//! What an apiserver knows about objects: how a body becomes one, what it adds, what it refuses, who owns which field.
//!
//! Pure functions over JSON values, in the order in which a write goes through them:
//!
//! ```text
//! body ──► decode ──► defaults ──► strategy ──► (admission) ──► decode::normalize + defaults
//!            ▲                                                      │
//!   patch ───┘   (of the stored object)                             ▼
//!                                      store ◄── managed_fields ◄── validation
//! ```
//!
//! No clock, no randomness, no I/O: times and names are handed in. Cost is linear in the size of the object.
//! What each of them does was recorded from kube-apiserver v1.36 and is compared with those recordings by `tests/it/objects.rs`.

pub(crate) mod decode;
pub(crate) mod defaults;
pub(crate) mod field;
pub(crate) mod get;
mod internal;
pub(crate) mod managed_fields;
pub(crate) mod memory;
pub(crate) mod names;
pub(crate) mod patch;
mod pods;
pub(crate) mod strategy;
#[cfg(test)]
mod tests;
mod types;
pub(crate) mod validation;
pub(crate) mod warnings;

/// The kind of an object as the registry names it: API group (empty for the core group), version, kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Target<'a> {
    /// API group, for example `apps`; empty for the core group.
    pub(crate) group: &'a str,
    /// Version, for example `v1`.
    pub(crate) version: &'a str,
    /// Kind, for example `Deployment`.
    pub(crate) kind: &'a str,
}

impl<'a> Target<'a> {
    /// Names a kind.
    pub(crate) const fn new(group: &'a str, version: &'a str, kind: &'a str) -> Self {
        Self { group, version, kind }
    }

    /// `apiVersion` of this kind: `v1`, `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The kind with its group, as in `Deployment.apps "web" is invalid`.
    pub(crate) fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.to_owned() } else { format!("{}.{}", self.kind, self.group) }
    }
}
