//! Kinds that are questions: SubjectAccessReview and its relatives, TokenReview, SelfSubjectReview.

use std::collections::BTreeMap;

use apimachinery::value::{List, Map, Value, json};

use super::call::Call;
use super::meta::text;
use crate::access::authorize;
use crate::admission::{Rejection, UserInfo};
use crate::auth::rbac::{Decision, Query};
use crate::core::Core;
use crate::refusal;

/// Writes the answer into the object's status.
pub(crate) fn answer(core: &Core, call: &Call, object: &mut Value) -> Result<(), Rejection> {
    match &*call.resource.gvk.kind {
        "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            check_access(call, &object["spec"], true)?;
            let user = user_of(&object["spec"]);
            let status = access(core, &user, call, &object["spec"])?;
            object["status"] = status;
        }
        "SelfSubjectAccessReview" => {
            check_access(call, &object["spec"], false)?;
            let status = access(core, &call.user, call, &object["spec"])?;
            object["status"] = status;
        }
        "SelfSubjectRulesReview" => {
            let all = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
            let urls = json!([{"verbs": ["*"], "nonResourceURLs": ["*"]}]);
            object["status"] = json!({"resourceRules": all, "nonResourceRules": urls, "incomplete": false});
        }
        "SelfSubjectReview" => {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.insert("creationTimestamp".to_owned(), core.clock.now().rfc3339().into());
            }
            object["status"] = json!({"userInfo": user_info(&call.user)});
        }
        "TokenReview" => token_review(core, object)?,
        _ => return Err(refusal::method_not_allowed()),
    }
    Ok(())
}

fn user_of(spec: &Value) -> UserInfo {
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let extra: BTreeMap<String, Vec<String>> = spec["extra"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, values)| (name.to_string(), strings(values)))
        .collect();
    UserInfo {
        username: text(spec, "user").to_owned(),
        uid: text(spec, "uid").to_owned(),
        groups: strings(&spec["groups"]),
        extra,
    }
}

/// The rules for a question about access (`identity/sar`).
fn check_access(call: &Call, spec: &Value, names_user: bool) -> Result<(), Rejection> {
    let mut causes = Vec::new();
    let one_of = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
    match (spec["resourceAttributes"].is_object(), spec["nonResourceAttributes"].is_object()) {
        (false, false) => causes.push(refusal::Cause::invalid("spec.resourceAttributes", "null", one_of)),
        (true, true) => {
            let given = spec["nonResourceAttributes"].to_string();
            let text = "cannot be specified in combination with resourceAttributes";
            causes.push(refusal::Cause::invalid("spec.nonResourceAttributes", &given, text));
        }
        _ => {}
    }
    if names_user && text(spec, "user").is_empty() && spec["groups"].as_array().is_none_or(List::is_empty) {
        let why = "at least one of user or group must be specified";
        causes.push(refusal::Cause::invalid("spec.user", "\"\"", why));
    }
    if causes.is_empty() { Ok(()) } else { Err(refusal::invalid(&call.resource.gvk.group, "", "", &causes)) }
}

fn access(core: &Core, user: &UserInfo, call: &Call, spec: &Value) -> Result<Value, Rejection> {
    let resource = &spec["resourceAttributes"];
    let path = &spec["nonResourceAttributes"];
    if &*call.resource.gvk.kind == "LocalSubjectAccessReview" && text(resource, "namespace") != call.namespace {
        return Err(Rejection::bad_request("namespace must match"));
    }
    let query = Query {
        verb: if resource.is_object() { text(resource, "verb") } else { text(path, "verb") },
        group: text(resource, "group"),
        resource: text(resource, "resource"),
        subresource: text(resource, "subresource"),
        namespace: text(resource, "namespace"),
        name: text(resource, "name"),
        path: text(path, "path"),
    };
    Ok(match authorize::decide(core, user, &query) {
        Decision::Allowed(reason) if reason.is_empty() => json!({"allowed": true}),
        Decision::Allowed(reason) => json!({"allowed": true, "reason": reason}),
        Decision::NoOpinion => json!({"allowed": false}),
    })
}

/// A user as reviews show it.
fn user_info(user: &UserInfo) -> Value {
    let mut info = Map::new();
    info.insert("username".to_owned(), user.username.as_str().into());
    if !user.uid.is_empty() {
        info.insert("uid".to_owned(), user.uid.as_str().into());
    }
    if !user.groups.is_empty() {
        info.insert("groups".to_owned(), json!(user.groups));
    }
    if !user.extra.is_empty() {
        info.insert("extra".to_owned(), json!(user.extra));
    }
    Value::Object(info)
}

fn token_review(core: &Core, object: &mut Value) -> Result<(), Rejection> {
    let token = text(&object["spec"], "token").to_owned();
    if token.is_empty() {
        return Err(Rejection::bad_request("token is required for TokenReview in authentication"));
    }
    let audiences: Vec<String> = object["spec"]["audiences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    object["status"] = match core.tokens.authenticate(&core.store, core.clock, &token, &audiences) {
        Ok(verified) => {
            json!({"authenticated": true, "user": user_info(&verified.user), "audiences": verified.audiences})
        }
        Err(error) => json!({"user": {}, "error": error}),
    };
    Ok(())
}
