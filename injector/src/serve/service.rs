//! HTTP around the injector: routes, refusals, and one line of log per review.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use admission::capture::{Answered, Exchange, Recorder};
use apimachinery::clock::{Clock, Timestamp};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Body;
use tokio::time::Instant;

use super::body::{self, Refusal, Room};
use super::limits::Limits;
use super::live::{Live, LiveCertificate};
use super::metrics::{Metrics, OPENMETRICS};
use crate::{Outcome, Reviewed};

/// What all connections of one server share.
pub(crate) struct Shared {
    pub(crate) live: Live,
    pub(crate) certificate: Option<LiveCertificate>,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
    pub(crate) room: Room,
    pub(crate) clock: Clock,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) stopping: AtomicBool,
}

/// The injector as a hyper service, for any connection: see [`crate::serve::service`].
#[derive(Clone)]
pub struct Service {
    pub(crate) shared: Arc<Shared>,
    /// Only `/ready`, `/healthz` and `/metrics`.
    monitoring_only: bool,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("live", &self.shared.live).finish_non_exhaustive()
    }
}

impl<B> hyper::service::Service<Request<B>> for Service
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::fmt::Display,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}

impl Service {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, monitoring_only: false }
    }

    pub(crate) fn monitoring(shared: Arc<Shared>) -> Self {
        Self { shared, monitoring_only: true }
    }

    /// The metrics as `GET /metrics` shows them.
    pub fn metrics(&self) -> String {
        let mut text = self.shared.metrics.text(self.shared.clock.now(), self.shared.live.injector().cache_hits());
        if let Some(recorder) = &self.shared.recorder {
            // OpenMetrics ends with this line.
            let end = text.rfind("# EOF").unwrap_or(text.len());
            text.insert_str(end, &recorder.counts().openmetrics());
        }
        text
    }

    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Send + Unpin,
        B::Error: std::fmt::Display,
    {
        let shared = &self.shared;
        shared.metrics.in_flight.inc();
        let _counted = Counted(&shared.metrics.in_flight);
        let path = request.uri().path();
        let response = match path {
            "/ready" | "/healthz" | "/metrics" => self.monitor(request.method(), path),
            _ if self.monitoring_only => unknown(path),
            _ if path == "/inject" || path.starts_with("/inject/") => self.inject(request).await,
            _ => unknown(path),
        };
        shared.metrics.responded(response.status().as_u16());
        response
    }

    fn monitor(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return method_not_allowed("GET, HEAD");
        }
        match path {
            "/metrics" => with_type(StatusCode::OK, OPENMETRICS, self.metrics()),
            "/ready" => match self.not_ready() {
                None => plain(StatusCode::OK, "ok\n"),
                Some(reason) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
            },
            _ => plain(StatusCode::OK, "ok\n"),
        }
    }

    fn not_ready(&self) -> Option<&'static str> {
        if self.shared.stopping.load(Ordering::Relaxed) {
            return Some("stopping");
        }
        match &self.shared.certificate {
            Some(certificate) if !certificate.valid(self.shared.clock.now()) => Some("the certificate has expired"),
            _ => None,
        }
    }

    async fn inject<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Send + Unpin,
        B::Error: std::fmt::Display,
    {
        let shared = &self.shared;
        shared.metrics.received();
        let began = Instant::now();
        match self.review(request, began).await {
            Ok(reviewed) => {
                let took = began.elapsed();
                let outcome = &reviewed.outcome;
                shared.metrics.answered(outcome.word(), outcome.skipped(), outcome.failed(), took);
                log(outcome, took);
                with_type(StatusCode::OK, "application/json", reviewed.body)
            }
            Err(refusal) => {
                shared.metrics.refused();
                tracing::warn!(status = refusal.status.as_u16(), reason = refusal.message, "request refused");
                let mut response = plain(refusal.status, format!("{}\n", refusal.message));
                if refusal.status == StatusCode::METHOD_NOT_ALLOWED {
                    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
                }
                response
            }
        }
    }

    /// The checks in the order in which Istio's injector makes them, then the review.
    async fn review<B>(&self, request: Request<B>, began: Instant) -> Result<Reviewed, Refusal>
    where
        B: Body<Data = Bytes> + Send + Unpin,
        B::Error: std::fmt::Display,
    {
        const PATIENCE: Duration = Duration::from_secs(10);
        let shared = &self.shared;
        let limit = shared.limits.body;
        let (parts, stream) = request.into_parts();
        if parts.method != Method::POST {
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "only POST is answered here"));
        }
        let expected = match body::announced(&parts.headers, limit) {
            Ok(expected) => expected,
            Err(refusal) => {
                // A client that waits for `100 Continue` has sent nothing yet.
                if !parts.headers.contains_key(header::EXPECT) {
                    body::discard(stream).await;
                }
                return Err(refusal);
            }
        };
        let patience = body::callers_patience(parts.uri.query()).unwrap_or(PATIENCE).min(shared.limits.body_time);
        let _room = shared.room.take(expected, began + patience).await?;
        let bytes = body::read(stream, expected, limit, began + shared.limits.body_time).await?;
        if bytes.is_empty() {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "no body found"));
        }
        if !body::is_json(&parts.headers) {
            let message = "invalid Content-Type, want `application/json`";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        let path = percent_decoded(parts.uri.path());
        let injector = shared.live.injector();
        // The library does not panic; should it ever, one request fails and not the connections beside it.
        let reviewed = catch_unwind(AssertUnwindSafe(|| injector.review(&bytes, &path)))
            .map_err(|_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the injector failed on this review"));
        if let Some(recorder) = &shared.recorder {
            record(recorder, &parts, bytes, began.elapsed(), reviewed.as_ref().ok());
        }
        reviewed
    }
}

