//! Everything outside the resources: discovery in both forms, version, health, OpenAPI, keys.

mod aggregated;
mod health;
mod openapi;
mod paths;

use apimachinery::value::{Map, Value, json};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Response};

use crate::core::Core;
use crate::kinds::{GroupVersion, Kinds, Resource};
use crate::request::query::Query;
use crate::respond::{self, Body};

/// What `/version` says (`api-basics/get-version`).
pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36", "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35", "gitVersion": "v1.36.2", "gitCommit": "98b35193b2ac7a23a673325f5e9b830ecd5ba406",
        "gitTreeState": "clean", "buildDate": "2026-07-22T00:00:00Z", "goVersion": "go1.26.6", "compiler": "gc",
        "platform": "linux/amd64",
    })
}

/// The text of `/metrics`.
pub(crate) fn metrics(core: &Core) -> String {
    for (table, count) in core.store.counts() {
        let (resource, group) = table.split_once('.').unwrap_or((&table, ""));
        core.metrics.objects(group, resource, count);
    }
    core.metrics.render()
}

/// Answers a request for a path that is no resource.
pub(crate) fn serve(core: &Core, method: &Method, path: &str, query: &Query, headers: &HeaderMap) -> Response<Body> {
    let kinds = core.registry.kinds();
    let trimmed = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    let parts: Vec<&str> = trimmed.trim_start_matches('/').split('/').collect();
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Some(answer) = health::serve(trimmed, query) {
        return answer;
    }
    let value = match parts.as_slice() {
        ["api" | "apis"] => {
            if let Some(version) = aggregated::wanted(accept) {
                return aggregated::serve(&kinds, parts[0] == "api", version);
            }
            if parts[0] == "api" { api(core) } else { groups(&kinds) }
        }
        ["api", version] => match kinds.group_version("", version) {
            Some(served) => resources(served),
            None => return respond::page_not_found(),
        },
        ["apis", group] => match group_of(&kinds, group) {
            Some(mut found) => {
                found["kind"] = "APIGroup".into();
                found["apiVersion"] = "v1".into();
                found
            }
            None => return respond::page_not_found(),
        },
        ["apis", group, version] => match kinds.group_version(group, version) {
            Some(served) => resources(served),
            None => return respond::page_not_found(),
        },
        ["version"] => core.version.info(version()),
        [""] => json!({"paths": paths::all(&kinds)}),
        ["openid", "v1", "jwks"] => return typed("application/jwk-set+json", &core.tokens.jwks()),
        [".well-known", "openid-configuration"] => json!({
            "issuer": crate::auth::tokens::ISSUER,
            "jwks_uri": format!("{}/openid/v1/jwks", crate::auth::tokens::ISSUER),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }),
        ["openapi", rest @ ..] => return openapi::serve(&kinds, rest, query, headers),
        ["metrics"] => {
            let text = respond::full(metrics(core));
            return respond::response(200, "text/plain; version=0.0.4; charset=utf-8", text);
        }
        _ => return respond::page_not_found(),
    };
    if method != Method::GET && method != Method::HEAD {
        return respond::text(405, "405: Method Not Allowed\n");
    }
    match accept.contains("application/yaml") && !accept.contains("json") {
        true => yaml(&value),
        false => respond::json(200, &value),
    }
}

fn yaml(value: &Value) -> Response<Body> {
    let mut answer = respond::json(200, &Value::Null);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
    *answer.body_mut() = respond::full(apimachinery::yaml::to_string(value));
    answer
}

fn typed(content_type: &'static str, value: &Value) -> Response<Body> {
    let mut answer = respond::json(200, value);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    answer
}

fn api(core: &Core) -> Value {
    let address = core.address.get().map(ToString::to_string).unwrap_or_default();
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

fn groups(kinds: &Kinds) -> Value {
    let mut names: Vec<&str> = Vec::new();
    for served in &kinds.group_versions {
        if !served.group.is_empty() && !names.contains(&&*served.group) {
            names.push(&served.group);
        }
    }
    let groups: Vec<Value> = names.iter().filter_map(|name| group_of(kinds, name)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn group_of(kinds: &Kinds, group: &str) -> Option<Value> {
    let versions: Vec<Value> = kinds
        .group_versions
        .iter()
        .filter(|served| &*served.group == group && !group.is_empty())
        .map(|served| json!({"groupVersion": format!("{group}/{}", served.version), "version": &*served.version}))
        .collect();
    let preferred = versions.first()?.clone();
    Some(json!({"name": group, "versions": versions, "preferredVersion": preferred}))
}

fn verbs(verbs: &[crate::kinds::Verb]) -> Vec<&'static str> {
    verbs.iter().map(|verb| verb.as_str()).collect()
}

fn strings(texts: &[std::sync::Arc<str>]) -> Vec<&str> {
    texts.iter().map(|text| &**text).collect()
}

fn resources(served: &GroupVersion) -> Value {
    let mut all = Vec::new();
    for resource in &served.resources {
        all.push(resource_of(resource));
        for subresource in &resource.subresources {
            let mut entry = Map::new();
            entry.insert("name", format!("{}/{}", resource.plural, subresource.name).into());
            entry.insert("singularName", "".into());
            entry.insert("namespaced", resource.namespaced.into());
            if subresource.foreign {
                entry.insert("group", (*subresource.gvk.group).into());
                entry.insert("version", (*subresource.gvk.version).into());
            }
            entry.insert("kind", (*subresource.gvk.kind).into());
            entry.insert("verbs", verbs(&subresource.verbs).into());
            all.push(Value::Object(entry));
        }
    }
    let group_version = crate::kinds::api_version(&served.group, &served.version);
    let mut list = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": all});
    if !served.group.is_empty() {
        list["apiVersion"] = "v1".into();
    }
    list
}

fn resource_of(resource: &Resource) -> Value {
    let mut entry = json!({
        "name": &*resource.plural, "singularName": &*resource.singular, "namespaced": resource.namespaced,
        "kind": &*resource.gvk.kind, "verbs": verbs(&resource.verbs),
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = strings(&resource.short_names).into();
    }
    if !resource.categories.is_empty() {
        entry["categories"] = strings(&resource.categories).into();
    }
    if !resource.storage_version_hash.is_empty() {
        entry["storageVersionHash"] = (*resource.storage_version_hash).into();
    }
    entry
}
