//! One call: request, redirects, retries, the reply's body, and what its status means.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::value::{List, Value};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION, REFERER, RETRY_AFTER, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::super::cluster::Cluster;
use super::super::golang;
use super::config::ClientConfig;
use super::connect::{Connector, InProcess, TcpConnector};
use super::errors::{self, Ends};
use super::pool::{Destination, Pool};
use super::tls::Time;
use super::url::Url;

/// Retries of client-go after a reply with Retry-After.
const MAX_RETRIES: u32 = 10;
/// Requests of one call at most, redirects included: net/http's limit.
const MAX_REQUESTS: usize = 10;
/// Bytes of a reply, before and after unpacking. Go has no limit; 20 MiB are recorded as accepted.
const MAX_REPLY: usize = 256 << 20;
const DEADLINE: &str = "context deadline exceeded";

/// Why there is no reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The client could not be made, e.g. for a caBundle that is not PEM.
    Setup(String),
    /// The call failed.
    Call(String),
    /// The webhook answered with an HTTP status that is no success.
    Status(u16, String),
}

impl CallError {
    /// What an answer of this status without a body comes to.
    pub(crate) fn of_status(code: u16) -> CallError {
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let reply = Reply { status, headers: HeaderMap::new(), body: Bytes::new() };
        CallError::Status(code, interpret(reply).err().unwrap_or_default())
    }
}

/// The client of all webhooks of an apiserver.
pub(crate) struct Client {
    connector: Arc<dyn Connector>,
    pool: Pool,
    time: Time,
}

impl Default for Client {
    fn default() -> Self {
        Self::new(Arc::new(TcpConnector))
    }
}

/// A reply as it stands after redirects.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Client {
    pub(crate) fn new(connector: Arc<dyn Connector>) -> Self {
        Self { connector, pool: Pool::default(), time: Time::default() }
    }

    /// Posts a review and returns the body of a successful reply. `?timeout=` says the timeout in whole seconds,
    /// rounded up.
    pub(crate) async fn post(
        &self,
        config: &ClientConfig,
        cluster: &dyn Cluster,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        let mut url = config.url.clone().map_err(CallError::Setup)?;
        self.time.set(cluster.unix_seconds());
        let tls = config.tls(&self.time).map_err(CallError::Setup)?;
        let deadline = Instant::now() + timeout;
        let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
        if seconds > 0 {
            url.query = format!("timeout={seconds}s");
        }
        let call = Call { client: self, config, cluster, tls, deadline };
        let mut retries = 0;
        loop {
            let reply = call.follow(url.clone(), body.clone()).await.map_err(CallError::Call)?;
            match wait(&reply).filter(|_| retries < MAX_RETRIES) {
                Some(pause) => {
                    retries += 1;
                    let until = Instant::now() + pause;
                    if until >= deadline {
                        tokio::time::sleep_until(deadline).await;
                        return Err(CallError::Call(format!("Post {}: {DEADLINE}", golang::quote(&url.to_string()))));
                    }
                    tokio::time::sleep_until(until).await;
                }
                None => {
                    let status = reply.status.as_u16();
                    return interpret(reply).map_err(|error| match status {
                        200..=206 => CallError::Call(error),
                        _ => CallError::Status(status, error),
                    });
                }
            }
        }
    }
}

struct Call<'a> {
    client: &'a Client,
    config: &'a ClientConfig,
    cluster: &'a dyn Cluster,
    tls: Arc<rustls::ClientConfig>,
    deadline: Instant,
}

