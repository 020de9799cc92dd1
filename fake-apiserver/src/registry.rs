//! What the verbs do with the kinds of the table. Behaviour that only one kind has is a hook named after it.

mod admission_view;
mod admit;
pub(crate) mod bootstrap;
pub(crate) mod call;
pub(crate) mod connect;
pub(crate) mod convert;
mod crds;
pub(crate) mod create;
mod delete;
pub(crate) mod eviction;
mod hooks;
pub(crate) mod internal;
pub(crate) mod logs;
mod meta;
pub(crate) mod namespaces;
mod patch;
mod read;
mod reviews;
pub(crate) mod seam;
mod selectors;
mod services;
pub(crate) mod snapshot;
mod structural;
mod subresources;
mod update;
pub(crate) mod watch;

use http::Method;

use crate::admission::Rejection;
use crate::core::Shared;
use crate::fault::{Asked, Effect, Ordered};
use crate::kinds::{Gvk, PrinterColumn, Resource, Subresource, Verb, qualified};
use crate::refusal;
use crate::request::path::RequestInfo;
use call::{Call, Reply};

/// Whether the resource or subresource has the verb that method and path ask for.
pub(crate) fn is_served(call: &Call, info: &RequestInfo, method: &Method) -> bool {
    let named = !info.name.is_empty();
    let connects = call.subresource.as_ref().is_some_and(|subresource| is_connecting(&subresource.name));
    if connects {
        return named && !matches!(*method, Method::HEAD);
    }
    let verb = match *method {
        Method::GET if named => Verb::Get,
        Method::GET if info.verb == "watch" => Verb::Watch,
        Method::GET => Verb::List,
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH => Verb::Patch,
        Method::DELETE if named => Verb::Delete,
        Method::DELETE => Verb::DeleteCollection,
        _ => return false,
    };
    let in_place = match verb {
        Verb::Create => named == call.subresource.is_some(),
        Verb::Update | Verb::Patch => named,
        _ => true,
    };
    // Objects of a namespace are written in one; they are listed across all.
    let scoped = match call.resource.namespaced {
        true => !call.namespace.is_empty() || matches!(verb, Verb::List | Verb::Watch),
        false => info.namespace.is_empty() || &*call.resource.plural == "namespaces",
    };
    let verbs = call.subresource.as_ref().map_or(&call.resource.verbs, |subresource| &subresource.verbs);
    in_place && scoped && verbs.contains(&verb)
}

fn is_connecting(subresource: &str) -> bool {
    matches!(subresource, "exec" | "attach" | "portforward" | "proxy")
}

/// The fault that was ordered for a call, if any.
fn fault(core: &Shared, call: &Call) -> Option<Ordered> {
    let resource = match &call.subresource {
        None => call.resource.plural.to_string(),
        Some(subresource) => format!("{}/{}", call.resource.plural, subresource.name),
    };
    let asked = Asked {
        verb: call.verb,
        group: &call.resource.gvk.group,
        resource: &resource,
        namespace: &call.namespace,
        name: &call.name,
        user: &call.user.username,
    };
    core.faults.api(&asked, &core.random)
}

/// Waits, and says the error if there is to be one.
async fn suffer((delay, effect): Ordered) -> Result<(), Rejection> {
    tokio::time::sleep(delay).await;
    match effect {
        Effect::Status { code, retry_after } => Err(refusal::ordered(code, retry_after)),
        Effect::Slow | Effect::Refuse | Effect::Reset => Ok(()),
    }
}

/// Does what a call asks for. A future is as large as the largest of those that it waits for, and is moved as it is made:
/// each verb has its own.
pub(crate) async fn serve(core: &Shared, call: &mut Call, _info: &RequestInfo) -> Result<Reply, Rejection> {
    if let Some(fault) = fault(core, call) {
        suffer(fault).await?;
    }
    if let Some(subresource) = call.subresource.clone() {
        let own_kind = subresource.gvk == call.resource.gvk && &*subresource.name != "log";
        return match (own_kind, call.verb) {
            _ if &*subresource.name == "log" => logs::log(core, call),
            (false, _) => Box::pin(subresources::serve(core, call, &subresource.name)).await,
            (true, "get") => read::get(core, call),
            (true, "update") => Box::pin(update::update(core, call)).await,
            (true, "patch") => Box::pin(patch::patch(core, call)).await,
            _ => Err(refusal::method_not_allowed()),
        };
    }
    match call.verb {
        "get" => read::get(core, call),
        "list" => read::list(core, call),
        "watch" => watch::watch(core, call),
        "create" if &*call.resource.plural == "bindings" => Box::pin(subresources::bind_by_name(core, call)).await,
        "create" => Box::pin(create::create(core, call)).await,
        "update" => Box::pin(update::update(core, call)).await,
        "patch" => Box::pin(patch::patch(core, call)).await,
        "delete" => Box::pin(delete::delete(core, call)).await,
        "deletecollection" => Box::pin(delete::delete_collection(core, call)).await,
        _ => Err(refusal::method_not_allowed()),
    }
}
