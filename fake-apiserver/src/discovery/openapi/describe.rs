//! The texts of the documents, as far as they follow a rule or were recorded.

use apimachinery::value::{Map, Value};

/// Texts of fields and parameters that recordings show; `Type.field` or the name of a parameter, a tab, the text (JSON).
const TEXTS: &str = include_str!("texts.txt");

fn text(of: &str) -> Option<Value> {
    TEXTS.lines().find_map(|line| {
        let (name, text) = line.split_once('\t')?;
        (name == of).then(|| serde_json::from_str(text).ok())?
    })
}

/// Describes the operations, responses and parameters of paths.
pub(super) fn paths(paths: &mut Map) {
    for (path, item) in paths.iter_mut() {
        let Some(item) = item.as_object_mut() else { continue };
        for (method, operation) in item.iter_mut() {
            if method == "parameters" {
                parameters(operation);
                continue;
            }
            let about = about(path, method, operation);
            let Some(fields) = operation.as_object_mut() else { continue };
            fields.insert("description".to_owned(), about.into());
            if let Some(list) = fields.get_mut("parameters") {
                parameters(list);
            }
            for (code, response) in fields.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten() {
                let said = match code.as_str() {
                    "200" => "OK",
                    "201" => "Created",
                    "202" => "Accepted",
                    "401" => "Unauthorized",
                    _ => "",
                };
                response["description"] = said.into();
            }
        }
    }
}

fn parameters(list: &mut Value) {
    for parameter in list.as_array_mut().into_iter().flatten() {
        if let Some(text) = parameter["name"].as_str().and_then(text) {
            parameter["description"] = text;
        }
    }
}

/// Describes the fields of a schema that recordings describe.
pub(super) fn schema(name: &str, schema: &mut Value) {
    let short = name.rsplit('.').next().unwrap_or_default();
    for (field, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        if let Some(text) = text(&format!("{short}.{field}")) {
            property["description"] = text;
        }
    }
}

/// What an operation does.
fn about(path: &str, method: &str, operation: &Value) -> String {
    let kind = operation["x-kubernetes-group-version-kind"]["kind"].as_str().unwrap_or_default();
    let sub = subresource(path);
    let owner = owner(operation, kind, &sub);
    let of_sub = if sub.is_empty() { String::new() } else { format!("{} of ", sub.join(" ")) };
    let article = if owner.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
    match operation["x-kubernetes-action"].as_str().unwrap_or_default() {
        "list" if path.contains("componentstatuses") => format!("list objects of kind {owner}"),
        "list" => format!("list or watch objects of kind {owner}"),
        "get" => format!("read {of_sub}the specified {owner}"),
        "post" => format!("create {of_sub}{article} {owner}"),
        "put" => format!("replace {of_sub}the specified {owner}"),
        "patch" => format!("partially update {of_sub}the specified {owner}"),
        "delete" => format!("delete {of_sub}{article} {owner}"),
        "deletecollection" => format!("delete collection of {owner}"),
        "watch" => format!(
            "watch changes to an object of kind {owner}. deprecated: use the 'watch' parameter with a list operation instead, filtered to a single item with the 'fieldSelector' parameter."
        ),
        "watchlist" => format!(
            "watch individual changes to a list of {owner}. deprecated: use the 'watch' parameter with a list operation instead."
        ),
        "connect" => {
            let sub = sub.first().copied().unwrap_or_default();
            format!("connect {} requests to {sub} of {owner}", method.to_uppercase())
        }
        _ => other(path),
    }
}

/// The parts of a path behind the object's name.
fn subresource(path: &str) -> Vec<&str> {
    let rest = path.split_once("/{name}/").map(|(_, rest)| rest).unwrap_or_default();
    rest.split('/').filter(|part| !part.is_empty() && !part.starts_with('{')).collect()
}

/// The kind that an operation is about: the one of the path, also where a subresource has another (`Scale`).
fn owner(operation: &Value, kind: &str, sub: &[&str]) -> String {
    if sub.is_empty() {
        return kind.to_owned();
    }
    // The operation's name ends in the kind and the subresource: `readAppsV1NamespacedDeploymentScale`.
    let id = operation["operationId"].as_str().unwrap_or_default();
    let id = id.strip_suffix("WithPath").unwrap_or(id);
    let first = sub.first().copied().unwrap_or_default();
    let tail = match id.to_lowercase().rfind(first) {
        Some(at) if id.is_char_boundary(at) => &id[..at],
        _ => id,
    };
    let name = tail.split_once("Namespaced").map_or_else(
        || {
            // Behind the version: `readCoreV1Node`.
            let digits = tail.rfind(|letter: char| letter.is_ascii_digit()).map_or(0, |at| at + 1);
            &tail[digits..]
        },
        |(_, name)| name,
    );
    if name.is_empty() { kind.to_owned() } else { name.to_owned() }
}

fn other(path: &str) -> String {
    match path {
        "/api/" | "/apis/" => "get available API versions",
        "/version/" => "get the version information for this server",
        "/.well-known/openid-configuration/" => {
            "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'"
        }
        "/openid/v1/jwks/" => {
            "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)"
        }
        path if path.starts_with("/api/v1") || path.matches('/').count() > 3 => "get available resources",
        _ => "get information of a group",
    }
    .to_owned()
}
