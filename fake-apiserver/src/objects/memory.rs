//! What is remembered of objects on their way into the store: see [`crate::memo`].

use std::sync::Arc;

use apimachinery::value::Value;
use bytes::Bytes;

use super::decode::{FieldValidation, Format};
use super::field::FieldError;
use crate::memo::{Asked, Memo, Same, Settled};

/// The memos of one cluster.
#[derive(Default)]
pub(crate) struct Memory {
    /// Which bodies have been read.
    pub(crate) bodies: Asked,
    /// What was read in a body that came twice.
    pub(crate) read: Memo<Body, Read>,
    /// New objects as admission sees them, but for the time in their managed fields.
    pub(crate) new: Memo<New, Value>,
    /// What became of specs when they were prepared for the store.
    pub(crate) specs: Settled,
    /// The quality of service of pods with these specs.
    pub(crate) qos: Memo<Same, &'static str>,
    /// Labels and annotations of pods that are as they should be.
    pub(crate) sound: Memo<[Same; 2], ()>,
    /// What was found wrong or odd in pods, apart from their metadata.
    pub(crate) judged: Memo<Part, Arc<Judged>>,
}

/// The text of an object of a kind.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Body {
    /// Group, version and kind.
    pub(crate) kind: [Arc<str>; 3],
    pub(crate) format: Format,
    pub(crate) validation: FieldValidation,
    pub(crate) body: Bytes,
}

/// What was read.
#[derive(Clone)]
pub(crate) struct Read {
    /// The object, with its defaults.
    pub(crate) object: Value,
    pub(crate) warnings: Arc<Vec<String>>,
    /// Whether the labels were filled in from the pod template.
    pub(crate) labels_of_template: bool,
}

/// An object that somebody creates.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct New {
    pub(crate) object: Same,
    /// Group, version and kind that the fields are of.
    pub(crate) kind: [Arc<str>; 3],
    /// Of the path; `None` if the kind has none.
    pub(crate) namespace: Option<String>,
    pub(crate) manager: String,
    pub(crate) subresource: String,
}

/// What the validation of a pod depends on besides the rules of metadata.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Part {
    pub(crate) spec: Same,
    pub(crate) annotations: Same,
    /// Empty if nothing in the spec is named after the pod.
    pub(crate) name: String,
}

/// What validation says of it.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) errors: Vec<FieldError>,
    /// None where there are errors.
    pub(crate) warnings: Vec<String>,
}
