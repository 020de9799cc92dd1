//! The controllers' door to the server in this process: the code behind the HTTP handlers, without HTTP.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apimachinery::value::Value;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::client::{Answer, Answered, Api, Call, Refusal, Verb};
use super::discovery::{Discovery, Served};
use crate::access::authorize;
use crate::admission::{Rejection, UserInfo};
use crate::audit::{Record, Request as AuditRequest};
use crate::auth::CREDENTIAL_ID;
use crate::auth::tokens::account_groups;
use crate::core::Shared;
use crate::kinds::Kinds;
use crate::registry;
use crate::registry::call::{Call as Request, Content, Reply};
use crate::registry::create::put_in_place;
use crate::request::path::RequestInfo;
use crate::request::query::Query;

/// Where the controllers' service accounts are.
const NAMESPACE: &str = "kube-system";
/// How long a request may take, as for any client that does not say.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Server {
    core: Shared,
    /// The user agent, which managed fields go by.
    agent: &'static str,
}

impl Server {
    pub(super) fn new(core: Shared, agent: &'static str) -> Arc<Server> {
        Arc::new(Server { core, agent })
    }
}

impl Api for Server {
    fn call(&self, call: Call) -> Answer<'_> {
        Box::pin(serve(&self.core, self.agent, call))
    }
}

fn verb_of(verb: Verb) -> (&'static str, &'static str) {
    match verb {
        Verb::Create => ("create", "application/json"),
        Verb::Get => ("get", ""),
        Verb::Update => ("update", "application/json"),
        Verb::StrategicPatch => ("patch", "application/strategic-merge-patch+json"),
        Verb::MergePatch => ("patch", "application/merge-patch+json"),
        Verb::Delete => ("delete", "application/json"),
        Verb::DeleteCollection => ("deletecollection", "application/json"),
    }
}

async fn serve(core: &Shared, agent: &str, call: Call) -> Result<Answered, Refusal> {
    let unknown = || Refusal {
        code: 404,
        reason: "NotFound".to_owned(),
        message: "the server could not find the requested resource".to_owned(),
        namespace_terminating: false,
    };
    // A controller that makes one request after the other lets others have their turn, as one that waits for a network does.
    tokio::task::consume_budget().await;
    let resource = core.registry.find(&call.group, &call.version, &call.resource).ok_or_else(unknown)?;
    let subresource = match call.subresource {
        "" => None,
        name => Some(resource.subresource(name).cloned().ok_or_else(unknown)?),
    };
    let (verb, content_type) = verb_of(call.verb);
    let info = RequestInfo {
        verb,
        is_resource: true,
        group: call.group,
        version: call.version,
        namespace: call.namespace.clone(),
        resource: call.resource,
        subresource: call.subresource.to_owned(),
        name: call.name.clone(),
        rest: String::new(),
    };
    // Objects are handed over as they are; patches and options are read from a body.
    let (mut sent, body) = match call.verb {
        Verb::Create | Verb::Update => (call.body, None),
        _ => (None, call.body.as_ref().map(serde_json::to_vec)),
    };
    let body = body.transpose().map_err(|error| Refusal::own(error.to_string()))?.unwrap_or_default();
    let deadline = Instant::now() + PATIENCE;
    let record = audit(core, agent, &call.user, &info);
    if let (Some(record), Some(object), Verb::Update) = (&record, &mut sent, call.verb)
        && record.wants_request()
        && let Some(stored) = core.store.get(&resource.table, &call.namespace, &call.name)
        && let Some(managed) = stored.whole().pointer("/metadata/managedFields")
    {
        // Who reads the log sees the object that a controller had read, which says who manages what.
        object["metadata"]["managedFields"] = managed.clone();
    }
    let mut request = Request {
        verb,
        resource,
        subresource,
        namespace: call.namespace,
        name: call.name,
        query: Query::default(),
        content_type: content_type.to_owned(),
        user_agent: agent.to_owned(),
        body: body.into(),
        sent,
        user: (*call.user).clone(),
        deadline,
        labels_of_template: false,
        unseen: false,
        warnings: Vec::new(),
        audit: record.clone(),
    };
    let started = Instant::now();
    let result = timeout_at(deadline, registry::serve(core, &mut request, &info)).await;
    let code = match &result {
        Ok(Ok(reply)) => reply.code,
        Ok(Err(rejection)) => rejection.code,
        Err(_elapsed) => 504,
    };
    core.metrics.request(&info.counted(false, false), code, started.elapsed(), None);
    let result = answer(result);
    if let Some(record) = record {
        let body = match &result {
            Ok(Answered::Stored(object)) => (*object.whole()).clone(),
            Ok(Answered::Value(value)) => value.clone(),
            Err(refusal) => refusal.to_status(),
        };
        record.response(code, (!body.is_null()).then_some(body));
        core.audit.write(&core.metrics, &record, "ResponseComplete", &core.clock.now().rfc3339_micro());
    }
    result
}

