//! How much a server takes on.

use std::time::Duration;

/// The limits of one server. [`Limits::default`] suits a cluster of any size; each can be set by a flag.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one request body; more is answered with 413. Default 6 MiB, as Istio's injector.
    pub body: usize,
    /// Bytes of all request bodies held at one time. A request waits for its share, at most as long as the apiserver
    /// does, then it is answered with 503. A review takes several times its body while it is worked on. Default 128 MiB.
    pub bodies: usize,
    /// Open connections; the next one waits in the kernel's queue. Default 1024.
    pub connections: usize,
    /// Time for a TLS handshake. Default 10 s.
    pub handshake: Duration,
    /// Time for the head of a request, and how long an idle HTTP/1.1 connection stays open. Default 30 s.
    pub head: Duration,
    /// Time for the body of a request; longer is answered with 408. Default 30 s.
    pub body_time: Duration,
    /// How long a connection without a request stays open. Default 90 s, the time after which an apiserver closes its own.
    pub idle: Duration,
    /// After the order to stop: how long new connections are still taken while `/ready` already says no, so that
    /// the endpoints can be updated. Default 0.
    pub stop_delay: Duration,
    /// After that: how long requests may take to end. Default 8 s.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 6 << 20,
            bodies: 128 << 20,
            connections: 1024,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            body_time: Duration::from_secs(30),
            idle: Duration::from_secs(90),
            stop_delay: Duration::ZERO,
            stop: Duration::from_secs(8),
        }
    }
}
