//! How a connection comes about: a [`Connector`] yields a byte stream, TLS goes over it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A byte stream to a webhook.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection that was made, with the addresses that error texts name.
pub struct Connection {
    /// The stream; TLS has not begun.
    pub io: Box<dyn Io>,
    /// Own address, e.g. `127.0.0.1:51106`.
    pub local: String,
    /// The other side's address.
    pub remote: String,
}

/// A webhook in this process, handed requests as they are: without a connection, TLS or HTTP's framing.
pub trait InProcess: Send + Sync {
    /// Answers a request; its URI is path and query, such as `/inject?timeout=10s`. The webhook's timeout ends it.
    fn answer(&self, request: Request<Bytes>) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send + '_>>;
}

/// Dials webhooks: TCP, or a connection in memory that speaks the same TLS and HTTP. Or knows those in this process.
pub trait Connector: Send + Sync {
    /// The webhook in this process that stands for a host and port; by default there is none. Redirects, Retry-After,
    /// timeouts and statuses count as over a connection; a `caBundle`, if there is one, has to hold certificates, though nobody
    /// shows one.
    fn in_process(&self, host: &str, port: u16) -> Option<Arc<dyn InProcess>> {
        let _ = (host, port);
        None
    }

    /// Connects to a host (a name or an address) and port.
    ///
    /// # Errors
    /// The text of the failure as Go says it, e.g. `dial tcp 127.0.0.1:1: connect: connection refused`.
    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, String>> + Send + 'a>>;
}

/// Real sockets.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, String>> + Send + 'a>> {
        Box::pin(dial(host, port))
    }
}

async fn dial(host: &str, port: u16) -> Result<Connection, String> {
    let addresses: Vec<_> = match tokio::net::lookup_host((host, port)).await {
        Ok(addresses) => addresses.collect(),
        Err(_) => Vec::new(),
    };
    let mut first_error = None;
    for address in &addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // As Go does; a refusal to set it is not worth a failed call.
                let _ = stream.set_nodelay(true);
                let local = stream.local_addr().map(|address| address.to_string()).unwrap_or_default();
                return Ok(Connection { io: Box::new(stream), local, remote: address.to_string() });
            }
            Err(error) => {
                first_error.get_or_insert_with(|| format!("dial tcp {address}: connect: {}", reason(&error)));
            }
        }
    }
    Err(first_error.unwrap_or_else(|| no_such_host(host)))
}

/// Go names the server that it asked.
fn no_such_host(host: &str) -> String {
    let servers = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let server = servers.lines().find_map(|line| line.strip_prefix("nameserver")).map(str::trim);
    match server {
        Some(server) => format!("dial tcp: lookup {host} on {server}:53: no such host"),
        None => format!("dial tcp: lookup {host}: no such host"),
    }
}

/// The system's text for a socket error, as Go prints it.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        io::ErrorKind::BrokenPipe => "broken pipe".to_owned(),
        io::ErrorKind::TimedOut => "connection timed out".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        io::ErrorKind::AddrNotAvailable => "cannot assign requested address".to_owned(),
        _ => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            text.to_lowercase()
        }
    }
}

/// The first bytes of the latest read, for error texts that quote what the other side said.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    const LIMIT: usize = 160;

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, bytes: &[u8]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.clear();
        heard.extend_from_slice(&bytes[..bytes.len().min(Self::LIMIT)]);
    }
}

/// A stream that remembers what it heard.
pub(crate) struct Tap<T> {
    inner: T,
    heard: Heard,
}

impl<T> Tap<T> {
    pub(crate) fn new(inner: T) -> (Self, Heard) {
        let heard = Heard::default();
        (Self { inner, heard: heard.clone() }, heard)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Tap<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = &result
            && buf.filled().len() > before
        {
            self.heard.note(&buf.filled()[before..]);
        }
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Tap<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