impl Call<'_> {
    /// Sends the request and follows redirects: 301, 302 and 303 as a GET, 307 and 308 with the body again.
    async fn follow(&self, first: Url, body: Bytes) -> Result<Reply, String> {
        let mut url = first;
        let mut body = Some(body);
        let mut referer: Option<String> = None;
        let mut location = String::new();
        for _ in 0..MAX_REQUESTS {
            let wrap = |error: &str| format!("Post {}: {error}", golang::quote(&url.to_string()));
            let (status, headers, incoming, ends, done) =
                self.send(&url, body.clone(), referer.as_deref()).await.map_err(|error| wrap(&error))?;
            let target = match (status.as_u16(), headers.get(LOCATION).and_then(|text| text.to_str().ok())) {
                (301 | 302 | 303 | 307 | 308, Some(location)) if !location.is_empty() => location.to_owned(),
                _ => {
                    let body = self.read(incoming, &headers, &ends).await?;
                    done(self.client);
                    return Ok(Reply { status, headers, body });
                }
            };
            let next = url.join(&target).map_err(|error| format!("Post {}: {error}", golang::quote(&target)))?;
            location = target;
            // Go drains a little of the redirect's body so that the connection can be used again.
            if self.read(incoming, &headers, &ends).await.is_ok() {
                done(self.client);
            }
            if matches!(status.as_u16(), 301..=303) {
                body = None;
            }
            // Not from https to http.
            referer = (next.https || !url.https).then(|| url.to_string());
            url = next;
        }
        Err(format!("Post {}: stopped after {MAX_REQUESTS} redirects", golang::quote(&location)))
    }

    /// One request on one connection. `done` gives the connection back once the body is read.
    #[allow(clippy::type_complexity, reason = "the parts of one response, taken apart at once by the only caller")]
    async fn send(
        &self,
        url: &Url,
        body: Option<Bytes>,
        referer: Option<&str>,
    ) -> Result<(StatusCode, HeaderMap, Arriving, Ends, Box<dyn FnOnce(&Client) + Send>), String> {
        let (host, port) = self.dial(url)?;
        if let Some(webhook) = self.client.connector.in_process(&host, port) {
            let (status, headers, body) = self.hand_over(&*webhook, request(url, body, referer, false)?).await?;
            return Ok((status, headers, Arriving::There(body), Ends::default(), Box::new(|_| ())));
        }
        let name = match &self.config.service {
            Some((namespace, name, _)) => format!("{name}.{namespace}.svc"),
            None => url.host.clone(),
        };
        let tls = url.https.then(|| (name.as_str(), self.tls.clone()));
        let scheme = url.scheme();
        let key = format!("{scheme}|{}|{name}|{host}:{port}|{}", url.authority, self.config.trust);
        let to = Destination { key, host: &host, port, tls };
        let mut fresh = 0;
        loop {
            let connecting = self.client.pool.line(&to, &*self.client.connector);
            let mut line = timeout_at(self.deadline, connecting).await.map_err(|_| DEADLINE.to_owned())??;
            let request = request(url, body.clone(), referer, line.is_http2())?.map(Full::new);
            let response = timeout_at(self.deadline, line.send(request)).await.map_err(|_| DEADLINE.to_owned())?;
            let response = match response {
                Ok(response) => response,
                // The connection ended while it waited: nothing was sent, so another one is tried.
                Err(error) if error.is_canceled() && fresh < 3 => {
                    fresh += 1;
                    continue;
                }
                Err(error) => return Err(errors::request(&error, &line.ends, &line.heard.bytes())),
            };
            let (parts, incoming) = response.into_parts();
            let ends = line.ends.clone();
            let key = to.key;
            let done = Box::new(move |client: &Client| client.pool.put(&key, line));
            return Ok((parts.status, parts.headers, Arriving::Over(incoming), ends, done));
        }
    }

    /// One request to a webhook in this process.
    async fn hand_over(
        &self,
        webhook: &dyn InProcess,
        request: Request<Bytes>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let response = timeout_at(self.deadline, webhook.answer(request)).await.map_err(|_| DEADLINE.to_owned())?;
        let (parts, body) = response.into_parts();
        Ok((parts.status, parts.headers, body))
    }

    /// Where to dial. A service reference goes to the clusterIP and the service's port, unless the caller gave an
    /// address for it (vectors `service-ref/*`).
    fn dial(&self, url: &Url) -> Result<(String, u16), String> {
        let Some((namespace, name, port)) = &self.config.service else {
            return Ok((url.host.clone(), url.port));
        };
        if self.config.url.as_ref().is_ok_and(|own| own.authority != url.authority) {
            return Ok((url.host.clone(), url.port));
        }
        if let Some(address) = self.cluster.service_address(namespace, name, *port) {
            return Ok((address.ip().to_string(), address.port()));
        }
        let Some(service) = self.cluster.get("", "services", namespace, name) else {
            return Err(format!("service {} not found", golang::quote(name)));
        };
        let spec = &service["spec"];
        let cluster_ip = spec["clusterIP"].as_str().unwrap_or_default();
        match spec["type"].as_str().unwrap_or("ClusterIP") {
            "ExternalName" => Ok((spec["externalName"].as_str().unwrap_or_default().to_owned(), *port)),
            "ClusterIP" if cluster_ip == "None" => Err("cannot route to service with ClusterIP \"None\"".to_owned()),
            "ClusterIP" | "NodePort" | "LoadBalancer" => {
                let ports = spec["ports"].as_array().map(List::as_slice).unwrap_or_default();
                if ports.iter().any(|served| served["port"].as_u64() == Some(u64::from(*port))) {
                    Ok((cluster_ip.to_owned(), *port))
                } else {
                    Err(format!("no service port {port} found for service {}", golang::quote(name)))
                }
            }
            other => Err(format!("unsupported service type {}", golang::quote(other))),
        }
    }

    /// Reads the body, unpacked.
    async fn read(&self, arriving: Arriving, headers: &HeaderMap, ends: &Ends) -> Result<Bytes, String> {
        let body = match arriving {
            Arriving::There(body) => body,
            Arriving::Over(incoming) => self.receive(incoming, ends).await?.into(),
        };
        if body.len() > MAX_REPLY {
            return Err(format!("the reply is larger than {MAX_REPLY} bytes"));
        }
        let encoding = headers.get(http::header::CONTENT_ENCODING);
        if encoding.is_none_or(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"gzip")) || body.is_empty() {
            return Ok(body);
        }
        let mut unpacked = Vec::new();
        let limit = u64::try_from(MAX_REPLY).unwrap_or(u64::MAX);
        match MultiGzDecoder::new(&*body).take(limit).read_to_end(&mut unpacked) {
            Ok(_) => Ok(unpacked.into()),
            Err(error) => {
                let text = match error.kind() {
                    std::io::ErrorKind::InvalidInput => "gzip: invalid header",
                    std::io::ErrorKind::UnexpectedEof => "unexpected EOF",
                    _ => "gzip: invalid checksum",
                };
                Err(format!("unexpected error when reading response body. Please retry. Original error: {text}"))
            }
        }
    }

    /// Reads the body from a connection.
    async fn receive(&self, mut incoming: Incoming, ends: &Ends) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        while body.len() <= MAX_REPLY {
            let frame = timeout_at(self.deadline, incoming.frame()).await.map_err(|_| {
                format!("unexpected error when reading response body. Please retry. Original error: {DEADLINE}")
            })?;
            match frame {
                None => break,
                Some(Err(error)) => return Err(errors::body(&error, ends)),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        body.extend_from_slice(data);
                    }
                }
            }
        }
        Ok(body)
    }
}

