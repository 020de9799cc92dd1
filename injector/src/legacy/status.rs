//! The annotation `sidecar.istio.io/status`: what an earlier injection put into a pod.

use apimachinery::value::Value;
use serde::{Deserialize, Serialize};

use super::annotations_of;

/// The annotation's key.
pub(crate) const KEY: &str = "sidecar.istio.io/status";

/// The annotation's JSON, keys in this order.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    pub(crate) version: Option<String>,
    pub(crate) init_containers: Option<Vec<String>>,
    pub(crate) containers: Option<Vec<String>>,
    pub(crate) volumes: Option<Vec<String>>,
    pub(crate) image_pull_secrets: Option<Vec<String>>,
}

impl Status {
    /// Names, `None` for none: Go writes an empty list as null.
    pub(crate) fn names(items: &[Value]) -> Option<Vec<String>> {
        (!items.is_empty()).then(|| items.iter().map(|item| super::name(item).to_owned()).collect())
    }

    pub(crate) fn text(&self) -> String {
        // Strings and lists of strings: there is nothing in them that cannot be encoded.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What the first releases injected, which wrote no list of it.
    fn built_in() -> Self {
        let names = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect());
        Self {
            version: None,
            init_containers: names(&["istio-init", "enable-core-dump"]),
            containers: names(&[super::PROXY]),
            volumes: names(&["istio-certs", "istio-envoy"]),
            image_pull_secrets: None,
        }
    }
}

/// What a pod's annotation says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Previous {
    /// No annotation: never injected. Whatever the pod holds is the user's.
    None,
    /// Written by an injector.
    Injector(Status),
    /// Lists without a version, which no injector writes: only what is injected again is taken out.
    Unknown(Status),
}

impl Previous {
    pub(crate) fn of(pod: &Value) -> Self {
        let Some(text) = annotations_of(pod).and_then(|a| a.get(KEY)).and_then(Value::as_str) else {
            return Self::None;
        };
        if text.is_empty() {
            return Self::None;
        }
        match serde_json::from_str::<Status>(text) {
            Ok(status) if status.names_anything() && status.version.is_some() => Self::Injector(status),
            Ok(status) if status.names_anything() => Self::Unknown(status),
            // A plain version, as the first releases wrote it.
            _ => Self::Injector(Status::built_in()),
        }
    }

    /// Whether an item of the list picked by `of` was put there by an earlier injection and is to go. `again`: it is
    /// injected again now.
    pub(crate) fn removes(&self, name: &str, of: fn(&Status) -> &Option<Vec<String>>, again: bool) -> bool {
        let named = |status: &Status| of(status).as_ref().is_some_and(|names| names.iter().any(|n| n == name));
        match self {
            Self::None => false,
            Self::Injector(status) => named(status),
            Self::Unknown(status) => named(status) && (again || named(&Status::built_in())),
        }
    }

    pub(crate) fn version(&self) -> Option<&str> {
        match self {
            Self::Injector(status) => status.version.as_deref(),
            Self::None | Self::Unknown(_) => None,
        }
    }

    pub(crate) fn status(&self) -> Option<&Status> {
        match self {
            Self::None => None,
            Self::Injector(status) | Self::Unknown(status) => Some(status),
        }
    }
}

impl Status {
    fn names_anything(&self) -> bool {
        [&self.init_containers, &self.containers, &self.volumes, &self.image_pull_secrets]
            .iter()
            .any(|list| list.as_ref().is_some_and(|names| !names.is_empty()))
    }
}
