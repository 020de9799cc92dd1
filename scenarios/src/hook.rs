//! A webhook in this process: an HTTPS server on the loopback interface whose answers, and misbehaviour, are at hand.
//!
//! ```text
//! accept ──► TLS ──► HTTP/1.1 ──► fault? ──► backend (injector | fixed reply) ──► answer
//!    └── not while it refuses            └──► calls (what was asked)
//! ```

mod certificate;
mod faults;
mod server;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use injector::Injector;
use serde_json::Value;

pub use certificate::Certificate;

use crate::scenario::FaultKind;
use faults::Faults;
use server::Server;

/// Calls that are remembered; later ones are only counted.
const REMEMBERED: usize = 10_000;

/// What answers the calls.
#[derive(Clone)]
pub enum Answerer {
    /// Nothing does yet: connections are refused.
    Nobody,
    /// The sidecar injector.
    Injector(Arc<Injector>),
    /// A fixed answer: the fields of `response` but for the uid; `patch` may be a list of operations.
    Reply(Value),
}

/// One call of a webhook.
#[derive(Clone, Debug)]
pub struct Called {
    /// The URL's path.
    pub path: String,
    /// The URL's query, such as `timeout=10s`.
    pub query: String,
    /// The review's `request`; null if the body was no review.
    pub request: Value,
}

/// A running webhook; dropping it stops it.
pub struct Hook {
    shared: Arc<Shared>,
    certificate: Certificate,
    server: Mutex<Server>,
}

struct Shared {
    answerer: Mutex<Answerer>,
    faults: Mutex<Faults>,
    calls: Mutex<Vec<Called>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a webhook did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No certificate could be made.
    #[error("cannot make a certificate for {name}: {message}")]
    Certificate {
        /// The service's name.
        name: String,
        /// What went wrong.
        message: String,
    },
    /// No port of the loopback interface could be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

impl Hook {
    /// Starts one on a free port of the loopback interface, with a certificate for this service.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start(service: &(String, String, u16), answerer: Answerer) -> Result<Self, Error> {
        let certificate = Certificate::for_service(&service.0, &service.1)?;
        let shared = Arc::new(Shared {
            answerer: Mutex::new(answerer),
            faults: Mutex::new(Faults::default()),
            calls: Mutex::new(Vec::new()),
        });
        let mut server = Server::bind(&certificate).await?;
        if !matches!(*lock(&shared.answerer), Answerer::Nobody) {
            server.open(&shared).await?;
        }
        Ok(Self { shared, certificate, server: Mutex::new(server) })
    }

    /// Where it listens (or would, if it did not refuse).
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        lock(&self.server).address()
    }

    /// The authority that signed its certificate, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.certificate.ca
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Called> {
        lock(&self.shared.calls).clone()
    }

    /// From now on this answers.
    ///
    /// # Errors
    /// The port cannot be had again.
    pub async fn answer_with(&self, answerer: Answerer) -> Result<(), Error> {
        *lock(&self.shared.answerer) = answerer;
        self.settle().await
    }

    /// From now on it misbehaves like this (or no longer).
    ///
    /// # Errors
    /// The port cannot be had again.
    pub async fn fault(&self, kind: FaultKind, lasts: Option<Duration>) -> Result<(), Error> {
        lock(&self.shared.faults).set(kind, lasts);
        self.settle().await
    }

    /// Opens or closes the port, as the clock, the faults and the answerer have it now.
    ///
    /// # Errors
    /// The port cannot be had again.
    pub async fn settle(&self) -> Result<(), Error> {
        let refuses = matches!(*lock(&self.shared.answerer), Answerer::Nobody)
            || lock(&self.shared.faults).now() == FaultKind::Refuse;
        // The server is taken out for the time of the switch: there is one runner, so nobody looks meanwhile.
        let mut server = std::mem::take(&mut *lock(&self.server));
        let opened = if refuses {
            server.close().await;
            Ok(())
        } else {
            server.open(&self.shared).await
        };
        *lock(&self.server) = server;
        opened
    }
}

impl Shared {
    fn remember(&self, call: Called) {
        let mut calls = lock(&self.calls);
        if calls.len() < REMEMBERED {
            calls.push(call);
        }
    }
}