/// The body of a response.
enum Arriving {
    /// Over a connection.
    Over(Incoming),
    /// Whole.
    There(Bytes),
}

/// The request with its headers in the recorded order.
fn request(url: &Url, body: Option<Bytes>, referer: Option<&str>, http2: bool) -> Result<Request<Bytes>, String> {
    let invalid = |error: &dyn std::fmt::Display| format!("invalid request: {error}");
    let uri = if http2 { url.to_string() } else { url.path_and_query() };
    let mut request = Request::new(body.clone().unwrap_or_default());
    *request.method_mut() = if body.is_some() { Method::POST } else { Method::GET };
    *request.uri_mut() = uri.parse().map_err(|error| invalid(&error))?;
    let headers = request.headers_mut();
    if !http2 {
        headers.insert(HOST, HeaderValue::from_str(&url.authority).map_err(|error| invalid(&error))?);
    }
    headers.insert(USER_AGENT, HeaderValue::from_static("kube-apiserver-admission"));
    if let Some(body) = &body {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*"));
    if body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(referer) = referer {
        headers.insert(REFERER, HeaderValue::from_str(referer).map_err(|error| invalid(&error))?);
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    Ok(request)
}

/// How long to wait before trying again: for 429 and 5xx with Retry-After in seconds.
fn wait(reply: &Reply) -> Option<Duration> {
    let status = reply.status.as_u16();
    if status != 429 && !(500..600).contains(&status) {
        return None;
    }
    let seconds = reply.headers.get(RETRY_AFTER)?.to_str().ok()?.parse::<u32>().ok()?;
    Some(Duration::from_secs(u64::from(seconds)))
}

/// The body of a successful reply, or client-go's words for the status (vectors `failure/http-*`).
fn interpret(reply: Reply) -> Result<Bytes, String> {
    let status = reply.status.as_u16();
    let content_type = reply.headers.get(CONTENT_TYPE).and_then(|text| text.to_str().ok()).unwrap_or_default();
    if (200..=206).contains(&status) {
        if reply.body.is_empty() {
            let content_type = if content_type.is_empty() { "application/json" } else { content_type };
            return Err(format!("0-length response with status code: {status} and content type: {content_type}"));
        }
        return Ok(reply.body);
    }
    if let Ok(body) = serde_json::from_slice::<Value>(&reply.body)
        && body["kind"] == "Status"
        && body["apiVersion"] == "v1"
        && body["status"] == "Failure"
    {
        return Err(body["message"].as_str().unwrap_or_default().to_owned());
    }
    let is_text = content_type.is_empty() || content_type.trim_start().to_ascii_lowercase().starts_with("text/");
    let said = if is_text {
        let cut = &reply.body[..reply.body.len().min(2048)];
        String::from_utf8_lossy(cut).trim().to_owned()
    } else {
        "unknown".to_owned()
    };
    Err(match status {
        400 => "the server rejected our request for an unknown reason".to_owned(),
        401 => "the server has asked for the client to provide credentials".to_owned(),
        403 => said,
        404 => "the server could not find the requested resource".to_owned(),
        405 => "the server does not allow this method on the requested resource".to_owned(),
        406 if said != "unknown" => said,
        406 => "the server was unable to respond with a content type that the client supports".to_owned(),
        409 => "the server reported a conflict".to_owned(),
        415 if said != "unknown" => said,
        415 => "the server was unable to respond with a content type that the client supports".to_owned(),
        422 => "the server rejected our request due to an error in our request".to_owned(),
        429 => "the server has received too many requests and has asked us to try again later".to_owned(),
        503 => "the server is currently unable to handle the request".to_owned(),
        504 => {
            "the server was unable to return a response in the time allotted, but may still be processing the request"
                .to_owned()
        }
        500.. => {
            let said = golang::quote(&said);
            format!("an error on the server ({said}) has prevented the request from succeeding")
        }
        _ => format!("the server responded with the status code {status} but did not return more information"),
    })
}
