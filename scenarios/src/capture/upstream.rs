//! The webhook behind the proxy: pooled connections, HTTP/2 where it offers it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::https::{self, Trust};

/// Where requests go. Clones share the connections.
#[derive(Clone)]
pub struct Upstream {
    client: Client<Connector, Full<Bytes>>,
    authority: Authority,
    /// Goes before each request's own path.
    prefix: String,
}

impl Upstream {
    /// An `https://` URL and whom to believe. A path in the URL goes before the path of each request.
    ///
    /// # Errors
    /// The URL or the file with authorities cannot be used.
    pub fn new(url: &str, trust: &Trust) -> Result<Self, https::Error> {
        let bad = |problem: &str| https::Error::Url { url: url.to_owned(), problem: problem.to_owned() };
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| bad(&error.to_string()))?;
        if uri.scheme_str() != Some("https") {
            return Err(bad("has to begin with https://, as an apiserver demands"));
        }
        if uri.query().is_some() {
            return Err(bad("has a query; each request brings its own"));
        }
        let authority = uri.authority().cloned().ok_or_else(|| bad("has no host"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|error| bad(&error.to_string()))?;
        let mut tls = https::client_config(trust, None)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let connector = Connector { host, port: authority.port_u16().unwrap_or(443), name, tls: Arc::new(tls) };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .http1_preserve_header_case(true)
            .http1_max_buf_size(64 << 10)
            .set_host(false)
            .build(connector);
        Ok(Self { client, authority, prefix: uri.path().trim_end_matches('/').to_owned() })
    }

    /// Host and port, as the URL has them.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// Sends a request whose URI is a path and query.
    ///
    /// # Errors
    /// Connecting, TLS, HTTP; in words.
    pub(super) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
        let tail = request.uri().path_and_query().map_or("/", |tail| tail.as_str());
        let target = Uri::builder().scheme(Scheme::HTTPS).authority(self.authority.clone());
        let target = target.path_and_query(format!("{}{tail}", self.prefix)).build();
        *request.uri_mut() = target.map_err(|error| error.to_string())?;
        self.client.request(request).await.map_err(|error| {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            text
        })
    }
}

#[derive(Clone)]
struct Connector {
    host: String,
    port: u16,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let stream = TcpStream::connect((connector.host.as_str(), connector.port)).await?;
            stream.set_nodelay(true)?;
            let stream = TlsConnector::from(connector.tls).connect(connector.name, stream).await?;
            Ok(TokioIo::new(Stream(stream)))
        })
    }
}

/// A TLS connection that says whether HTTP/2 was agreed on.
struct Stream(TlsStream<TcpStream>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.0.get_ref().1.alpn_protocol() == Some(b"h2") { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
