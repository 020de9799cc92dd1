//! What the two eras' engines have in common: what they are asked, what they answer, why they refuse.

use std::cell::RefCell;

use serde_json::Value;

use crate::decide::Decision;
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
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object is not a pod as the API has it.
    #[error("the object is not a pod: {0}")]
    Object(String),
    /// Values of the pod's annotations are invalid; all of them are named.
    #[error("{0}")]
    Annotations(String),
    /// A template that the pod or the configuration asks for does not exist.
    #[error("requested template {name:?} not found; there are {known}")]
    UnknownTemplate {
        /// The name asked for.
        name: String,
        /// Those that exist.
        known: String,
    },
    /// A template failed on this pod.
    #[error("cannot render {0}")]
    Render(#[from] template::Error),
    /// A template's output is no pod.
    #[error("template {name:?} printed {message}")]
    Output {
        /// The template.
        name: String,
        /// What is wrong with the output, and where.
        message: String,
    },
    /// Anything else that the configuration or the pod makes impossible.
    #[error("{0}")]
    Refused(String),
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
