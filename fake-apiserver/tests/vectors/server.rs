//! The webhook servers of the recordings, on connections in memory: the same ports, certificates and ways to fail.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use apimachinery::value::{Value, json};
use fake_apiserver::admission::{Connection, Connector, Io};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, ReadBuf,
};

use crate::pki::PKI;
use crate::program::{Programs, Reply};

/// All servers of one case, and what they heard.
pub(crate) struct Servers {
    pub(crate) programs: Programs,
    calls: Mutex<Vec<Value>>,
    next_port: AtomicU16,
}

/// One server, as connections find it.
struct Server {
    label: String,
    tls: Option<&'static str>,
    /// Speaks HTTP/2 when the client wants to, instead of only saying so.
    http2: bool,
}

impl Servers {
    pub(crate) fn new(programs: Programs) -> Arc<Servers> {
        Arc::new(Servers { programs, calls: Mutex::default(), next_port: AtomicU16::new(40_000) })
    }

    /// The calls so far, in the form of the recordings' `webhookCalls`.
    pub(crate) fn calls(&self) -> Vec<Value> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many there are so far.
    pub(crate) fn count(&self) -> usize {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// The connector of one case.
pub(crate) struct Memory(pub(crate) Arc<Servers>);

impl Connector for Memory {
    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, String>> + Send + 'a>> {
        Box::pin(async move { self.dial(host, port) })
    }
}

impl Memory {
    fn dial(&self, host: &str, port: u16) -> Result<Connection, String> {
        let address = match host {
            "localhost" => "127.0.0.1",
            other => other,
        };
        let server = |label: &str, tls| Server { label: label.to_owned(), tls, http2: false };
        let server = match (address, port) {
            ("127.0.0.1", 18443) => server("main", Some("main")),
            ("127.0.0.1", 18444) => server("wrongsan", Some("wrongsan")),
            ("127.0.0.1", 18445) => server("expired", Some("expired")),
            ("127.0.0.1", 18446) => server("plain-http", None),
            ("127.0.0.1", 18450) => server("nosan", Some("nosan")),
            ("127.0.0.1", 18451) => server("clientonly", Some("clientonly")),
            ("127.0.0.1", 18453) => server("alpn h2,http/1.1", Some("h2")),
            ("127.0.0.1", 18461) | ("10.96.0.50", 8454) => Server { http2: true, ..server("go", Some("h2")) },
            ("10.96.0.50", 443 | 15017) => server(&format!("service {address}:{port}"), Some("main")),
            ("127.0.0.1", 18448) => return Ok(self.connection(address, port, Box::new(Ended { error: None }))),
            ("127.0.0.1", 18452) => {
                let error = Some(io::ErrorKind::ConnectionReset);
                return Ok(self.connection(address, port, Box::new(Ended { error })));
            }
            ("127.0.0.1", 18449) => {
                let (near, far) = tokio::io::duplex(1 << 16);
                tokio::spawn(async move {
                    let _open = far;
                    std::future::pending::<()>().await;
                });
                return Ok(self.connection(address, port, Box::new(near)));
            }
            (address, _) if address.parse::<std::net::IpAddr>().is_ok() => {
                return Err(format!("dial tcp {address}:{port}: connect: connection refused"));
            }
            // The name server of the recording.
            (name, _) => return Err(format!("dial tcp: lookup {name} on 10.255.255.53:53: no such host")),
        };
        let (near, far) = tokio::io::duplex(1 << 16);
        let connection = self.connection(address, port, Box::new(near));
        let (servers, client) = (self.0.clone(), connection.local.clone());
        tokio::spawn(async move { drop(servers.serve(server, far, client).await) });
        Ok(connection)
    }

    fn connection(&self, address: &str, port: u16, io: Box<dyn Io>) -> Connection {
        let local = format!("127.0.0.1:{}", self.0.next_port.fetch_add(1, Ordering::Relaxed));
        Connection { io, local, remote: format!("{address}:{port}") }
    }
}

/// A connection that was closed or reset as soon as it was there.
struct Ended {
    error: Option<io::ErrorKind>,
}

impl AsyncRead for Ended {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.error.map_or(Ok(()), |kind| Err(kind.into())))
    }
}

impl AsyncWrite for Ended {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What the TLS of a connection came to.
#[derive(Clone)]
struct Met {
    label: String,
    client_port: u16,
    sni: Option<String>,
    alpn: Option<String>,
}

impl Servers {
    async fn serve(self: Arc<Self>, server: Server, io: tokio::io::DuplexStream, client: String) -> io::Result<()> {
        let client_port = client.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default();
        let mut met = Met { label: server.label, client_port, sni: None, alpn: None };
        let Some(tls) = server.tls else { return self.http1(io, met).await };
        let stream = tokio_rustls::TlsAcceptor::from(PKI.server(tls)).accept(io).await?;
        let connection = stream.get_ref().1;
        met.sni = connection.server_name().map(str::to_owned);
        met.alpn = connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        if server.http2 && met.alpn.as_deref() == Some("h2") {
            return self.http2(stream, met).await;
        }
        self.http1(stream, met).await
    }

