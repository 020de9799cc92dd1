//! Aggregated discovery: all groups with all resources in one answer.

use apimachinery::value::{Value, json};
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};

use super::{strings, verbs};
use crate::kinds::{GroupVersion, Kinds};
use crate::respond::{self, Body};

/// The version of `APIGroupDiscoveryList` that a client asks for, if it does.
pub(super) fn wanted(accept: &str) -> Option<&'static str> {
    accept.split(',').find_map(|clause| {
        let has = |parameter: &str| clause.split(';').any(|part| part.trim() == parameter);
        if !has("as=APIGroupDiscoveryList") || !has("g=apidiscovery.k8s.io") {
            return None;
        }
        [("v=v2", "v2"), ("v=v2beta1", "v2beta1")]
            .into_iter()
            .find(|(parameter, _)| has(parameter))
            .map(|(_, version)| version)
    })
}

/// The core group (`/api`) or all others (`/apis`).
pub(super) fn serve(kinds: &Kinds, core: bool, version: &'static str) -> Response<Body> {
    let mut items: Vec<Value> = Vec::new();
    for served in kinds.group_versions.iter().filter(|served| served.group.is_empty() == core) {
        let entry = group_version(served);
        let name = &*served.group;
        match items.iter_mut().find(|item| item["metadata"]["name"].as_str().unwrap_or_default() == name) {
            Some(item) => {
                if let Some(versions) = item["versions"].as_array_mut() {
                    versions.push(entry);
                }
            }
            None if name.is_empty() => items.push(json!({"metadata": {}, "versions": [entry]})),
            None => items.push(json!({"metadata": {"name": name}, "versions": [entry]})),
        }
    }
    let body = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items,
    });
    let mut answer = respond::json(200, &body);
    let content_type = match version {
        "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    };
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    answer
}

fn group_version(served: &GroupVersion) -> Value {
    let resources: Vec<Value> = served
        .resources
        .iter()
        .map(|resource| {
            let mut entry = json!({
                "resource": &*resource.plural,
                "responseKind": {"group": "", "version": "", "kind": &*resource.gvk.kind},
                "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
                "singularResource": &*resource.singular,
                "verbs": verbs(&resource.verbs),
            });
            if resource.is_custom() {
                entry["responseKind"] =
                    json!({"group": &*served.group, "version": &*served.version, "kind": &*resource.gvk.kind});
            }
            if !resource.short_names.is_empty() {
                entry["shortNames"] = strings(&resource.short_names).into();
            }
            if !resource.categories.is_empty() {
                entry["categories"] = strings(&resource.categories).into();
            }
            let subresources: Vec<Value> = resource
                .subresources
                .iter()
                .map(|subresource| {
                    let (group, version) = match subresource.foreign || resource.is_custom() {
                        true => (&*subresource.gvk.group, &*subresource.gvk.version),
                        false => ("", ""),
                    };
                    json!({
                        "subresource": &*subresource.name,
                        "responseKind": {"group": group, "version": version, "kind": &*subresource.gvk.kind},
                        "verbs": verbs(&subresource.verbs),
                    })
                })
                .collect();
            if !subresources.is_empty() {
                entry["subresources"] = subresources.into();
            }
            entry
        })
        .collect();
    json!({"version": &*served.version, "resources": resources, "freshness": "Current"})
}
