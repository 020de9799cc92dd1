//! From a connection and its headers to a user.

use std::collections::BTreeMap;

use http::HeaderMap;

use super::authorize;
use crate::admission::{Rejection, UserInfo};
use crate::auth::rbac::Query;
use crate::auth::{CREDENTIAL_ID, Identity};
use crate::core::Core;
use crate::refusal;

const AUTHENTICATED: &str = "system:authenticated";

/// The user of a request: by client certificate, by bearer token, or anonymous. A token that is no good is a 401, whatever
/// the certificate says.
pub(crate) fn user(core: &Core, certificate: Option<&Identity>, authorization: &str) -> Result<UserInfo, Rejection> {
    if let Some(identity) = certificate {
        let mut groups = identity.groups.clone();
        groups.push(AUTHENTICATED.to_owned());
        let credential = format!("X509SHA256={}", identity.fingerprint);
        let extra = BTreeMap::from([(CREDENTIAL_ID.to_owned(), vec![credential])]);
        let certified = UserInfo { username: identity.user.clone(), uid: String::new(), groups, extra };
        // A certificate is looked at first, so a token beside it does not matter, unless it is no good.
        return match bearer(authorization) {
            Some(token) => core
                .tokens
                .authenticate(&core.store, core.clock, token, &[])
                .map(|_| certified)
                .map_err(|_| refusal::unauthorized()),
            None => Ok(certified),
        };
    }
    match bearer(authorization) {
        Some(token) => core
            .tokens
            .authenticate(&core.store, core.clock, token, &[])
            .map(|verified| verified.user)
            .map_err(|_| refusal::unauthorized()),
        None => Ok(anonymous()),
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn anonymous() -> UserInfo {
    UserInfo {
        username: "system:anonymous".to_owned(),
        groups: vec!["system:unauthenticated".to_owned()],
        ..UserInfo::default()
    }
}

/// The user that `Impersonate-*` headers ask for, if the real one may impersonate; without such headers the real one.
pub(crate) fn impersonated(core: &Core, user: UserInfo, headers: &HeaderMap) -> Result<UserInfo, Rejection> {
    let values = |name: &str| -> Vec<String> {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    };
    let Some(username) = values("impersonate-user").into_iter().next() else { return Ok(user) };
    let may = |resource: &str, name: &str| {
        authorize::require(core, &user, &Query { verb: "impersonate", resource, name, ..Query::default() })
    };
    let account = username.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let mut groups = values("impersonate-group");
    match account {
        Some((namespace, name)) => {
            let query = Query { verb: "impersonate", resource: "serviceaccounts", namespace, name, ..Query::default() };
            authorize::require(core, &user, &query)?;
            if groups.is_empty() {
                groups = crate::auth::tokens::account_groups(namespace);
            }
        }
        None => may("users", &username)?,
    }
    for group in &groups {
        may("groups", group)?;
    }
    let uid = values("impersonate-uid").into_iter().next().unwrap_or_default();
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if let (Some(key), Ok(value)) = (name.as_str().strip_prefix("impersonate-extra-"), value.to_str()) {
            let key = crate::request::query::decode(key, false).to_lowercase();
            extra.entry(key).or_default().push(value.to_owned());
        }
    }
    if username != "system:anonymous"
        && !groups.iter().any(|group| group == AUTHENTICATED || group == "system:unauthenticated")
    {
        groups.push(AUTHENTICATED.to_owned());
    } else if username == "system:anonymous" && !groups.iter().any(|group| group == "system:unauthenticated") {
        groups.push("system:unauthenticated".to_owned());
    }
    Ok(UserInfo { username, uid, groups, extra })
}
