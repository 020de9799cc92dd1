//! get and list.

use apimachinery::value::{Value, json};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::call::{Call, Content, List, Reply};
use super::selectors::Filter;
use crate::admission::Rejection;
use crate::core::Core;
use crate::refusal;

/// GET of one object.
pub(crate) fn get(core: &Core, call: &Call) -> Result<Reply, Rejection> {
    // A revision that is none is no bad request here either.
    let asked = revision(call).map_err(|text| Rejection::unknown(&text))?;
    if asked > 0 && asked > core.store.revision() {
        return Err(refusal::too_large_resource_version(asked, core.store.revision()));
    }
    let object = core.store.get(&call.resource.table, &call.namespace, &call.name).ok_or_else(|| call.not_found())?;
    Ok(Reply::ok(Content::Stored(object)))
}

/// GET of a collection.
pub(crate) fn list(core: &Core, call: &Call) -> Result<Reply, Rejection> {
    let filter = Filter::parse(call)?;
    let limit = call.query.int("limit").map_err(|text| Rejection::bad_request(&text))?.unwrap_or(0);
    let limit = usize::try_from(limit).unwrap_or(0);
    call.query.int("timeoutSeconds").map_err(|text| Rejection::bad_request(&text))?;
    check_list_options(call)?;
    let asked = revision(call).map_err(|text| Rejection::bad_request(&format!("invalid resource version: {text}")))?;
    let exact = call.query.get("resourceVersionMatch") == "Exact";
    let continued = match call.query.get("continue") {
        "" => None,
        token => Some(Continue::decode(token)?),
    };
    let table = &call.resource.table;
    let (objects, revision) = match (&continued, asked) {
        (Some(from), _) if from.revision > 0 => {
            let objects = core.store.list_at(table, &call.namespace, from.revision);
            (objects.map_err(|_| refusal::continue_expired(inconsistent_continue(&from.start)))?, from.revision)
        }
        (None, revision) if exact && revision > 0 => {
            let objects = core.store.list_at(table, &call.namespace, revision).map_err(|_| refusal::list_expired())?;
            (objects, revision)
        }
        (_, asked) => {
            let (objects, revision) = core.store.list(table, &call.namespace);
            if asked > revision {
                return Err(refusal::too_large_resource_version(asked, revision));
            }
            (objects, revision)
        }
    };
    let from = match &continued {
        Some(from) => objects.partition_point(|object| *object.key() < *from.start),
        None => 0,
    };
    let mut items = Vec::new();
    let mut next = None;
    let mut rest = 0;
    for (at, object) in objects.iter().enumerate().skip(from) {
        if limit > 0 && items.len() == limit {
            if filter.is_empty() || objects[at..].iter().any(|object| filter.matches(object)) {
                next = items.last().map(|last: &std::sync::Arc<crate::store::Object>| format!("{}\0", last.key()));
                rest = objects.len() - at;
            }
            break;
        }
        if filter.matches(object) {
            items.push(object.clone());
        }
    }
    let remaining = (next.is_some() && filter.is_empty()).then_some(rest);
    let continue_token = next.map(|start| Continue { revision, start }.encode());
    Ok(Reply::ok(Content::List(List { items, revision, continue_token, remaining })))
}

/// The revision that a list or watch asks for; 0 if it does not. The error is the text after `invalid resource version: `.
pub(super) fn revision(call: &Call) -> Result<u64, String> {
    match call.query.get("resourceVersion") {
        "" => Ok(0),
        text => text.parse().map_err(|_| {
            format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax")
        }),
    }
}

/// The rules for `resourceVersionMatch` and `sendInitialEvents` (`api-basics/list-rv-match-bad`, `watch-send-initial-invalid`).
pub(super) fn check_list_options(call: &Call) -> Result<(), Rejection> {
    let wanted = call.query.get("resourceVersionMatch");
    let watch = call.verb == "watch";
    let mut causes = Vec::new();
    let forbid = |field: &str, text: &str| refusal::Cause::forbidden(field, text);
    let initial = call.query.find("sendInitialEvents").is_some();
    if watch && initial && wanted != "NotOlderThan" {
        let text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        causes.push(forbid("resourceVersionMatch", text));
    }
    if !wanted.is_empty() {
        let version = call.query.get("resourceVersion");
        if watch && !initial {
            let text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            causes.push(forbid("resourceVersionMatch", text));
        }
        if !watch && version.is_empty() {
            let text = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            causes.push(forbid("resourceVersionMatch", text));
        }
        let continued = (!call.query.get("continue").is_empty())
            .then(|| forbid("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"));
        let supported: &[&str] = if watch { &["NotOlderThan"] } else { &["Exact", "NotOlderThan", ""] };
        let unsupported = (!supported.contains(&wanted))
            .then(|| refusal::Cause::unsupported("resourceVersionMatch", wanted, supported));
        // A watch and a list look at these two in different order.
        if watch {
            causes.extend(unsupported.into_iter().chain(continued));
        } else {
            causes.extend(continued.into_iter().chain(unsupported));
        }
        if !watch && wanted == "Exact" && version == "0" {
            let text = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            causes.push(forbid("resourceVersionMatch", text));
        }
    }
    if !watch && initial {
        causes.push(forbid("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    if causes.is_empty() { Ok(()) } else { Err(refusal::invalid("meta.k8s.io", "ListOptions", "", &causes)) }
}

/// Where the next page of a list begins.
struct Continue {
    /// The revision that the list was begun at; -1 or 0 for one that may mix revisions.
    revision: u64,
    /// The first key that may be shown.
    start: String,
}

impl Continue {
    fn encode(&self) -> String {
        let revision = i64::try_from(self.revision).unwrap_or(-1);
        let revision = if self.revision == 0 { -1 } else { revision };
        URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": revision, "start": self.start}).to_string())
    }

    fn decode(token: &str) -> Result<Continue, Rejection> {
        let bad =
            |why: String| Rejection::bad_request(&format!("invalid continue token: continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|error| bad(error.to_string()))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| {
            let first = bytes.first().map_or_else(String::new, |byte| char::from(*byte).to_string());
            bad(format!("invalid character '{first}' looking for beginning of value"))
        })?;
        if value["v"] != "meta.k8s.io/v1" {
            let version = value["v"].as_str().unwrap_or_default();
            return Err(bad(format!("server does not recognize this encoded version {version:?}")));
        }
        let start = value["start"].as_str().unwrap_or_default().to_owned();
        if start.is_empty() {
            return Err(bad("encoded start key empty (version meta.k8s.io/v1)".to_owned()));
        }
        Ok(Continue { revision: value["rv"].as_u64().unwrap_or(0), start })
    }
}

/// A token that continues behind `start` without promising one revision.
pub(super) fn inconsistent_continue(start: &str) -> String {
    Continue { revision: 0, start: start.to_owned() }.encode()
}
