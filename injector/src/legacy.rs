//! The injectors of Istio 1.0 to 1.8.

use serde_json::Value;

use crate::config::{self, Parts};
use crate::injector::{Engine, Error, Injected, Offline, Owner, PodRequest};

/// An injector of Istio 1.0 to 1.8.
#[derive(Debug)]
pub(crate) struct Legacy;

impl Legacy {
    /// Parses the configuration's template.
    pub(crate) fn load(_: &Parts) -> Result<Self, config::Error> {
        Err(config::Error::content("inject config", "Istio 1.0 to 1.8 is not built yet"))
    }
}

impl Engine for Legacy {
    fn admit(&self, _: &PodRequest<'_>) -> Result<Injected, Error> {
        Err(Error::Refused("not built yet".to_owned()))
    }

    fn offline(&self, _: Value, _: &Owner<'_>) -> Result<Offline, Error> {
        Err(Error::Refused("not built yet".to_owned()))
    }
}
