//! A request's way into the audit log.

use std::sync::{Arc, OnceLock};

use apimachinery::value::Value;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::handler::Peer;
use crate::admission::UserInfo;
use crate::audit::{Record, Request};
use crate::core::Shared;
use crate::request::path::RequestInfo;
use crate::respond::{Body, full, holding};

/// The longest `Audit-Id` that is taken from a client.
const LONGEST_ID: usize = 64;

/// A request while it is handled, and its record once it is known who asks.
pub(super) struct Audited {
    core: Shared,
    /// The answer's `Audit-Id`.
    pub(super) id: String,
    /// None where nothing is audited.
    asked: Option<Asked>,
    record: OnceLock<Option<Arc<Record>>>,
}

/// What a record says of a request.
struct Asked {
    uri: String,
    path: String,
    source_ips: Vec<String>,
    user_agent: String,
    received: String,
    begun: Instant,
    attempted: &'static str,
}

impl Audited {
    pub(super) fn new(core: &Shared, peer: &Peer, parts: &Parts, path: &str) -> Audited {
        let header = |name: &str| text(&parts.headers, name);
        let own = header("audit-id");
        let fits = !own.is_empty() && own.len() <= LONGEST_ID;
        let asked = core.audit.is_on().then(|| Asked {
            uri: parts.uri.path_and_query().map_or("", |uri| uri.as_str()).to_owned(),
            path: path.to_owned(),
            source_ips: source_ips(peer, &parts.headers),
            user_agent: header(USER_AGENT.as_str()).to_owned(),
            received: core.clock.now().rfc3339_micro(),
            begun: Instant::now(),
            attempted: if header("authorization").is_empty() { "" } else { "bearer" },
        });
        let id = if fits { own.to_owned() } else { core.random.uid() };
        Audited { core: core.clone(), id, asked, record: OnceLock::new() }
    }

    fn start(&self, info: &RequestInfo, user: &UserInfo) -> Option<&Arc<Record>> {
        let begin = || {
            let asked = self.asked.as_ref()?;
            let request = Request {
                id: self.id.clone(),
                uri: asked.uri.clone(),
                info,
                path: &asked.path,
                user,
                source_ips: asked.source_ips.clone(),
                user_agent: asked.user_agent.clone(),
                received: asked.received.clone(),
            };
            self.core.audit.begin(&self.core.metrics, request)
        };
        self.record.get_or_init(begin).as_ref()
    }

    /// It is known who asks.
    pub(super) fn begin(&self, info: &RequestInfo, user: &UserInfo) {
        self.start(info, user);
    }

    /// Nobody could say who asks.
    pub(super) fn unauthenticated(&self, info: &RequestInfo) {
        if let (Some(record), Some(asked)) = (self.start(info, &UserInfo::default()), &self.asked) {
            record.unauthenticated(asked.attempted);
        }
    }

    pub(super) fn impersonated(&self, user: &UserInfo) {
        if let Some(record) = self.record() {
            record.impersonated(user);
        }
    }

    pub(super) fn authorized(&self, decision: &str, reason: &str) {
        if let Some(record) = self.record() {
            record.annotate("authorization.k8s.io/decision", decision);
            record.annotate("authorization.k8s.io/reason", reason);
        }
    }

    pub(super) fn record(&self) -> Option<Arc<Record>> {
        self.record.get().cloned().flatten()
    }

    /// The answer is there: its event is written, or when its last byte is on its way if it is a stream (a watch, a log, a connection).
    pub(super) async fn end(self, info: &RequestInfo, response: Response<Body>) -> Response<Body> {
        let (Some(record), Some(asked)) = (self.record(), &self.asked) else { return response };
        let code = response.status().as_u16();
        let now = || self.core.clock.now().rfc3339_micro();
        let write = |stage, time: &str| self.core.audit.write(&self.core.metrics, &record, stage, time);
        let streams = matches!(info.subresource.as_str(), "log" | "exec" | "attach" | "portforward" | "proxy");
        if (info.verb == "watch" || streams) && code < 300 {
            record.response(code, None);
            write("ResponseStarted", &now());
            let end = End { core: self.core.clone(), record: record.clone() };
            return response.map(|body| holding(body, end));
        }
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        if record.is_answered() {
            write("ResponseStarted", &now());
        } else {
            record.took(asked.begun.elapsed());
            record.response(code, object(&parts.headers, &bytes, record.wants_response() || code >= 400));
            write("ResponseComplete", &now());
        }
        Response::from_parts(parts, full(bytes))
    }
}

/// The API object of an answer; a Status in any case, others only if they are wanted.
fn object(headers: &HeaderMap, bytes: &[u8], wanted: bool) -> Option<Value> {
    let is_status =
        || bytes.starts_with(b"{\"apiVersion\":\"v1\"") && bytes.windows(15).any(|at| at == b"\"kind\":\"Status\"");
    if !wanted && !is_status() {
        return None;
    }
    let object = match text(headers, CONTENT_TYPE.as_str()).split(';').next().unwrap_or_default() {
        "application/json" => serde_json::from_slice::<Value>(bytes).ok(),
        "application/yaml" => apimachinery::yaml::parse(&String::from_utf8_lossy(bytes)).ok(),
        _ => None,
    };
    object.filter(Value::is_object)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What proxies say, and the connection's own address at last.
fn source_ips(peer: &Peer, headers: &HeaderMap) -> Vec<String> {
    let said = text(headers, "x-forwarded-for").split(',').chain([text(headers, "x-real-ip")]);
    let mut all: Vec<String> =
        said.filter_map(|ip| Some(ip.trim().parse::<std::net::IpAddr>().ok()?.to_string())).collect();
    let own = peer.address.map_or_else(|| "127.0.0.1".to_owned(), |address| address.to_canonical().to_string());
    if all.last() != Some(&own) {
        all.push(own);
    }
    all
}

/// Writes the last event of a watch when the watch ends.
struct End {
    core: Shared,
    record: Arc<Record>,
}

impl Drop for End {
    fn drop(&mut self) {
        let time = self.core.clock.now().rfc3339_micro();
        self.core.audit.write(&self.core.metrics, &self.record, "ResponseComplete", &time);
    }
}