/// Hands a review and its answer to the capture.
fn record(recorder: &Recorder, parts: &Parts, body: Bytes, took: Duration, reviewed: Option<&Reviewed>) {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let now = recorder.clock().now().unix_micros();
    recorder.record(Exchange {
        began: Timestamp::from_unix_micros(now - i64::try_from(took.as_micros()).unwrap_or(0)),
        took,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body,
        answer: reviewed.map(|reviewed| Answered {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: Bytes::copy_from_slice(&reviewed.body),
        }),
    });
}

/// One line for each review: who, what and why; never any of the object's content.
fn log(outcome: &Outcome, took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let (uid, pod, path) = (outcome.uid(), outcome.pod(), outcome.reason());
    if outcome.failed() {
        tracing::warn!(uid, pod, outcome = outcome.word(), reason = path, micros, "review");
    } else {
        tracing::info!(uid, pod, outcome = outcome.word(), reason = path, micros, "review");
    }
}

struct Counted<'a>(&'a prometheus_client::metrics::gauge::Gauge);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The path as Go's `URL.Path` has it, which is what Istio's path parameters are read from.
fn percent_decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn with_type(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    with_type(status, "text/plain; charset=utf-8", body)
}

fn unknown(path: &str) -> Response<Full<Bytes>> {
    plain(StatusCode::NOT_FOUND, format!("nothing at {path}; try /inject, /ready, /healthz or /metrics\n"))
}

fn method_not_allowed(allow: &'static str) -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, format!("only {allow} is answered here\n"));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

#[cfg(test)]
mod tests {
    use super::percent_decoded;

    #[test]
    fn paths_are_decoded_once() {
        for (path, decoded) in [
            ("/inject/net/a%20b", "/inject/net/a b"),
            ("/inject/net/%2Fx", "/inject/net//x"),
            ("/inject/100%", "/inject/100%"),
            ("/inject/%zz%2", "/inject/%zz%2"),
            ("/inject/%2541", "/inject/%41"),
            ("/inject/%ff", "/inject/\u{fffd}"),
        ] {
            assert_eq!(percent_decoded(path), decoded);
        }
    }
}
