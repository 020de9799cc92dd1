//! Paths and schemas of custom resources, made after those of built-in kinds.

use apimachinery::value::{Map, Value, json};

use super::document::{REFERENCE, recorded};
use crate::kinds::Resource;

/// A built-in kind whose paths are those of a custom one, but for its names.
struct Model {
    document: &'static str,
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    /// How operations name the group version.
    camel: &'static str,
    schema: &'static str,
}

const NAMESPACED: Model = Model {
    document: "apis/apps/v1",
    group: "apps",
    version: "v1",
    plural: "deployments",
    kind: "Deployment",
    camel: "AppsV1",
    schema: "io.k8s.api.apps.v1.",
};
const CLUSTER: Model = Model {
    document: "apis/apiextensions.k8s.io/v1",
    group: "apiextensions.k8s.io",
    version: "v1",
    plural: "customresourcedefinitions",
    kind: "CustomResourceDefinition",
    camel: "ApiextensionsV1",
    schema: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.",
};

/// Adds the paths and schemas of one version of a custom resource.
pub(super) fn add(resource: &Resource, paths: &mut Map, schemas: &mut Map) {
    let model = if resource.namespaced { &NAMESPACED } else { &CLUSTER };
    let prefix = schema_prefix(resource);
    let gvk = &resource.gvk;
    let Some(known) = recorded()["paths"][model.document].as_object() else { return };
    for (path, item) in known {
        let mut parts = path.split('/').filter(|part| !part.is_empty()).skip(3);
        let of_model = parts.any(|part| part == model.plural);
        let tail = path.rsplit('/').next().unwrap_or_default();
        if !of_model && !path.ends_with(&format!("/{}/", model.version)) {
            continue;
        }
        if matches!(tail, "status" | "scale") && resource.subresource(tail).is_none() {
            continue;
        }
        let own = path
            .replace(&format!("/apis/{}/{}", model.group, model.version), &format!("/apis/{}", gvk.api_version()))
            .replace(model.plural, &resource.plural);
        let mut item = item.clone();
        rename(&mut item, model, resource, &prefix);
        paths.insert(own, item);
    }
    if !resource.namespaced && resource.subresource("scale").is_some() {
        // No recorded kind of the cluster has a scale: the namespaced model's, without the namespace.
        let from = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale";
        if let Some(item) = recorded()["paths"][NAMESPACED.document].get(from) {
            let mut item = item.clone();
            rename(&mut item, &NAMESPACED, resource, &prefix);
            if let Some(parameters) = item["parameters"].as_array_mut() {
                parameters.retain(|parameter| parameter["name"] != "namespace");
            }
            paths.insert(format!("/apis/{}/{}/{{name}}/scale", gvk.api_version(), resource.plural), item);
        }
    }
    let name = format!("{prefix}{}", gvk.kind);
    schemas.insert(format!("{name}List"), list(resource, &name));
    schemas.insert(name, object(resource));
}

/// `com.example.ref.v1.` for `ref.example.com/v1`.
fn schema_prefix(resource: &Resource) -> String {
    let mut parts: Vec<&str> = resource.gvk.group.split('.').rev().collect();
    parts.push(&resource.gvk.version);
    parts.iter().map(|part| format!("{part}.")).collect()
}

/// `RefExampleComV1` for `ref.example.com/v1`.
fn camel(resource: &Resource) -> String {
    let words = resource.gvk.group.split(['.', '-']).chain([&*resource.gvk.version]);
    words.map(capital).collect()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn rename(value: &mut Value, model: &Model, resource: &Resource, prefix: &str) {
    match value {
        Value::Object(fields) => {
            if fields.get("group").is_some_and(|group| group == model.group)
                && fields.get("kind").is_some_and(|kind| kind == model.kind)
            {
                let gvk = &resource.gvk;
                *value = json!({"group": &*gvk.group, "version": &*gvk.version, "kind": &*gvk.kind});
                return;
            }
            // Strategic merge needs types that custom resources do not have; clients look here before they send one.
            fields.remove("application/strategic-merge-patch+json");
            for (field, value) in fields.iter_mut() {
                match (field.as_str(), value.as_str()) {
                    ("operationId", Some(id)) => {
                        let id = id.replace(model.camel, &camel(resource)).replace(model.kind, &resource.gvk.kind);
                        *value = id.into();
                    }
                    ("$ref", Some(reference)) => {
                        let of_model = format!("{REFERENCE}{}{}", model.schema, model.kind);
                        if let Some(rest) = reference.strip_prefix(&of_model) {
                            *value = format!("{REFERENCE}{prefix}{}{rest}", resource.gvk.kind).into();
                        }
                    }
                    ("tags", _) => {
                        let group: String = resource
                            .gvk
                            .group
                            .split('.')
                            .enumerate()
                            .map(|(at, word)| if at == 0 { word.to_owned() } else { capital(word) })
                            .collect();
                        *value = json!([format!("{group}_{}", resource.gvk.version)]);
                    }
                    _ => rename(value, model, resource, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, model, resource, prefix)),
        _ => {}
    }
}

/// The schema of an object: the definition's own, with what every object has.
fn object(resource: &Resource) -> Value {
    let mut schema = resource
        .structural
        .as_deref()
        .cloned()
        .unwrap_or_else(|| json!({"x-kubernetes-preserve-unknown-fields": true}));
    if !schema.is_object() {
        schema = json!({});
    }
    schema["type"] = "object".into();
    if !schema["properties"].is_object() {
        schema["properties"] = json!({});
    }
    let properties = &mut schema["properties"];
    properties["apiVersion"] = json!({"type": "string"});
    properties["kind"] = json!({"type": "string"});
    properties["metadata"] =
        json!({"allOf": [{"$ref": format!("{REFERENCE}io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")}]});
    let gvk = &resource.gvk;
    schema["x-kubernetes-group-version-kind"] =
        json!([{"group": &*gvk.group, "version": &*gvk.version, "kind": &*gvk.kind}]);
    schema
}

fn list(resource: &Resource, of: &str) -> Value {
    let gvk = &resource.gvk;
    json!({
        "type": "object", "required": ["items"], "description": format!("{}List is a list of {}", gvk.kind, gvk.kind),
        "properties": {
            "apiVersion": {"type": "string"}, "kind": {"type": "string"},
            "metadata": {"allOf": [{"$ref": format!("{REFERENCE}io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta")}]},
            "items": {"type": "array", "items": {"allOf": [{"$ref": format!("{REFERENCE}{of}")}]}},
        },
        "x-kubernetes-group-version-kind": [
            {"group": &*gvk.group, "version": &*gvk.version, "kind": format!("{}List", gvk.kind)},
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_are_recorded() {
        for model in [&NAMESPACED, &CLUSTER] {
            assert!(recorded()["paths"][model.document].is_object(), "{}", model.document);
            assert!(recorded()["schemas"].get(format!("{}{}", model.schema, model.kind)).is_some());
        }
    }
}
