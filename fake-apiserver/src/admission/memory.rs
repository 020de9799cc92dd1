//! What is remembered of calls of mutating webhooks: see [`crate::memo`].

use std::hash::{Hash, Hasher};

use apimachinery::value::Value;
use bytes::Bytes;

use super::attributes::GroupVersionKind;
use crate::memo::{Memo, Same, Settled};

/// The memos of one chain.
#[derive(Default)]
pub(crate) struct Memory {
    /// Parts of objects as reviews show them.
    pub(crate) shown: Memo<Same, Bytes>,
    /// What plugins made of specs.
    pub(crate) specs: Settled,
    /// What patches made of objects.
    pub(crate) changed: Memo<Change, Changed>,
}

/// A patch of an object.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The object without its managed fields, which are of another time in every request.
    object: Value,
    /// What the webhook was shown the object as.
    pub(crate) kind: GroupVersionKind,
    patch: Bytes,
}

impl Hash for Change {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Objects that are equal and do not share their spec are not found, and made anew.
        self.object["spec"].address().hash(state);
        self.patch.len().hash(state);
    }
}

impl Change {
    /// The question what a patch makes of an object.
    pub(crate) fn new(object: &Value, kind: &GroupVersionKind, patch: Bytes) -> Change {
        let mut object = object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove(MANAGED_FIELDS);
        }
        Change { object, kind: kind.clone(), patch }
    }
}

const MANAGED_FIELDS: &str = "managedFields";

/// Whether a patch has nothing to do with managed fields: then they may be of any time.
pub(crate) fn passes_by_managed_fields(patch: &Value) -> bool {
    patch.as_array().into_iter().flatten().all(|operation| {
        ["path", "from"].iter().filter_map(|end| operation.get(end)).all(|pointer| {
            let mut steps = pointer.as_str().unwrap_or_default().split('/').skip(1);
            let (first, second) = (steps.next(), steps.next());
            first.is_some_and(|first| first != "metadata") || second.is_some_and(|second| second != MANAGED_FIELDS)
        })
    })
}

impl Changed {
    /// The same for an object with these managed fields.
    pub(crate) fn managed_as(mut self, object: &Value) -> Changed {
        let fields = object["metadata"].get(MANAGED_FIELDS);
        if let Some(metadata) = self.object.get_mut("metadata").and_then(Value::as_object_mut) {
            match fields {
                Some(fields) => drop(metadata.insert(MANAGED_FIELDS, fields.clone())),
                None => drop(metadata.remove(MANAGED_FIELDS)),
            }
        }
        self
    }
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
