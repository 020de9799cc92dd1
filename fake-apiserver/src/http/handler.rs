//! One request: authentication, authorisation, the body, the verb, the answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use super::audited::Audited;
use super::connect;
use super::counted::Counted;
use super::negotiate::{self, OBJECT_FORMATS};
use super::show::{self, Shown};
use crate::access::{authenticate, authorize};
use crate::admission::{Rejection, UserInfo};
use crate::auth::Identity;
use crate::core::Shared;
use crate::discovery;
use crate::refusal;
use crate::registry;
use crate::registry::call::{Call, Content};
use crate::request::path::RequestInfo;
use crate::request::protobuf;
use crate::request::query::{Query, decode};
use crate::respond::{self, Body};
use crate::time::go_duration;

/// The largest body that is read: 3 MiB, as kube-apiserver's default.
const MAX_BODY: usize = 3 * 1024 * 1024;

/// How long a request may take that does not say so itself.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Put into the extensions of a request made in the process, it leaves out the body of an answer that is an object: whoever
/// asks many times and only wants to know whether it was refused is spared the text of what was not. An audit log has no response object then.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnlyRefusals;

/// What is known of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// Whose client certificate was presented.
    pub(crate) identity: Option<Arc<Identity>>,
    /// Where it comes from; none inside the process.
    pub(crate) address: Option<IpAddr>,
}

/// Answers a request; never fails.
pub(crate) async fn handle<B>(core: &Shared, peer: &Peer, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut parts, body) = request.into_parts();
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let only_refusals = parts.extensions.remove::<OnlyRefusals>().is_some();
    let head = parts.method == Method::HEAD;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let path = decode(parts.uri.path(), false);
    let info = RequestInfo::parse(&parts.method, &path, query.flag("watch"));
    let pretty = wants_pretty(&query, header(&parts.headers, USER_AGENT));
    let audited = Audited::new(core, peer, &parts, &path);
    let counted = Counted::start(core, &info, &query, &parts.headers);
    let mut response =
        match answer(core, peer, &parts.method, &parts.headers, &path, &info, query, body, &audited).await {
            Ok(Answer::Shown(shown)) => match shown.reply.content {
                Content::Connect(connection) => connect::open(*connection, &parts.headers, upgrade)
                    .unwrap_or_else(|rejection| respond::status(&rejection, &shown.warnings, pretty)),
                _ => show::object(core, *shown, pretty, only_refusals),
            },
            Ok(Answer::Plain(response)) => response,
            Err(refused) => {
                let mut response = respond::status(&refused.rejection, &refused.warnings, pretty);
                if refused.by_filter {
                    respond::no_sniff(&mut response);
                }
                response
            }
        };
    show::common_headers(&audited.id, &mut response);
    let response = counted.end(&info, &path, response);
    let mut response = audited.end(&info, response).await;
    if head {
        *response.body_mut() = respond::empty();
    }
    response
}

/// What a handler gives back.
enum Answer {
    /// An API object in the form that was negotiated.
    Shown(Box<Shown>),
    /// Anything else, complete.
    Plain(Response<Body>),
}

/// A "no", with the warnings that go with it.
struct Refused {
    rejection: Rejection,
    warnings: Vec<String>,
    /// Refused before any handler saw it: such answers carry one more header (`api-basics/forbidden-create`).
    by_filter: bool,
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Refused {
        Refused { rejection, warnings: Vec::new(), by_filter: false }
    }
}

fn header(headers: &HeaderMap, name: http::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[expect(clippy::too_many_arguments, reason = "the parts of one request")]
async fn answer<B>(
    core: &Shared,
    peer: &Peer,
    method: &Method,
    headers: &HeaderMap,
    path: &str,
    info: &RequestInfo,
    query: Query,
    body: B,
    audited: &Audited,
) -> Result<Answer, Refused>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let deadline = Instant::now() + timeout(&query)?;
    let user = match authenticate::user(core, peer.identity.as_deref(), header(headers, AUTHORIZATION)) {
        Ok(user) => user,
        Err(rejection) => {
            audited.unauthenticated(info);
            return Err(rejection.into());
        }
    };
    audited.begin(info, &user);
    let by_filter = |rejection| Refused { rejection, warnings: Vec::new(), by_filter: true };
    let user = authenticate::impersonated(core, user, headers).map_err(by_filter)?;
    if headers.contains_key("impersonate-user") {
        audited.impersonated(&user);
    }
    match authorize::check(core, &user, info, path) {
        Ok(reason) => audited.authorized("allow", &reason),
        Err(rejection) => {
            audited.authorized("forbid", "");
            return Err(by_filter(rejection));
        }
    }
    if !info.is_resource {
        return Ok(Answer::Plain(discovery::serve(core, method, path, &query, headers)));
    }
    let call = match find(core, info)? {
        Some((resource, subresource)) => Call {
            warnings: resource.deprecation.iter().map(|text| text.to_string()).collect(),
            verb: info.verb,
            namespace: if resource.namespaced { info.namespace.clone() } else { String::new() },
            resource,
            subresource,
            name: info.name.clone(),
            query,
            content_type: header(headers, CONTENT_TYPE).to_owned(),
            user_agent: header(headers, USER_AGENT).to_owned(),
            body: Bytes::new(),
            sent: None,
            user,
            deadline,
            labels_of_template: false,
            unseen: false,
            audit: audited.record(),
        },
        None => return Ok(Answer::Plain(respond::page_not_found())),
    };
    if !registry::is_served(&call, info, method) {
        return Err(refusal::method_not_allowed().into());
    }
    let accepted = header(headers, ACCEPT);
    let Some(accepted) = negotiate::accept((!accepted.is_empty()).then_some(accepted)) else {
        return Err(refusal::not_acceptable(OBJECT_FORMATS).into());
    };
    run(core, call, info, body, accepted).await
}

