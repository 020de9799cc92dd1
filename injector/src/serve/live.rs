//! The configuration in use, and its replacement without a gap: a request keeps the injector it began with.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use apimachinery::clock::Timestamp;
use arc_swap::ArcSwap;

use super::files::{self, Files, ReadError};
use super::metrics::Metrics;
use super::tls::{self, Identity, Pem, Tls, TlsError, seconds};
use crate::Injector;
use crate::config;
use crate::lint::samples;

/// Where the injector comes from.
#[derive(Clone)]
pub enum Source {
    /// Files, watched: a change is loaded, and when it cannot be loaded the last good one stays.
    Files(Files),
    /// An injector that stays as it is.
    Fixed(Arc<Injector>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files(files) => f.debug_tuple("Files").field(files).finish(),
            Self::Fixed(_) => f.debug_tuple("Fixed").finish_non_exhaustive(),
        }
    }
}

/// Why a configuration or a certificate was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The configuration is not usable.
    #[error("{file}: {source}")]
    Config {
        /// The file that holds the faulty text.
        file: String,
        /// What and where.
        source: config::Error,
    },
    /// The certificate is not usable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The configuration would deny every pod that the one in use injects.
    #[error("{file}: it parses, but no sample pod can be injected with it: {message}")]
    Denies {
        /// The file of the injector's configuration.
        file: String,
        /// Why the first sample pod is denied.
        message: String,
    },
}

impl LoadError {
    /// A fault in the settings, with the file that it is in.
    pub(crate) fn config(files: &Files, source: config::Error) -> Self {
        Self::Config { file: blame(files, &source), source }
    }
}

/// What a look at the files led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// They hold what is in use already.
    Unchanged,
    /// Something new was loaded and is in use.
    Replaced,
}

/// An injector and what it was made from.
struct Loaded {
    injector: Arc<Injector>,
    hash: String,
    since: Timestamp,
}

/// The injector in use.
pub(crate) struct Live {
    source: Source,
    current: ArcSwap<Loaded>,
    /// One load at a time, so that an older text never replaces a newer one.
    loading: Mutex<()>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("source", &self.source).finish_non_exhaustive()
    }
}

fn load(files: &Files, now: Timestamp) -> Result<Loaded, LoadError> {
    let settings = files.read()?;
    let hash = files::hash(&settings);
    let injector = Injector::load(settings).map_err(|error| LoadError::config(files, error))?;
    Ok(Loaded { injector: Arc::new(injector), hash, since: now })
}

impl Live {
    pub(crate) fn start(source: Source, metrics: &Metrics, now: Timestamp) -> Result<Self, LoadError> {
        match source {
            Source::Files(files) => {
                let loaded = load(&files, now)?;
                metrics.config_in_use(short(&loaded.hash), now);
                tracing::info!(hash = short(&loaded.hash), "configuration loaded");
                let current = ArcSwap::from_pointee(loaded);
                Ok(Self { source: Source::Files(files), current, loading: Mutex::new(()) })
            }
            Source::Fixed(injector) => Ok(Self::fixed(injector, metrics, now)),
        }
    }

    pub(crate) fn fixed(injector: Arc<Injector>, metrics: &Metrics, now: Timestamp) -> Self {
        let loaded = Loaded { injector: Arc::clone(&injector), hash: "fixed".to_owned(), since: now };
        metrics.config_in_use(&loaded.hash, now);
        Self { source: Source::Fixed(injector), current: ArcSwap::from_pointee(loaded), loading: Mutex::new(()) }
    }

    pub(crate) fn injector(&self) -> Arc<Injector> {
        Arc::clone(&self.current.load().injector)
    }

    /// The first twelve digits of the SHA-256 of the configuration in use.
    pub(crate) fn hash(&self) -> String {
        short(&self.current.load().hash).to_owned()
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        match &self.source {
            Source::Files(files) => files.paths(),
            Source::Fixed(_) => Vec::new(),
        }
    }

