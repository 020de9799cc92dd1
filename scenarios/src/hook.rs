//! A webhook in this process: an HTTPS server whose answers, and misbehaviour, are at hand.
//!
//! ```text
//! in memory ─┐
//!            ├─► TLS ──► HTTP/1.1 ──► fault? ──► backend (injector | fixed reply) ──► answer
//! TCP ───────┘   │                      └──────► calls (what was asked)
//!                └── not while it refuses
//! ```
//!
//! Connections in memory carry the same TLS and HTTP as those over TCP, but leave the runtime nothing to wait for except
//! its clock, so that time can be virtual.

mod certificate;
mod faults;
mod server;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apimachinery::value::Value;
use injector::Injector;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

pub use certificate::Certificate;

use crate::scenario::FaultKind;
use faults::Faults;

/// Calls that are remembered; later ones are only counted.
const REMEMBERED: usize = 10_000;

/// A webhook as a function, from the bytes of a review to the bytes of the answer.
pub type AnswerFn = dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync;

/// What answers the calls.
#[derive(Clone)]
pub enum Answerer {
    /// Nothing does yet: connections are refused.
    Nobody,
    /// The sidecar injector.
    Injector(Arc<Injector>),
    /// This function: from the bytes of a review to the bytes of the answer, `None` for HTTP status 500.
    Function(Arc<AnswerFn>),
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

/// Bytes that a connection in memory holds in either direction.
const BUFFER: usize = 64 * 1024;

/// A running webhook; dropping it stops it.
pub struct Hook {
    shared: Arc<Shared>,
    certificate: Certificate,
    tls: TlsAcceptor,
    connections: Mutex<JoinSet<()>>,
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
    #[error("cannot listen on the loopback interface: {0}")]
    Listen(#[source] std::io::Error),
}

impl Hook {
    /// One with a certificate for this service (namespace, name, port). It is reached with [`Hook::connect`], and over TCP
    /// after [`Hook::listen`].
    ///
    /// # Errors
    /// The service's name cannot stand in a certificate.
    pub fn new(service: &(String, String, u16), answerer: Answerer) -> Result<Self, Error> {
        let certificate = Certificate::for_service(&service.0, &service.1)?;
        let shared = Arc::new(Shared {
            answerer: Mutex::new(answerer),
            faults: Mutex::new(Faults::default()),
            calls: Mutex::new(Vec::new()),
        });
        let tls = server::acceptor(&certificate)?;
        Ok(Self { shared, certificate, tls, connections: Mutex::default() })
    }

    /// A connection in memory, TLS not begun; `None` while it refuses connections.
    #[must_use]
    pub fn connect(&self) -> Option<DuplexStream> {
        if self.shared.refuses() {
            return None;
        }
        let (near, far) = tokio::io::duplex(BUFFER);
        let mut connections = lock(&self.connections);
        while connections.try_join_next().is_some() {}
        connections.spawn(server::serve(far, self.tls.clone(), Arc::clone(&self.shared)));
        Some(near)
    }

    /// Listens on a free port of the loopback interface as well. Connections that come while it refuses are closed at once.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn listen(&self) -> Result<SocketAddr, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::Listen)?;
        let address = listener.local_addr().map_err(Error::Listen)?;
        lock(&self.connections).spawn(server::accept(listener, self.tls.clone(), Arc::clone(&self.shared)));
        Ok(address)
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
    pub fn answer_with(&self, answerer: Answerer) {
        *lock(&self.shared.answerer) = answerer;
    }

    /// From now on it misbehaves like this (or no longer).
    pub fn fault(&self, kind: FaultKind, lasts: Option<Duration>) {
        lock(&self.shared.faults).set(kind, lasts);
        if kind == FaultKind::Refuse {
            // As when the process has gone: open connections are gone with it.
            lock(&self.connections).abort_all();
        }
    }
}

impl Shared {
    fn refuses(&self) -> bool {
        matches!(*lock(&self.answerer), Answerer::Nobody) || lock(&self.faults).now() == FaultKind::Refuse
    }

    fn remember(&self, call: Called) {
        let mut calls = lock(&self.calls);
        if calls.len() < REMEMBERED {
            calls.push(call);
        }
    }
}
