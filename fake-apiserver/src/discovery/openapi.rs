//! OpenAPI documents: the index and the documents of version 3, and version 2 as JSON and as protobuf.
//!
//! ```text
//! recorded.json.gz ──► document (one of version 3) ──► describe ──► write ──► bytes
//!  kinds (custom) ───────┘          └──► v2 ──► write │ proto
//! ```
//!
//! The schemas and paths of built-in kinds are those of a recorded v1.36; custom resources have theirs from their definitions.

mod custom;
mod describe;
mod document;
mod proto;
mod v2;
mod write;

use std::sync::{Arc, Mutex, PoisonError};

use apimachinery::value::{Map, Value, json};
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, LOCATION, VARY,
};
use http::{HeaderMap, Response};
use sha2::Digest as _;

use crate::kinds::Kinds;
use crate::request::query::Query;
use crate::respond::{self, Body};

const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// What the answer calls it: the other is no media type by the letter.
const V2_PROTOBUF_SAID: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Answers below `/openapi`.
pub(super) fn serve(kinds: &Arc<Kinds>, rest: &[&str], query: &Query, headers: &HeaderMap) -> Response<Body> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match rest {
        ["v3"] => {
            let mut answer = respond::json(200, &index(kinds));
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            answer
        }
        ["v3", rest @ ..] => {
            let name = rest.join("/");
            if !names(kinds).contains(&name) {
                return respond::page_not_found();
            }
            let wanted = hash(kinds, &name);
            let asked = query.get("hash");
            if !asked.is_empty() && asked != wanted {
                return moved(&format!("/openapi/v3/{name}?hash={wanted}"));
            }
            if !accepts(accept, &["application/json"]) {
                return respond::text(406, "");
            }
            let mut answer = tagged(headers, &wanted, || cached(kinds, &name, "application/json"), "application/json");
            answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
            if !asked.is_empty() {
                answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
            }
            answer
        }
        ["v2"] => {
            let content_type = match chosen(accept) {
                Some(content_type) => content_type,
                None => return respond::text(406, ""),
            };
            let wanted = hash(kinds, "v2");
            let mut answer = tagged(headers, &wanted, || cached(kinds, "v2", content_type), content_type);
            answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
            answer.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
            answer
        }
        _ => respond::page_not_found(),
    }
}

/// The media types of an `Accept` header, best first as they stand there.
fn media_types(accept: &str) -> impl Iterator<Item = &str> {
    accept.split(',').map(|clause| clause.split(';').next().unwrap_or_default().trim())
}

fn accepts(accept: &str, served: &[&str]) -> bool {
    accept.is_empty()
        || media_types(accept).any(|wanted| matches!(wanted, "*/*" | "application/*") || served.contains(&wanted))
}

/// What version 2 is shown as.
fn chosen(accept: &str) -> Option<&'static str> {
    if accept.is_empty() {
        return Some("application/json");
    }
    media_types(accept).find_map(|wanted| match wanted {
        "*/*" | "application/*" | "application/json" => Some("application/json"),
        V2_PROTOBUF | V2_PROTOBUF_SAID => Some(V2_PROTOBUF_SAID),
        _ => None,
    })
}

fn moved(to: &str) -> Response<Body> {
    let mut answer = respond::text(301, "");
    if let Ok(value) = HeaderValue::from_str(to) {
        answer.headers_mut().insert(LOCATION, value);
    }
    answer
}

/// The document with its tag, or 304 if the client has it already.
fn tagged(
    headers: &HeaderMap,
    hash: &str,
    document: impl FnOnce() -> Bytes,
    content_type: &'static str,
) -> Response<Body> {
    let tag = format!("\"{hash}\"");
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut answer = if known.split(',').any(|one| one.trim() == tag) {
        let mut answer = respond::response(304, content_type, respond::empty());
        answer.headers_mut().remove(CONTENT_TYPE);
        answer
    } else {
        respond::response(200, content_type, respond::full(document()))
    };
    if let Ok(value) = HeaderValue::from_str(&tag) {
        answer.headers_mut().insert(ETAG, value);
    }
    answer.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    answer
}

/// Documents that somebody asked for, as long as the table of kinds stays as it is.
#[derive(Default)]
struct Cache {
    of: Option<Arc<Kinds>>,
    bytes: std::collections::BTreeMap<String, Bytes>,
}

fn cached(kinds: &Arc<Kinds>, name: &str, content_type: &str) -> Bytes {
    static CACHE: Mutex<Option<Cache>> = Mutex::new(None);
    let key = format!("{name} {content_type}");
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache.get_or_insert_with(Cache::default);
    if !cache.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, kinds)) {
        *cache = Cache { of: Some(kinds.clone()), ..Cache::default() };
    }
    if let Some(bytes) = cache.bytes.get(&key) {
        return bytes.clone();
    }
    let bytes: Bytes = match (name, content_type) {
        ("v2", "application/json") => write::v2(&v2::document(kinds)).into(),
        ("v2", _) => proto::document(&v2::document(kinds)).into(),
        _ => write::v3(&document::v3(kinds, name)).into(),
    };
    cache.bytes.insert(key, bytes.clone());
    bytes
}

/// The names of all documents of version 3.
fn names(kinds: &Kinds) -> Vec<String> {
    let mut names: Vec<String> =
        [".well-known/openid-configuration", "api", "apis", "openid/v1/jwks", "version"].map(str::to_owned).to_vec();
    for served in &kinds.group_versions {
        if served.group.is_empty() {
            names.push(format!("api/{}", served.version));
        } else {
            names.push(format!("apis/{}", served.group));
            names.push(format!("apis/{}/{}", served.group, served.version));
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// What tells one state of a document from another: its name, and the custom resources that are served.
fn hash(kinds: &Kinds, name: &str) -> String {
    let mut digest = sha2::Sha512::new();
    digest.update(name.as_bytes());
    for resource in kinds.all().filter(|resource| resource.is_custom()) {
        let own = format!("apis/{}", resource.gvk.api_version());
        if name == "v2" || name == own {
            digest.update(resource.gvr().to_string().as_bytes());
            let schema = resource.structural.as_ref().map(|schema| schema.to_string()).unwrap_or_default();
            digest.update(schema.as_bytes());
        }
    }
    crate::auth::pki::hex(&digest.finalize()).to_uppercase()
}

fn index(kinds: &Kinds) -> Value {
    let paths: Map = names(kinds)
        .into_iter()
        .map(|name| {
            let url = format!("/openapi/v3/{name}?hash={}", hash(kinds, &name));
            (name, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Registry;
    use crate::version::KubernetesVersion;

    #[test]
    fn every_document_is_made() {
        let kinds = Registry::new(KubernetesVersion::default()).kinds();
        for name in names(&kinds) {
            let bytes = write::v3(&document::v3(&kinds, &name));
            let value: Value = serde_json::from_slice(&bytes).expect("JSON");
            assert_eq!(value["openapi"], "3.0.0", "{name}");
            // Whatever is referred to is there.
            let text = String::from_utf8(bytes).expect("UTF-8");
            for reference in text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(value["components"]["schemas"].get(reference).is_some(), "{name}: {reference}");
            }
        }
        let v2: Value = serde_json::from_slice(&write::v2(&v2::document(&kinds))).expect("JSON");
        let patch = &v2["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Pod");
        let container = &v2["definitions"]["io.k8s.api.core.v1.Container"];
        assert_eq!(container["properties"]["image"]["type"], "string");
        assert!(!proto::document(&v2::document(&kinds)).is_empty());
    }
}
