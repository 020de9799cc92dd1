//! Connections kept for the next call: HTTP/1.1 ones while idle, HTTP/2 ones shared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::connect::{Connector, Heard, Io, Tap};
use super::errors::{self, Ends};

/// As client-go's transport keeps them.
const IDLE_PER_HOST: usize = 25;
const IDLE_TIME: Duration = Duration::from_secs(90);

/// One side of a connection that requests are sent on.
pub(crate) struct Line {
    sender: Sender,
    pub(crate) ends: Ends,
    pub(crate) heard: Heard,
    idle_since: Instant,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// What to connect to.
pub(crate) struct Destination<'a> {
    /// Distinguishes destinations and trust.
    pub(crate) key: String,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// Name for SNI and verification, and the TLS settings; none for plain HTTP.
    pub(crate) tls: Option<(&'a str, Arc<rustls::ClientConfig>)>,
}

/// The pool of one client.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<HashMap<String, Vec<Line>>>,
}

impl Pool {
    /// A connection: one that waits, or a new one.
    pub(crate) async fn line(&self, to: &Destination<'_>, connector: &dyn Connector) -> Result<Line, String> {
        while let Some(mut line) = self.take(&to.key) {
            if line.idle_since.elapsed() < IDLE_TIME && line.sender.ready().await {
                return Ok(line);
            }
        }
        // Large, and seldom needed.
        Box::pin(connect(to, connector)).await
    }

    fn take(&self, key: &str) -> Option<Line> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = idle.get_mut(key)?;
        // An HTTP/2 connection carries many requests at once: it stays.
        if let Some(Line { sender: Sender::Http2(sender), ends, heard, .. }) = lines.last() {
            let (sender, ends, heard) = (sender.clone(), ends.clone(), heard.clone());
            if sender.is_closed() {
                lines.pop();
                return None;
            }
            return Some(Line { sender: Sender::Http2(sender), ends, heard, idle_since: Instant::now() });
        }
        lines.pop()
    }

    /// Keeps a connection for later.
    pub(crate) fn put(&self, key: &str, mut line: Line) {
        line.idle_since = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = idle.entry(key.to_owned()).or_default();
        let shared = matches!(line.sender, Sender::Http2(_));
        let room = if shared { 1 } else { IDLE_PER_HOST };
        if lines.len() < room {
            lines.push(line);
        }
    }
}

impl Line {
    pub(crate) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match &mut self.sender {
            Sender::Http1(sender) => sender.send_request(request).await,
            Sender::Http2(sender) => sender.send_request(request).await,
        }
    }
}

impl Sender {
    async fn ready(&mut self) -> bool {
        match self {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(sender) => sender.ready().await.is_ok(),
        }
    }
}

async fn connect(to: &Destination<'_>, connector: &dyn Connector) -> Result<Line, String> {
    let connection = connector.connect(to.host, to.port).await?;
    let ends = Ends { local: connection.local, remote: connection.remote };
    let (io, raw): (_, Heard) = Tap::new(connection.io);
    let mut http2 = false;
    let io: Box<dyn Io> = match &to.tls {
        None => Box::new(io),
        Some((name, config)) => {
            let name = ServerName::try_from((*name).to_owned())
                .map_err(|_| format!("tls: {} is not a valid host name", super::super::golang::quote(name)))?;
            let stream = TlsConnector::from(config.clone())
                .connect(name, io)
                .await
                .map_err(|error| errors::handshake(&error, &ends, &raw.bytes()))?;
            http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            Box::new(stream)
        }
    };
    let (io, heard) = Tap::new(io);
    let io = TokioIo::new(io);
    let failed = |error: hyper::Error| errors::request(&error, &ends, &heard.bytes());
    let sender = if http2 {
        let (sender, driver) = http2::handshake(TokioExecutor::new(), io).await.map_err(failed)?;
        tokio::spawn(async move { drop(driver.await) });
        Sender::Http2(sender)
    } else {
        let (sender, driver) = http1::Builder::new().title_case_headers(true).handshake(io).await.map_err(failed)?;
        tokio::spawn(async move { drop(driver.await) });
        Sender::Http1(sender)
    };
    Ok(Line { sender, ends, heard, idle_since: Instant::now() })
}