    /// Reads the files again and takes what is in them. On an error what is in use stays.
    pub(crate) fn reload(&self, metrics: &Metrics, now: Timestamp) -> Result<Reload, LoadError> {
        let Source::Files(files) = &self.source else { return Ok(Reload::Unchanged) };
        let _one_at_a_time = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = (|| {
            let settings = files.read()?;
            let hash = files::hash(&settings);
            if hash == self.current.load().hash {
                return Ok(Reload::Unchanged);
            }
            let loaded = load(files, now)?;
            if let Some(message) = denies_all(&self.injector(), &loaded.injector) {
                return Err(LoadError::Denies { file: files.inject_config.display().to_string(), message });
            }
            let hash = short(&loaded.hash).to_owned();
            metrics.config_in_use(&hash, now);
            let before = self.current.swap(Arc::new(loaded));
            tracing::info!(
                hash,
                replaced = short(&before.hash),
                replaced_age_seconds = seconds(now).saturating_sub(seconds(before.since)).max(0),
                "configuration reloaded"
            );
            Ok(Reload::Replaced)
        })();
        metrics.config_rejected(outcome.is_err());
        count(metrics, "configuration", &outcome);
        outcome
    }
}

/// Whether the new injector denies every sample pod that the present one injects; then the reason for the first. A
/// template may well refuse some pods on purpose, but one that refuses all is broken.
fn denies_all(present: &Injector, new: &Injector) -> Option<String> {
    const NAMESPACE: &str = "default";
    let mut first = None;
    for (name, pod) in samples::pods() {
        let injects = present.inject_object(&pod, NAMESPACE, "/inject").is_ok_and(|injected| injected.decision.inject);
        if injects {
            let error = new.inject_object(&pod, NAMESPACE, "/inject").err()?;
            first.get_or_insert_with(|| format!("{name}: {error}"));
        }
    }
    first
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn count(metrics: &Metrics, what: &'static str, outcome: &Result<Reload, LoadError>) {
    match outcome {
        Ok(Reload::Unchanged) => {}
        Ok(Reload::Replaced) => metrics.reloaded(what, "success"),
        Err(_) => metrics.reloaded(what, "failure"),
    }
}

/// The certificate in use and where it comes from.
#[derive(Debug)]
pub(crate) struct LiveCertificate {
    source: Tls,
    pub(crate) current: Arc<tls::Current>,
}

impl LiveCertificate {
    pub(crate) fn start(source: Tls, metrics: &Metrics, now: Timestamp) -> Result<Self, LoadError> {
        let identity = read_identity(&source, now)?;
        metrics.certificate_until(identity.not_after());
        Ok(Self { source, current: tls::Current::new(identity) })
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        match &self.source {
            Tls::Files { certificate, key } => vec![certificate.clone(), key.clone()],
            Tls::Pem { .. } => Vec::new(),
        }
    }

    pub(crate) fn reload(&self, metrics: &Metrics, now: Timestamp) -> Result<Reload, LoadError> {
        let outcome = read_identity(&self.source, now).map(|identity| {
            if self.current.shows(&identity) {
                return Reload::Unchanged;
            }
            metrics.certificate_until(identity.not_after());
            self.current.replace(identity);
            Reload::Replaced
        });
        count(metrics, "certificate", &outcome);
        outcome
    }

    pub(crate) fn valid(&self, now: Timestamp) -> bool {
        seconds(now) <= self.current.not_after()
    }
}

fn read_identity(source: &Tls, now: Timestamp) -> Result<Identity, LoadError> {
    let identity = match source {
        Tls::Files { certificate, key } => {
            let (certificate_text, key_text) = (files::read(certificate)?, files::read(key)?);
            Identity::read(
                &Pem { name: &certificate.display().to_string(), text: &certificate_text },
                &Pem { name: &key.display().to_string(), text: &key_text },
                now,
            )?
        }
        Tls::Pem { certificate, key } => Identity::read(
            &Pem { name: "PEM text", text: certificate.as_bytes() },
            &Pem { name: "PEM text", text: key.as_bytes() },
            now,
        )?,
    };
    Ok(identity)
}

/// The file that an error is about.
fn blame(files: &Files, error: &config::Error) -> String {
    let file = match error.part() {
        "values" => files.values.as_ref(),
        "mesh config" => files.mesh_config.as_ref(),
        "cluster objects" => files.cluster_objects.as_ref(),
        _ => None,
    };
    file.unwrap_or(&files.inject_config).display().to_string()
}
