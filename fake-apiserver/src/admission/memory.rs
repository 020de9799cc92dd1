//! What is remembered of calls of mutating webhooks: see [`crate::memo`].

use apimachinery::value::Value;
use bytes::Bytes;

use super::attributes::GroupVersionKind;
use crate::memo::{Memo, Same};

/// The memos of one chain.
#[derive(Default)]
pub(crate) struct Memory {
    /// Objects as reviews show them.
    pub(crate) shown: Memo<Same, Bytes>,
    /// What patches made of objects.
    pub(crate) changed: Memo<Change, Changed>,
}

/// A patch of an object.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Change {
    pub(crate) object: Same,
    /// What the webhook was shown the object as.
    pub(crate) kind: GroupVersionKind,
    pub(crate) patch: Bytes,
}

/// What a patch made of an object of the same kind.
#[derive(Clone)]
pub(crate) struct Changed {
    /// The object, decoded and with its defaults.
    pub(crate) object: Value,
    /// Whether it is another one than before.
    pub(crate) differs: bool,
    /// The patch.
    pub(crate) patch: Value,
}
