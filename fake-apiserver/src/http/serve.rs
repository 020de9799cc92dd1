//! The TLS listener.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::handler::{Peer, handle};
use crate::Error;
use crate::core::Shared;

/// How long a client may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How many connections in memory may wait to be taken.
const WAITING: usize = 64;

/// A listening server. Dropping it closes the listener and every connection.
pub(crate) struct Listener {
    /// Takes connections in memory.
    door: mpsc::Sender<DuplexStream>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes the address; nothing is served before [`Listener::start`].
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

impl Listener {
    /// Serves connections in a task of the current runtime; those in memory are `local`'s.
    pub(crate) fn start(listener: TcpListener, tls: Arc<rustls::ServerConfig>, core: Shared, local: Peer) -> Listener {
        let acceptor = TlsAcceptor::from(tls);
        let (door, mut inside) = mpsc::channel(WAITING);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => {
                            connections.spawn(connection(stream, acceptor.clone(), core.clone()));
                        }
                        Err(error) => {
                            tracing::warn!(%error, "cannot accept a connection");
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                    },
                    Some(stream) = inside.recv() => {
                        // No timers: a client in the same process is not waited for.
                        let server = auto::Builder::new(TokioExecutor::new());
                        connections.spawn(requests(stream, server, local.clone(), core.clone()));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Listener { door, task }
    }

    /// Where connections in memory are taken.
    pub(crate) fn door(&self) -> mpsc::Sender<DuplexStream> {
        self.door.clone()
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, core: Shared) {
    let _ = stream.set_nodelay(true);
    let address = stream.peer_addr().ok().map(|address| address.ip());
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => return tracing::debug!("TLS handshake took too long"),
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let identity = certificate.and_then(|certificate| core.authority.identify(certificate));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).title_case_headers(true);
    server.http2().timer(TokioTimer::new());
    requests(stream, server, Peer { identity, address }, core).await;
}

/// Answers the requests of one connection.
async fn requests<S>(stream: S, server: auto::Builder<TokioExecutor>, peer: Peer, core: Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (core, peer) = (core.clone(), peer.clone());
        async move { Ok::<_, Infallible>(handle(&core, &peer, request).await) }
    });
    if let Err(error) = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "connection ended");
    }
}