/// The request in the audit log, with the reason for which the controller may make it.
fn audit(core: &Shared, agent: &str, user: &UserInfo, info: &RequestInfo) -> Option<Arc<Record>> {
    let path = info.to_path();
    let user_agent = match user.username.strip_prefix("system:serviceaccount:") {
        Some(_) => format!("{agent}/{}", user.username),
        None => agent.to_owned(),
    };
    let record = core.audit.begin(
        &core.metrics,
        AuditRequest {
            id: core.random.uid(),
            uri: path.clone(),
            info,
            path: &path,
            user,
            source_ips: vec!["127.0.0.1".to_owned()],
            user_agent,
            received: core.clock.now().rfc3339_micro(),
        },
    )?;
    let reason = authorize::check(core, user, info, &path).unwrap_or_default();
    record.annotate("authorization.k8s.io/decision", "allow");
    record.annotate("authorization.k8s.io/reason", &reason);
    Some(record)
}

fn answer(result: Result<Result<Reply, Rejection>, Elapsed>) -> Result<Answered, Refusal> {
    match result {
        Ok(Ok(reply)) => Ok(match reply.content {
            Content::Stored(object) => Answered::Stored(object),
            Content::Value(value) | Content::Status(value) => Answered::Value(value),
            Content::List(_) | Content::Watch(_) | Content::Log(_) | Content::Connect(_) | Content::Empty => {
                Answered::Value(Value::Null)
            }
        }),
        Ok(Err(rejection)) => Err(Refusal::from_status(rejection.code, &rejection.status)),
        Err(_elapsed) => Err(Refusal {
            code: 504,
            reason: "Timeout".to_owned(),
            message: "Timeout: request did not complete within the allotted duration".to_owned(),
            namespace_terminating: false,
        }),
    }
}

/// The user of a controller: its service account, which is made if it is not there, with a token's identity.
pub(super) fn user(core: &Shared, name: &str) -> UserInfo {
    let account = apimachinery::value::json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name, "namespace": NAMESPACE },
    });
    let made = put_in_place(core, "serviceaccounts", account);
    let account = made.or_else(|| core.store.get("serviceaccounts", NAMESPACE, name));
    let credential = format!("JTI={}", core.random.uid());
    UserInfo {
        username: format!("system:serviceaccount:{NAMESPACE}:{name}"),
        uid: account.map(|account| account.meta("uid").to_owned()).unwrap_or_default(),
        groups: account_groups(NAMESPACE),
        extra: [(CREDENTIAL_ID.to_owned(), vec![credential])].into(),
    }
}

/// What is served, looked up anew only when the table of kinds has changed.
pub(super) fn discovery(core: &Shared) -> Discovery {
    type Known = Option<(Arc<Kinds>, Arc<Vec<Served>>)>;
    let core = core.clone();
    let known: Mutex<Known> = Mutex::new(None);
    Discovery::new(move || {
        let kinds = core.registry.kinds();
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, list)) = &*known
            && Arc::ptr_eq(of, &kinds)
        {
            return list.clone();
        }
        let list = Arc::new(list(&kinds));
        *known = Some((Arc::clone(&kinds), list.clone()));
        list
    })
}

fn list(kinds: &Kinds) -> Vec<Served> {
    let mut tables = std::collections::BTreeSet::new();
    kinds
        .all()
        .filter(|resource| resource.is_stored() && resource.verbs.contains(&crate::kinds::Verb::Delete))
        .filter(|resource| tables.insert(resource.table.clone()))
        .map(|resource| Served {
            group: resource.gvk.group.clone(),
            version: resource.gvk.version.clone(),
            kind: resource.gvk.kind.clone(),
            resource: resource.plural.clone(),
            table: resource.table.clone(),
            namespaced: resource.namespaced,
            deletes_collections: resource.verbs.contains(&crate::kinds::Verb::DeleteCollection),
        })
        .collect()
}
