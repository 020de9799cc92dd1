//! The scenario file: what is in it, and reading it.
//!
//! ```text
//! text ──► yaml value ──► reader (types, unknown fields) ──► Scenario
//!   └────► position (which line holds which field) ──► errors with file and line
//! ```
//! The format is described in `docs/towtank.md`.

mod expect;
mod load;
mod position;
mod reader;
mod steps;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use apimachinery::value::{Map, Value};

pub use expect::{Call, Count, Expect, Look};
pub use load::{Files, load};
pub use reader::Error;
pub use steps::{Fault, FaultKind, ObjectRef, PatchType, Step, StepKind};

/// A scenario, read and checked; files that it names have been read too.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it tries, as one line.
    pub title: String,
    /// More about it; empty if there is none.
    pub description: String,
    /// The file it was read from, for messages.
    pub file: String,
    /// What names, uids and so on are made from: the same seed gives the same run.
    pub seed: u64,
    /// What is there before the first step.
    pub cluster: Cluster,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// The cluster before the first step.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Namespaces with their labels.
    pub namespaces: Vec<(String, Map)>,
    /// Webhooks; each runs, and most are registered.
    pub webhooks: Vec<Webhook>,
    /// Objects to create, in order.
    pub objects: Vec<Value>,
}

/// A webhook of the scenario.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// What steps call it.
    pub name: String,
    /// What answers.
    pub backend: Backend,
    /// The service under which the cluster finds it: namespace, name, port.
    pub service: (String, String, u16),
    /// The path that is called.
    pub path: String,
    /// Whether the runner writes a webhook configuration for it; otherwise a step does.
    pub register: bool,
    /// Whether it is a validating webhook.
    pub validating: bool,
    /// Fields of the webhook's entry in the configuration, as given: `failurePolicy`, `rules`, selectors ….
    pub fields: Map,
}

/// What answers a webhook's calls.
#[derive(Clone, Debug)]
pub enum Backend {
    /// The sidecar injector, in this process.
    Injector(Box<InjectorSource>),
    /// A fixed answer: the fields of `response` but for the uid.
    Reply(Value),
    /// Some other server.
    Url {
        /// An https URL.
        url: String,
        /// PEM file of the authority that signed its certificate.
        ca: PathBuf,
    },
}

/// Where the injector's configuration comes from.
#[derive(Clone, Debug)]
pub enum InjectorSource {
    /// Texts that were read with the scenario.
    Texts {
        /// The ConfigMap's `config`, or the whole ConfigMap.
        config: String,
        /// The values, if apart.
        values: Option<String>,
        /// The mesh configuration, if any.
        mesh: Option<String>,
    },
    /// A ConfigMap of the cluster (namespace, name). Until it exists the injector refuses connections, as a pod that
    /// waits for its volume would; each change of it is loaded at once.
    ConfigMap(String, String),
}

/// Reads `90s`, `1m30s`, `500ms`, or a number of seconds.
pub(crate) fn duration(value: &Value) -> Option<Duration> {
    if let Some(seconds) = value.as_f64() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut rest = value.as_str()?.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        rest = &rest[letters..];
        total = total.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
    }
    Some(total)
}