async fn run<B>(
    core: &Shared,
    mut call: Call,
    info: &RequestInfo,
    body: B,
    accepted: negotiate::Accepted,
) -> Result<Answer, Refused>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let long_running = call.verb == "watch";
    call.body = read_body(body).await?;
    let is_protobuf = call.content_type.split(';').next().is_some_and(|media| media.trim() == protobuf::MEDIA_TYPE);
    if is_protobuf && !call.body.is_empty() {
        from_protobuf(&mut call)?;
    }
    let deadline = call.deadline;
    let result = if long_running {
        registry::serve(core, &mut call, info).await
    } else {
        match tokio::time::timeout_at(deadline, registry::serve(core, &mut call, info)).await {
            Ok(result) => result,
            Err(_) => return Ok(Answer::Plain(respond::timed_out())),
        }
    };
    match result {
        Ok(reply) => {
            let resource = call.resource.clone();
            let include = call.query.get("includeObject").to_owned();
            Ok(Answer::Shown(Box::new(Shown {
                reply,
                accepted,
                resource,
                subresource: call.subresource,
                include,
                warnings: call.warnings,
            })))
        }
        Err(rejection) => Err(Refused { rejection, warnings: call.warnings, by_filter: false }),
    }
}

/// Turns a body in protobuf into the JSON that it means.
fn from_protobuf(call: &mut Call) -> Result<(), Rejection> {
    let gvk = call.subresource.as_ref().map_or(&call.resource.gvk, |subresource| &subresource.gvk);
    let kind = if call.verb.starts_with("delete") { "DeleteOptions" } else { &*gvk.kind };
    let object = protobuf::decode(&call.body, &gvk.api_version(), kind);
    let object = object.map_err(|error| Rejection::bad_request(&error.to_string()))?;
    call.body = Bytes::from(object.to_string());
    "application/json".clone_into(&mut call.content_type);
    Ok(())
}

/// The resource and subresource at a path. `None` is a group version that nobody serves: a plain 404.
#[expect(clippy::type_complexity, reason = "the row and, if asked for, its sub-row")]
fn find(
    core: &Shared,
    info: &RequestInfo,
) -> Result<Option<(Arc<crate::kinds::Resource>, Option<crate::kinds::Subresource>)>, Rejection> {
    let kinds = core.registry.kinds();
    let Some(resource) = kinds.find(&info.group, &info.version, &info.resource) else {
        // A known group answers for its unknown versions and resources; an unknown group does not exist at all.
        let known = kinds.group_versions.iter().any(|served| *served.group == *info.group);
        return if known { Err(refusal::no_such_resource()) } else { Ok(None) };
    };
    if info.subresource.is_empty() {
        return Ok(Some((resource, None)));
    }
    match resource.subresource(&info.subresource).cloned() {
        Some(subresource) => Ok(Some((resource, Some(subresource)))),
        None => Err(refusal::no_such_resource()),
    }
}

/// `?timeout=`, at most what the server allows.
fn timeout(query: &Query) -> Result<Duration, Rejection> {
    let text = query.get("timeout");
    if text.is_empty() {
        return Ok(REQUEST_TIMEOUT);
    }
    match go_duration(text) {
        Some(asked) if asked.is_zero() => Ok(REQUEST_TIMEOUT),
        Some(asked) => Ok(asked.min(REQUEST_TIMEOUT)),
        None => Err(Rejection::bad_request(&format!(
            "invalid timeout specified in the request URL - time: invalid duration {text:?}"
        ))),
    }
}

async fn read_body<B>(body: B) -> Result<Bytes, Rejection>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limited = std::pin::pin!(Limited::new(body, MAX_BODY));
    match limited.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("Request entity too large: limit is {MAX_BODY}");
            Err(Rejection::new(413, "RequestEntityTooLarge", &message).with_details(apimachinery::value::Map::new()))
        }
        Err(error) => Err(Rejection::bad_request(&error.to_string())),
    }
}

/// Whether JSON is indented: asked for, or a person seems to be reading (`api-basics/user-agent-curl`).
fn wants_pretty(query: &Query, user_agent: &str) -> bool {
    match query.find("pretty") {
        Some(_) => query.flag("pretty"),
        None => ["curl", "Wget", "Mozilla/5.0"].iter().any(|agent| user_agent.starts_with(agent)),
    }
}

/// The user of calls that come from the process itself.
pub(crate) fn local_user(user: &str, groups: &[&str]) -> UserInfo {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    UserInfo { username: user.to_owned(), groups, ..UserInfo::default() }
}
