//! What the two eras' engines have in common: what they are asked, what they answer, why they refuse.

use std::cell::RefCell;

use apimachinery::schema;
use apimachinery::value::Value;

use crate::decide::Decision;
use crate::golang::decode;
use crate::patch::Operation;
use crate::template;

/// What an injection comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Injected {
    /// The operations on the object as it was handed in; empty if nothing is to change.
    pub patch: Vec<Operation>,
    /// Whether it was injected, and why.
    pub decision: Decision,
    /// For the client that created the pod: malformed values, doubtful settings.
    pub warnings: Vec<String>,
}

/// Why a pod could not be injected; the pod is denied with this text.
///
/// The texts are Istio's where Istio has one. What it leaves out is in [`Error::place`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object is not a pod as the API has it.
    #[error("the object is not a pod: {0}")]
    Object(String),
    /// The object is not a pod, in the words of Go's decoder.
    #[error("{said}")]
    Undecodable {
        /// What is wrong.
        message: String,
        /// What Istio says about it.
        said: String,
    },
    /// Values of the pod's annotations are invalid; all of them are named.
    #[error("{0}")]
    Annotations(String),
    /// A template that the pod or the configuration asks for does not exist.
    #[error("failed to run injection template: requested template {name:?} not found; have {known}")]
    UnknownTemplate {
        /// The name asked for.
        name: String,
        /// Those that exist.
        known: String,
    },
    /// A template failed on this pod.
    #[error("cannot render {0}")]
    Render(#[from] template::Error),
    /// The same in Istio 1.9 and later.
    #[error("failed to run injection template: cannot render {0}")]
    RenderNamed(template::Error),
    /// A template's output is no pod.
    #[error("{said}")]
    Output {
        /// The template.
        name: String,
        /// What is wrong with the output, and where.
        message: String,
        /// What Istio says about it.
        said: String,
    },
    /// Anything else that the configuration or the pod makes impossible.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// The template and the place in its output, if the text of the error does not name them.
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Output { name, message, .. } => Some(format!("template {name:?} printed {message}")),
            Self::Undecodable { message, .. } => Some(format!("the object is not a pod: {message}")),
            _ => None,
        }
    }

    /// An object that is no pod, with Istio's words where Go's decoder has some.
    pub(crate) fn no_pod(pod: &Value, message: String) -> Self {
        let fields = |key: &str| schema::pod().field(key).map(|field| &field.kind);
        match decode::strict(pod, "v1.Pod", fields) {
            Err(said) => Self::Undecodable { message, said },
            Ok(()) => Self::Object(message),
        }
    }

    /// The text with the place, for logs and terminals.
    pub fn in_full(&self) -> String {
        match self.place() {
            Some(place) => format!("{self} ({place})"),
            None => self.to_string(),
        }
    }
}

/// What one template printed for a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// The template's name.
    pub template: String,
    /// The text, before it was read as YAML.
    pub text: String,
}

/// A pod to inject, as a webhook request brings it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PodRequest<'a> {
    /// The object exactly as sent.
    pub(crate) object: &'a Value,
    /// The request's namespace.
    pub(crate) namespace: &'a str,
    /// The request's path, `/inject/...`.
    pub(crate) path: &'a str,
    /// Where to put what the templates print, if anybody wants to see it.
    pub(crate) printed: Option<&'a RefCell<Vec<Printed>>>,
}

/// The object in a file that a pod template belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) api_version: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) metadata: &'a Value,
}

/// A pod template of a file after injection.
#[derive(Debug)]
pub(crate) struct Offline {
    /// The whole template (metadata and spec); unchanged if it was not injected.
    pub(crate) pod: Value,
    pub(crate) decision: Decision,
    pub(crate) warnings: Vec<String>,
}

/// One era's way of injecting.
pub(crate) trait Engine: std::fmt::Debug + Send + Sync {
    /// Whether the pod of a webhook request is injected.
    fn decide(&self, request: &PodRequest<'_>) -> Decision;
    /// Injects the pod of a webhook request.
    fn admit(&self, request: &PodRequest<'_>) -> Result<Injected, Error>;
    /// Injects a pod template of a file, as `istioctl kube-inject` does.
    fn offline(&self, pod: Value, owner: &Owner<'_>) -> Result<Offline, Error>;
}
