//! The injector as an HTTPS server: what a `MutatingWebhookConfiguration` points at.
//!
//! ```text
//! start ──► listener ──► connection ──► service ──► Injector::review
//!   │        (TLS)        (h1, h2)        │  (routes, limits, metrics)
//!   └──► reloader ──► live configuration ─┘
//!         (files)     live certificate
//! ```
//!
//! `POST /inject[/key/value...]` takes an AdmissionReview; `GET /ready`, `/healthz` and `/metrics` say how it goes.
//! Configuration and certificate are replaced while requests run: each request keeps the injector it began with.

mod body;
mod connection;
mod files;
mod limits;
mod listener;
mod live;
mod metrics;
mod reload;
mod service;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use admission::capture::Recorder;
use apimachinery::clock::Clock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub use self::files::{Files, ReadError};
pub use self::limits::Limits;
pub use self::live::{LoadError, Reload, Source};
pub use self::service::Service;
pub use self::tls::{Tls, TlsError};

use self::body::Room;
use self::live::{Live, LiveCertificate};
use self::metrics::Metrics;
use self::service::Shared;
use crate::Injector;

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one, see [`Handle::addr`].
    pub listen: SocketAddr,
    /// Where `/ready`, `/healthz` and `/metrics` are answered without TLS as well. Default: nowhere.
    pub monitoring: Option<SocketAddr>,
    /// The certificate.
    pub tls: Tls,
    /// The injector.
    pub source: Source,
    /// The limits.
    pub limits: Limits,
    /// How often the files are looked at. A change is loaded once the files have stood still for a tenth of this, so
    /// it is in use after about this time. Default 1 s.
    pub poll: Duration,
    /// The time of day, for certificates and for the age of the configuration. Default: the machine's.
    pub clock: Clock,
    /// Where reviews and their answers are recorded; no request waits for it, and none fails over it. Whoever started the
    /// recorder closes it after [`Handle::shutdown`]. Default: nowhere.
    pub recorder: Option<Recorder>,
}

impl Options {
    /// The defaults, on a free port of the loopback interface.
    pub fn new(source: Source, tls: Tls) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            monitoring: None,
            tls,
            source,
            limits: Limits::default(),
            poll: Duration::from_secs(1),
            clock: Clock::system(),
            recorder: None,
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration or the certificate is not usable.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The address is taken, not ours, or not permitted.
    #[error("cannot listen on {address}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// A running server. Dropping it stops the server at once; [`Handle::shutdown`] lets it end its work.
#[derive(Debug)]
pub struct Handle {
    addr: SocketAddr,
    monitoring: Option<SocketAddr>,
    service: Service,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
    reloader: JoinHandle<()>,
}

/// Starts a server on the current tokio runtime: when this returns, it listens.
pub async fn start(options: Options) -> Result<Handle, Error> {
    let metrics = Metrics::new();
    let now = options.clock.now();
    let certificate = LiveCertificate::start(options.tls, &metrics, now)?;
    let live = Live::start(options.source, &metrics, now)?;
    let tls = certificate.current.server_config().map_err(Error::Tls)?;
    let (listener, addr) = listen(options.listen).await?;
    let monitoring = match options.monitoring {
        Some(address) => Some(listen(address).await?),
        None => None,
    };

    let service = Service::new(Arc::new(Shared {
        live,
        certificate: Some(certificate),
        metrics,
        room: Room::new(&options.limits),
        limits: options.limits,
        clock: options.clock,
        recorder: options.recorder,
        stopping: AtomicBool::new(false),
    }));
    let (stop, stopped) = watch::channel(false);
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let mut servers = vec![tokio::spawn(listener::run(listener, Some(acceptor), service.clone(), stopped.clone()))];
    let mut monitoring_addr = None;
    if let Some((listener, addr)) = monitoring {
        let service = Service::monitoring(Arc::clone(&service.shared));
        servers.push(tokio::spawn(listener::run(listener, None, service, stopped.clone())));
        monitoring_addr = Some(addr);
    }
    let reloader = tokio::spawn(reload::run(Arc::clone(&service.shared), options.poll, stopped));
    Ok(Handle { addr, monitoring: monitoring_addr, service, stop, servers, reloader })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

impl Handle {
    /// The address it listens on, the port filled in.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address of the port without TLS, if there is one.
    pub fn monitoring(&self) -> Option<SocketAddr> {
        self.monitoring
    }

    /// The metrics as `GET /metrics` shows them.
    pub fn metrics(&self) -> String {
        self.service.metrics()
    }

    /// The first twelve digits of the SHA-256 of the configuration in use.
    pub fn config_hash(&self) -> String {
        self.service.shared.live.hash()
    }

    /// Looks at the configuration files now, without waiting for the next poll.
    pub fn reload_config(&self) -> Result<Reload, LoadError> {
        let shared = &self.service.shared;
        shared.live.reload(&shared.metrics, shared.clock.now())
    }

    /// Reads the certificate files now, without waiting for the next poll.
    pub fn reload_certificate(&self) -> Result<Reload, LoadError> {
        let shared = &self.service.shared;
        match &shared.certificate {
            Some(certificate) => certificate.reload(&shared.metrics, shared.clock.now()),
            None => Ok(Reload::Unchanged),
        }
    }

    /// Stops accepting, answers what has begun, and returns when all of it is done: after at most
    /// [`Limits::stop_delay`] and [`Limits::stop`] together.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        for server in &mut self.servers {
            let _ = server.await;
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.reloader.abort();
        for server in &self.servers {
            server.abort();
        }
    }
}

/// The injector as a hyper service without a listener, for connections of any kind (see
/// [`Service::serve_connection`]).
pub fn service(injector: Arc<Injector>, limits: Limits, clock: Clock) -> Service {
    let metrics = Metrics::new();
    let live = Live::fixed(injector, &metrics, clock.now());
    Service::new(Arc::new(Shared {
        live,
        certificate: None,
        metrics,
        room: Room::new(&limits),
        limits,
        clock,
        recorder: None,
        stopping: AtomicBool::new(false),
    }))
}

impl Service {
    /// Serves HTTP/1.1 or HTTP/2, whichever the client begins with, on any connection, for instance one end of
    /// `tokio::io::duplex`. Returns when the connection has ended.
    pub async fn serve_connection<Io>(&self, io: Io)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        connection::serve(io, self.clone(), std::future::pending()).await;
    }
}

/// An error with its causes on one line; what a cause repeats is not said twice.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
