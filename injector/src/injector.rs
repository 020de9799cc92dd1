//! The injector: everything parsed once, immutable, shared by all requests.

use std::cell::RefCell;

use apimachinery::value::Value;

use crate::cache::Cache;
use crate::config::{self, Era, Parts, Settings};
use crate::decide::Decision;
use crate::engine::{Engine, Error, Injected, PodRequest, Printed};
use crate::legacy::Legacy;
use crate::modern::Modern;

/// A loaded injector. Immutable; share it in an `Arc`.
#[derive(Debug)]
pub struct Injector {
    engine: Box<dyn Engine>,
    era: Era,
    cache: Cache,
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

impl Injector {
    /// Parses everything.
    ///
    /// # Errors
    /// Any text that does not parse or a template that is broken; the message names the part, the line and the text.
    pub fn load(settings: Settings) -> Result<Self, config::Error> {
        let cache = Cache::new([&settings.inject_config].into_iter().chain(&settings.values).map(String::as_str));
        let parts = Parts::read(settings)?;
        let era = parts.era;
        let engine: Box<dyn Engine> = match era {
            Era::Modern => Box::new(Modern::load(&parts)?),
            Era::SquareBrackets | Era::SingleTemplate => Box::new(Legacy::load(&parts)?),
        };
        Ok(Self { engine, era, cache })
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
