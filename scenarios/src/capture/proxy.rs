//! One request: in, through, and out again, with a record of it.

use std::convert::Infallible;
use std::time::Duration;

use admission::capture::{Answered, Exchange, Recorder};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use super::Upstream;

/// What the proxy takes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request's body; more is answered with 413. Default: 16 MiB.
    pub request: usize,
    /// Bytes of an answer's body; more is answered with 502. Default: 64 MiB.
    pub answer: usize,
    /// Open connections; more have to wait. Default: 4,096.
    pub connections: usize,
    /// Time for a request, the webhook's answer included; then 504. Default: 30 s, the longest an apiserver waits.
    pub time: Duration,
    /// Time for requests to end when the proxy stops. Default: 10 s.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: 16 << 20,
            answer: 64 << 20,
            connections: 4096,
            time: Duration::from_secs(30),
            stop: Duration::from_secs(10),
        }
    }
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) upstream: Upstream,
    pub(super) recorder: Recorder,
    pub(super) limits: Limits,
}

/// A request under way. However it ends, also when the caller hangs up, it is recorded.
struct Pending<'a> {
    recorder: &'a Recorder,
    began: Instant,
    exchange: Option<Exchange>,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.took = self.began.elapsed();
            self.recorder.record(exchange);
        }
    }
}

/// Answers one request with what the webhook answers.
pub(super) async fn pass(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let began = Instant::now();
    let deadline = began + shared.limits.time;
    let arrived = shared.recorder.clock().now();
    let (mut parts, body) = request.into_parts();
    let body = match timeout_at(deadline, Limited::new(body, shared.limits.request).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let message = format!("the body is larger than {} bytes (--max-body-bytes)", shared.limits.request);
            return Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE, &message));
        }
        Ok(Err(error)) => return Ok(refusal(StatusCode::BAD_REQUEST, &format!("the body broke off: {error}"))),
        Err(_) => return Ok(refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    };
    let mut headers = listed(&parts.headers);
    // HTTP/2 says it in the URI.
    if let (Some(authority), false) = (parts.uri.authority(), parts.headers.contains_key(header::HOST)) {
        headers.insert(0, ("host".to_owned(), authority.to_string()));
    }
    let mut pending = Pending {
        recorder: &shared.recorder,
        began,
        exchange: Some(Exchange {
            began: arrived,
            took: Duration::ZERO,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers,
            body: body.clone(),
            answer: None,
        }),
    };
    connection_headers(&mut parts.headers);
    // The client chooses the version for its own connection.
    parts.version = Version::HTTP_11;
    let host = parts.headers.get(header::HOST).cloned();
    if host.is_none()
        && let Some(authority) = parts.uri.authority()
        && let Ok(value) = authority.as_str().parse()
    {
        parts.headers.insert(header::HOST, value);
    }
    let asked = timeout_at(deadline, ask(shared, Request::from_parts(parts, Full::new(body)))).await;
    let response = match asked {
        Ok(Ok(response)) => response,
        Ok(Err(message)) => {
            tracing::warn!(message, "the webhook cannot be asked");
            return Ok(refusal(StatusCode::BAD_GATEWAY, &format!("{}: {message}", shared.upstream.authority())));
        }
        Err(_) => {
            let message = format!("{}: no answer within {:?}", shared.upstream.authority(), shared.limits.time);
            return Ok(refusal(StatusCode::GATEWAY_TIMEOUT, &message));
        }
    };
    if let Some(exchange) = &mut pending.exchange {
        let (head, body) = (&response, response.body());
        let headers = listed(head.headers());
        exchange.answer = Some(Answered { status: head.status().as_u16(), headers, body: body.clone() });
    }
    drop(pending);
    Ok(response.map(Full::new))
}

async fn ask(shared: &Shared, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
    let (mut parts, body) = shared.upstream.send(request).await?.into_parts();
    let body = Limited::new(body, shared.limits.answer).collect().await;
    let body = body.map_err(|error| format!("its answer broke off: {error}"))?.to_bytes();
    connection_headers(&mut parts.headers);
    parts.version = Version::HTTP_11;
    Ok(Response::from_parts(parts, body))
}

/// Takes out what is for one connection only.
fn connection_headers(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    for name in
        named.iter().map(String::as_str).chain(["connection", "keep-alive", "proxy-connection", "te", "trailer"])
    {
        headers.remove(name);
    }
    // Bodies are sent whole.
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::UPGRADE);
    headers.remove(header::EXPECT);
}

fn listed(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// An answer of the proxy's own.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("towtank capture: {message}\n"))));
    *response.status_mut() = status;
    let text = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

/// Waits for something at most this long; for a handshake.
pub(super) async fn in_time<T>(future: impl Future<Output = T>) -> Option<T> {
    timeout(Duration::from_secs(10), future).await.ok()
}
