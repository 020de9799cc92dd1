//! Plain answers: bodies, JSON, text, Status, and their headers.

use std::convert::Infallible;

use apimachinery::value::{Value, json};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WARNING};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

use crate::admission::Rejection;

/// A response body: bytes at once, or a stream of watch events.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A body without content.
pub(crate) fn empty() -> Body {
    Empty::new().boxed_unsync()
}

/// A body of these bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// A body that holds something for as long as it is read.
pub(crate) fn holding(body: Body, held: impl Send + 'static) -> Body {
    let hold = move |frame| {
        let _held = &held;
        frame
    };
    body.map_frame(hold).boxed_unsync()
}

pub(crate) fn response(code: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// JSON, indented for people.
pub(crate) fn json_bytes(value: &impl serde::Serialize, pretty: bool) -> Vec<u8> {
    let text = if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) };
    text.unwrap_or_default()
}

/// A JSON answer outside the API's objects.
pub(crate) fn json(code: u16, value: &Value) -> Response<Body> {
    response(code, "application/json", full(json_bytes(value, false)))
}

/// A plain text answer, as Go's `http.Error` gives it.
pub(crate) fn text(code: u16, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = response(code, "text/plain; charset=utf-8", full(text));
    no_sniff(&mut response);
    response
}

/// What unknown paths get.
pub(crate) fn page_not_found() -> Response<Body> {
    text(404, "404 page not found\n")
}

/// The header of answers that no API handler gave.
pub(crate) fn no_sniff(response: &mut Response<Body>) {
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
}

/// A "no".
pub(crate) fn status(rejection: &Rejection, warnings: &[String], pretty: bool) -> Response<Body> {
    let mut response = response(rejection.code, "application/json", full(json_bytes(&rejection.status, pretty)));
    if let Some(seconds) = rejection.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    add_warnings(&mut response, warnings);
    response
}

/// The request took longer than it may; the answer is as bare as the real one (`failure/client-timeout-shorter`).
pub(crate) fn timed_out() -> Response<Body> {
    let body = json!({
        "metadata": {}, "status": "Failure", "message": "Timeout: request did not complete within the allotted timeout",
        "reason": "Timeout", "details": {}, "code": 504,
    });
    response(504, "text/plain; charset=utf-8", full(json_bytes(&body, false)))
}

/// The `Warning` headers of an answer.
pub(crate) fn add_warnings(response: &mut Response<Body>, warnings: &[String]) {
    for warning in crate::admission::header_texts(warnings) {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
            response.headers_mut().append(WARNING, value);
        }
    }
}
