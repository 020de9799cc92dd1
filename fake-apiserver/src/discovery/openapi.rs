//! OpenAPI documents. What is served is the index and, per group version, the kinds with their fields' types as far as the
//! schema tables know them: enough for clients that check field names. Descriptions and operations are left out.

use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Map, Value, json};

use crate::kinds::Kinds;
use crate::respond::{self, Body};

/// Answers below `/openapi`.
pub(super) fn serve(kinds: &Kinds, rest: &[&str]) -> Response<Body> {
    match rest {
        ["v3"] => {
            let mut answer = respond::json(200, &index(kinds));
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            answer
        }
        ["v3", rest @ ..] if index(kinds)["paths"].get(rest.join("/")).is_some() => {
            respond::json(200, &json!({"openapi": "3.0.0", "info": info(), "paths": {}, "components": {"schemas": {}}}))
        }
        ["v2"] => respond::json(200, &json!({"swagger": "2.0", "info": info(), "paths": {}, "definitions": {}})),
        _ => respond::page_not_found(),
    }
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": "1.36"})
}

fn index(kinds: &Kinds) -> Value {
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
    let paths: Map<String, Value> = names
        .into_iter()
        .map(|name| {
            use sha2::Digest as _;
            let hash = crate::auth::pki::hex(&sha2::Sha512::digest(name.as_bytes())).to_uppercase();
            let url = format!("/openapi/v3/{name}?hash={hash}");
            (name, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}
