//! Request bodies: read within the limits, or refused with the status that says why.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::limits::Limits;

/// One refusal: a status and a sentence for whoever reads the apiserver's log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

/// Room for all bodies at one time, in units of [`UNIT`] bytes.
#[derive(Debug)]
pub(crate) struct Room {
    units: Semaphore,
    most: usize,
}

const UNIT: usize = 1024;

impl Room {
    pub(crate) fn new(limits: &Limits) -> Self {
        let most = limits.bodies.max(limits.body).div_ceil(UNIT).min(Semaphore::MAX_PERMITS);
        Self { units: Semaphore::new(most), most }
    }

    /// Waits for room for a body of this length, at most until `deadline`.
    pub(crate) async fn take(&self, bytes: usize, deadline: Instant) -> Result<SemaphorePermit<'_>, Refusal> {
        let units = u32::try_from(bytes.div_ceil(UNIT).clamp(1, self.most)).unwrap_or(u32::MAX);
        match timeout_at(deadline, self.units.acquire_many(units)).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests at one time; raise --max-bodies-bytes or add replicas",
            )),
        }
    }
}

/// The body's length as the client announced it, the limit when it did not, or a refusal when it is over the limit.
pub(crate) fn announced(headers: &HeaderMap, limit: usize) -> Result<usize, Refusal> {
    match headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok()) {
        None => Ok(limit),
        Some(length) => usize::try_from(length).ok().filter(|n| *n <= limit).ok_or_else(|| too_large(limit)),
    }
}

pub(crate) fn too_large(limit: usize) -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("Request entity too large: limit is {limit}"))
}

/// Reads a whole body into one piece.
pub(crate) async fn read<B>(mut body: B, expected: usize, limit: usize, deadline: Instant) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut whole: Vec<u8> = Vec::new();
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request body took too long")),
            Ok(None) => return Ok(Bytes::from(whole)),
            Ok(Some(Err(error))) => {
                return Err(Refusal::new(StatusCode::BAD_REQUEST, format!("the request body broke off: {error}")));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.remaining() > limit {
            return Err(too_large(limit));
        }
        if whole.is_empty() {
            if body.is_end_stream() {
                return Ok(data);
            }
            whole.reserve(expected.clamp(data.len(), limit));
        }
        whole.extend_from_slice(&data);
    }
}

/// Reads and forgets the rest of a refused body, so that a client that writes before it reads gets to see the answer.
/// Bounded: past that, the connection is cut.
pub(crate) async fn discard<B>(mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    const MOST: usize = 64 << 20;
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut seen = 0;
    while seen < MOST {
        match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => seen += frame.data_ref().map_or(0, Bytes::len),
            _ => return,
        }
    }
}

/// `application/json` in any case, with or without parameters (RFC 9110, section 8.3.1).
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()) else { return false };
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// How long the apiserver waits for this call, as its `?timeout=10s` says; `None` without a readable one.
pub(crate) fn callers_patience(query: Option<&str>) -> Option<Duration> {
    let text = query?.split('&').find_map(|pair| pair.strip_prefix("timeout="))?;
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let number: u64 = number.parse().ok()?;
    match unit {
        "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type))])
    }

    #[test]
    fn json_is_recognised_with_parameters_and_in_any_case() {
        for yes in ["application/json", "application/json; charset=utf-8", "Application/JSON ;v=1"] {
            assert!(is_json(&headers(yes)), "{yes}");
        }
        for no in
            ["", "text/plain", "application/jsonx", "application/yaml; application/json", "application/json-patch+json"]
        {
            assert!(!is_json(&headers(no)), "{no}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn the_callers_timeout_is_read_from_the_query() {
        for (query, seconds) in [("timeout=10s", 10.0), ("a=b&timeout=500ms", 0.5), ("timeout=1m&x", 60.0)] {
            assert_eq!(callers_patience(Some(query)), Some(Duration::from_secs_f64(seconds)), "{query}");
        }
        for none in [None, Some(""), Some("timeout="), Some("timeout=10"), Some("timeout=s"), Some("timeout=1h")] {
            assert_eq!(callers_patience(none), None, "{none:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_shared_and_waiting_ends() {
        let room = Room::new(&Limits { body: 4096, bodies: 8192, ..Limits::default() });
        let deadline = Instant::now() + Duration::from_secs(1);
        let first = room.take(4096, deadline).await.unwrap();
        let _second = room.take(4096, deadline).await.unwrap();
        assert_eq!(room.take(1, deadline).await.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        drop(first);
        assert!(room.take(1, Instant::now() + Duration::from_secs(1)).await.is_ok());
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_and_not_beyond() {
        let far = Instant::now() + Duration::from_secs(60);
        let body = |n: usize| http_body_util::Full::new(Bytes::from(vec![b' '; n]));
        assert_eq!(read(body(10), 10, 10, far).await.unwrap().len(), 10);
        assert_eq!(read(body(11), 10, 10, far).await.unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(read(body(0), 0, 10, far).await.unwrap().len(), 0);
    }
}
