//! The proxy's listeners: TLS for the apiserver, plain HTTP for whoever watches.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use admission::capture::{Counts, Recorder};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::proxy::{Shared, in_time, pass, refusal};
use super::{Limits, Upstream};

/// What a proxy is started with.
pub struct Options {
    /// Where to listen with TLS; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where `/metrics`, `/healthz` and `/ready` are answered without TLS, if anywhere.
    pub admin: Option<SocketAddr>,
    /// The certificate chain, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: String,
    /// The webhook.
    pub upstream: Upstream,
    /// Where it is recorded. [`Handle::shutdown`] closes it.
    pub recorder: Recorder,
    /// The limits.
    pub limits: Limits,
}

/// Why a proxy did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, not ours, or not permitted.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The certificate and key are not usable.
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
}

/// A running proxy; dropping it stops it at once.
pub struct Handle {
    /// Where it listens, the port filled in.
    pub addr: SocketAddr,
    /// The address of the port without TLS.
    pub admin: Option<SocketAddr>,
    recorder: Recorder,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
}

impl Handle {
    /// Stops accepting, answers what has begun (within [`Limits::stop`]), and closes the capture.
    pub async fn shutdown(mut self) -> Counts {
        let _ = self.stop.send(true);
        for server in &mut self.servers {
            let _ = server.await;
        }
        let recorder = self.recorder.clone();
        tokio::task::spawn_blocking(move || recorder.close()).await.unwrap_or_default()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

/// Starts a proxy: when this returns, it listens.
///
/// # Errors
/// [`Error`].
pub async fn start(options: Options) -> Result<Handle, Error> {
    let tls = acceptor(&options.certificate, &options.key)?;
    let (listener, addr) = listen(options.listen).await?;
    let admin = match options.admin {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let (stop, stopped) = watch::channel(false);
    let recorder = options.recorder.clone();
    let shared = Arc::new(Shared { upstream: options.upstream, recorder: options.recorder, limits: options.limits });
    let mut servers = vec![tokio::spawn(accept(listener, tls, shared, stopped.clone()))];
    let mut admin_addr = None;
    if let Some((listener, addr)) = admin {
        servers.push(tokio::spawn(watched(listener, recorder.clone(), stopped)));
        admin_addr = Some(addr);
    }
    Ok(Handle { addr, admin: admin_addr, recorder, stop, servers })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn acceptor(certificate: &str, key: &str) -> Result<TlsAcceptor, Error> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Certificate(error.to_string()))?;
    // The parser's own message may quote the text, which must not be shown.
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|_| Error::Certificate("no private key in the key's file".to_owned()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| Error::Certificate(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The next connection; errors of accepting are told and survived.
async fn next(listener: &TcpListener) -> Option<tokio::net::TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(shared.limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let graceful = GracefulShutdown::new();
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(90))
        .preserve_header_case(true)
        .auto_date_header(false)
        .max_buf_size(64 << 10)
        .http2()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(1000)
        .keep_alive_interval(Duration::from_secs(30));
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let stream = tokio::select! {
            stream = next(&listener) => stream,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Some(stream) = stream else { continue };
        let (tls, shared, builder, watcher) = (tls.clone(), Arc::clone(&shared), builder.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _place = place;
            let _ = stream.set_nodelay(true);
            let Some(Ok(stream)) = in_time(tls.accept(stream)).await else { return };
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { pass(&shared, request).await }
            });
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(shared.limits.stop, graceful.shutdown()).await.is_err() {
        tracing::warn!("cut off requests that did not end in time");
    }
}

/// The port without TLS.
async fn watched(listener: TcpListener, recorder: Recorder, mut stop: watch::Receiver<bool>) {
    loop {
        let stream = tokio::select! {
            stream = next(&listener) => stream,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Some(stream) = stream else { continue };
        let recorder = recorder.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let response = look(&recorder, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).keep_alive(false);
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn look(recorder: &Recorder, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (kind, text) = match request.uri().path() {
        "/metrics" => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (kind, format!("{}# EOF\n", recorder.counts().openmetrics()))
        }
        "/healthz" | "/ready" => ("text/plain; charset=utf-8", "ok\n".to_owned()),
        _ => return refusal(StatusCode::NOT_FOUND, "here are /metrics, /healthz and /ready"),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}