    fn heard(
        &self,
        met: &Met,
        method: &str,
        target: &str,
        version: &str,
        headers: Vec<(String, String)>,
        raw: &[u8],
    ) -> (String, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let raw = String::from_utf8_lossy(raw);
        let body: Value = serde_json::from_str(&raw).unwrap_or_default();
        let call = json!({
            "server": met.label, "method": method, "path": path, "query": query, "httpVersion": version,
            "headers": headers, "body": body, "bodyRaw": raw,
            "tls": {"sni": met.sni, "alpn": met.alpn, "clientPort": met.client_port},
        });
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        (path.to_owned(), body)
    }

    async fn http2<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: Arc<Self>,
        io: T,
        met: Met,
    ) -> io::Result<()> {
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let (servers, met) = (self.clone(), met.clone());
            async move {
                let (parts, body) = request.into_parts();
                let raw = body.collect().await?.to_bytes();
                let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
                let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
                let mut headers = vec![(
                    ":authority".to_owned(),
                    parts.uri.authority().map_or_else(String::new, ToString::to_string),
                )];
                headers.extend(parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))));
                let (path, review) = servers.heard(&met, parts.method.as_str(), target, "HTTP/2.0", headers, &raw);
                let reply = servers.programs.answer(&path, &review);
                let response =
                    hyper::Response::builder().status(reply.status).header("content-type", "application/json");
                Ok::<_, hyper::Error>(response.body(Full::new(bytes::Bytes::from(reply.body))).unwrap())
            }
        });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(TokioIo::new(io), service).await.map_err(io::Error::other)
    }

    async fn http1<T: AsyncRead + AsyncWrite + Unpin>(&self, io: T, met: Met) -> io::Result<()> {
        let mut io = BufReader::new(io);
        loop {
            let mut lines = Vec::new();
            loop {
                let mut line = Vec::new();
                if io.read_until(b'\n', &mut line).await? == 0 {
                    return Ok(());
                }
                if lines.is_empty() && !line[0].is_ascii_uppercase() {
                    // A TLS client at a plain port.
                    io.write_all(b"<!DOCTYPE HTML>\n<html lang=\"en\"><title>Error response</title></html>\n").await?;
                    return io.shutdown().await;
                }
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if line.is_empty() {
                    break;
                }
                lines.push(line);
            }
            let mut first = lines[0].split(' ').map(str::to_owned);
            let (method, target, version) =
                (first.next().unwrap_or_default(), first.next().unwrap_or_default(), first.next().unwrap_or_default());
            if version != "HTTP/1.1" {
                io.write_all(b"HTTP/1.1 505 HTTP Version Not Supported\r\nConnection: close\r\n\r\n").await?;
                return io.shutdown().await;
            }
            let header = |line: &String| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
            let headers: Vec<(String, String)> = lines.iter().skip(1).filter_map(header).collect();
            let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
            let mut raw = vec![0; length];
            io.read_exact(&mut raw).await?;
            let (path, review) = self.heard(&met, &method, &target, &version, headers, &raw);
            // As long as a recorded create took. A controller that never stops creating must not keep virtual time from passing.
            tokio::time::sleep(Duration::from_millis(15)).await;
            let reply = self.programs.answer(&path, &review);
            if !send(&mut io, reply).await? {
                return io.shutdown().await;
            }
        }
    }
}

async fn pause(seconds: &Value) {
    if let Some(seconds) = seconds.as_f64() {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }
}

/// Sends a reply; whether the connection stays.
async fn send<T: AsyncWrite + Unpin>(io: &mut T, reply: Reply) -> io::Result<bool> {
    let how = &reply.how;
    pause(&how["sleep"]).await;
    if how["closeConnection"] == true {
        return Ok(false);
    }
    let mut head = format!("HTTP/1.1 {} Recorded\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut body = reply.body;
    let mut stays = true;
    let mut length = body.len();
    if how.get("gzip").is_some() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        io::Write::write_all(&mut encoder, &body)?;
        body = encoder.finish()?;
        length = body.len();
        head.push_str("Content-Encoding: gzip\r\n");
    } else if how.get("chunked").is_some() {
        head.push_str("Transfer-Encoding: chunked\r\n\r\n");
        io.write_all(head.as_bytes()).await?;
        let (first, second) = body.split_at(body.len() / 2);
        for part in [first, second, b""] {
            io.write_all(format!("{:x}\r\n", part.len()).as_bytes()).await?;
            io.write_all(part).await?;
            io.write_all(b"\r\n").await?;
        }
        return io.flush().await.map(|()| true);
    } else if how.get("chunkedTruncate").is_some() {
        (length, stays) = (body.len() + 100, false);
    } else if how.get("connClose").is_some() {
        head.push_str("Connection: close\r\n");
        stays = false;
    }
    head.push_str(&format!("Content-Length: {length}\r\n\r\n"));
    io.write_all(head.as_bytes()).await?;
    if let Some(seconds) = how["slowBody"].as_f64() {
        for part in body.chunks((body.len() / 20).max(1)) {
            io.write_all(part).await?;
            io.flush().await?;
            tokio::time::sleep(Duration::from_secs_f64(seconds / 20.0)).await;
        }
    } else {
        io.write_all(&body).await?;
    }
    io.flush().await?;
    Ok(stays)
}
