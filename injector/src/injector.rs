//! The injector: everything parsed once, immutable, shared by all requests.

use std::cell::RefCell;

use serde_json::Value;

use crate::cache::Cache;
use crate::config::{self, Era, Parts, Settings};
use crate::decide::Decision;
use crate::legacy::Legacy;
use crate::modern::Modern;
use crate::patch::Operation;
use crate::template;

/// A loaded injector. Immutable; share it in an `Arc`.
#[derive(Debug)]
pub struct Injector {
    engine: Box<dyn Engine>,
    era: Era,
    cache: Cache,
}

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

/// An injection looked at from inside: for explaining and for checking configurations.
#[derive(Debug)]
pub struct Examined {
    /// Whether the pod is to be injected, and every rule that was looked at.
    pub decision: Decision,
    /// What the webhook would do.
    pub result: Result<Injected, Error>,
    /// What the templates printed, as far as it got.
    pub printed: Vec<Printed>,
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

impl Injector {
    /// Parses everything.
    ///
    /// # Errors
    /// Any text that does not parse or a template that is broken; the message names the part, the line and the text.
    pub fn load(settings: Settings) -> Result<Self, config::Error> {
        let parts = Parts::read(settings)?;
        let era = parts.era;
        let engine: Box<dyn Engine> = match era {
            Era::Modern => Box::new(Modern::load(&parts)?),
            Era::SquareBrackets | Era::SingleTemplate => Box::new(Legacy::load(&parts)?),
        };
        Ok(Self { engine, era, cache: Cache::default() })
    }

    /// The era that the configuration is from.
    pub fn era(&self) -> Era {
        self.era
    }

    /// Injects one pod.
    ///
    /// `namespace` is the request's; `path` the webhook's URL path (`/inject`, with Istio's parameters).
    ///
    /// # Errors
    /// When Istio would deny the pod: invalid annotations, a failed template, output that is no pod.
    pub fn inject_object(&self, object: &Value, namespace: &str, path: &str) -> Result<Injected, Error> {
        self.engine.admit(&PodRequest { object, namespace, path, printed: None })
    }

    /// Injects one pod as [`Injector::inject_object`] does, and keeps what led to the result.
    pub fn examine(&self, object: &Value, namespace: &str, path: &str) -> Examined {
        let printed = RefCell::new(Vec::new());
        let request = PodRequest { object, namespace, path, printed: Some(&printed) };
        let (decision, result) = (self.engine.decide(&request), self.engine.admit(&request));
        Examined { decision, result, printed: printed.into_inner() }
    }

    /// How many reviews were answered from the answers kept for pods of the same owner.
    pub fn cache_hits(&self) -> u64 {
        self.cache.hits()
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }
}
