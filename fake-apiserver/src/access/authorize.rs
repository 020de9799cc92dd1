//! Whether a user may do what a request asks for.

use crate::admission::{Rejection, UserInfo};
use crate::auth::rbac::{Authorization, Decision, Query};
use crate::core::Core;
use crate::refusal;
use crate::request::path::RequestInfo;

/// Refuses what the user may not do, with the apiserver's words; else the authorizer's reason, which may be empty.
pub(crate) fn check(core: &Core, user: &UserInfo, info: &RequestInfo, path: &str) -> Result<String, Rejection> {
    let query = Query {
        verb: info.verb,
        group: &info.group,
        resource: &info.resource,
        subresource: &info.subresource,
        namespace: &info.namespace,
        name: &info.name,
        path: if info.is_resource { "" } else { path },
    };
    match decide(core, user, &query) {
        Decision::Allowed(reason) => Ok(reason),
        Decision::NoOpinion => Err(refusal(user, &query)),
    }
}

/// Refuses what the user may not do.
pub(crate) fn require(core: &Core, user: &UserInfo, query: &Query<'_>) -> Result<(), Rejection> {
    match decide(core, user, query) {
        Decision::Allowed(_) => Ok(()),
        Decision::NoOpinion => Err(refusal(user, query)),
    }
}

/// What the authorizers say.
pub(crate) fn decide(core: &Core, user: &UserInfo, query: &Query<'_>) -> Decision {
    if user.groups.iter().any(|group| group == "system:masters") {
        return Decision::Allowed(String::new());
    }
    match core.authorization {
        Authorization::AlwaysAllow => Decision::Allowed(String::new()),
        Authorization::Rbac => crate::auth::rbac::decide(&core.store, user, query),
    }
}

fn refusal(user: &UserInfo, query: &Query<'_>) -> Rejection {
    if !query.path.is_empty() {
        let message = format!("forbidden: User {:?} cannot {} path {:?}", user.username, query.verb, query.path);
        return Rejection::new(403, "Forbidden", &message).with_details(apimachinery::value::Map::new());
    }
    let resource = match query.subresource {
        "" => query.resource.to_owned(),
        subresource => format!("{}/{subresource}", query.resource),
    };
    let scope = match query.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let why = format!(
        "User {:?} cannot {} resource {resource:?} in API group {:?} {scope}",
        user.username, query.verb, query.group
    );
    refusal::forbidden(query.group, query.resource, query.name, &why)
}
