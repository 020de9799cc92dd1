//! Events of an apiserver's audit log (`audit.k8s.io/v1`): one review for each webhook that was called, or one for the
//! request if none was.

use admission::capture::{Answer, Record};
use apimachinery::value::{Value, json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::rebuild::{before_webhooks, members, step, unmark};

/// Whether a line is such an event.
pub(super) fn is_event(value: &Value) -> bool {
    value["kind"] == "Event" && value["apiVersion"].as_str().is_some_and(|version| version.starts_with("audit.k8s.io/"))
}

/// A webhook's part in a request.
struct Call {
    round: u32,
    index: u32,
    webhook: String,
    patch: Value,
}

/// The reviews of one event; why there are none, if there are none.
pub(super) fn reviews(event: &Value) -> Result<Vec<Record>, &'static str> {
    if event["stage"] != "ResponseComplete" {
        return Err("an earlier stage of a request");
    }
    if !matches!(event["level"].as_str(), Some("Request" | "RequestResponse")) {
        return Err("no object: the policy's level for it is below Request");
    }
    let reference = &event["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let subresource = text(&reference["subresource"]);
    let connects = matches!(subresource.as_str(), "exec" | "attach" | "portforward" | "proxy");
    let operation = match event["verb"].as_str().unwrap_or_default() {
        _ if connects => "CONNECT",
        "create" => "CREATE",
        "update" | "patch" => "UPDATE",
        "delete" | "deletecollection" => "DELETE",
        _ => return Err("a request that is not admitted: it only reads"),
    };
    let sent = &event["requestObject"];
    let response = Some(&event["responseObject"]).filter(|object| object.is_object() && object["kind"] != "Status");
    // The body of a PATCH is no object; what came of it is.
    let patched = event["verb"] == "patch";
    let object = match (operation, patched) {
        ("CREATE" | "UPDATE", false) if sent.is_object() => Some(sent),
        ("CREATE" | "UPDATE", true) => response,
        _ => None,
    };
    if object.is_none() && matches!(operation, "CREATE" | "UPDATE") {
        return Err("no object: the policy's level for it is below Request");
    }
    let namespace = text(&reference["namespace"]);
    let mut calls = calls(&event["annotations"]);
    calls.sort_by_key(|call| (call.round, call.index));
    let patches: Vec<Value> = calls.iter().map(|call| call.patch.clone()).collect();
    let mut now = object.map(|object| match patched {
        true => object.clone(),
        false => before_webhooks(object, response, &patches, &namespace),
    });
    if calls.is_empty() {
        return Ok(vec![record(event, operation, now.as_ref(), None)]);
    }
    let mut records = Vec::with_capacity(calls.len());
    for call in &calls {
        records.push(record(event, operation, now.as_ref(), Some(call)));
        for operation in call.patch.as_array().into_iter().flatten() {
            now = now.map(|object| step(object, operation));
        }
        if let Some(object) = &mut now {
            unmark(object);
        }
    }
    deny(event, records.last_mut());
    Ok(records)
}

/// The calls that the annotations tell of.
fn calls(annotations: &Value) -> Vec<Call> {
    let annotations = members(annotations);
    let parsed = |value: &Value| value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut calls = Vec::new();
    for (key, value) in &annotations {
        let Some(place) = key.strip_prefix("mutation.webhook.admission.k8s.io/round_") else { continue };
        let Some((round, index)) = place.split_once("_index_") else { continue };
        let (Ok(round), Ok(index), Some(what)) = (round.parse(), index.parse(), parsed(value)) else { continue };
        let patch = annotations.get(&format!("patch.webhook.admission.k8s.io/{}", &key[key.len() - place.len() - 6..]));
        let patch = patch.and_then(parsed).map_or(Value::Null, |mut patch| patch["patch"].take());
        calls.push(Call { round, index, webhook: what["webhook"].as_str().unwrap_or_default().to_owned(), patch });
    }
    calls
}

fn record(event: &Value, operation: &str, object: Option<&Value>, call: Option<&Call>) -> Record {
    let reference = &event["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (round, index) = call.map_or((0, 0), |call| (call.round, call.index));
    let uid = uid(&text(&event["auditID"]), round, index);
    let group = text(&reference["apiGroup"]);
    let version = text(&reference["apiVersion"]);
    let kind = object.map(|object| text(&object["kind"])).unwrap_or_default();
    // A subresource's object may be of another group: autoscaling's Scale.
    let (kind_group, kind_version) = match object.and_then(|object| object["apiVersion"].as_str()) {
        Some(api) => api.split_once('/').map_or((String::new(), api.to_owned()), |(g, v)| (g.to_owned(), v.to_owned())),
        None => (group.clone(), version.clone()),
    };
    let kind = json!({ "group": kind_group, "version": kind_version, "kind": kind });
    let resource = json!({ "group": group, "version": version, "resource": text(&reference["resource"]) });
    let uri = text(&event["requestURI"]);
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let user = if event["impersonatedUser"].is_object() { &event["impersonatedUser"] } else { &event["user"] };
    let mut request = json!({
        "uid": uid, "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
        "operation": operation, "userInfo": user, "object": object, "oldObject": null,
        "dryRun": query.split('&').any(|part| part == "dryRun=All"),
        "options": options(event, operation, query),
    });
    let name = object.map_or_else(|| text(&reference["name"]), |object| text(&object["metadata"]["name"]));
    for (key, value) in [
        ("subResource", text(&reference["subresource"])),
        ("requestSubResource", text(&reference["subresource"])),
        ("name", name),
        ("namespace", text(&reference["namespace"])),
    ] {
        if !value.is_empty() {
            request[key] = value.into();
        }
    }
    let body = json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request });
    let response = call.map(|call| {
        let mut response = json!({ "uid": uid, "allowed": true });
        if call.patch.as_array().is_some_and(|patch| !patch.is_empty()) {
            response["patchType"] = "JSONPatch".into();
            response["patch"] = STANDARD.encode(call.patch.to_string()).into();
        }
        let body = json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response });
        Answer { status: 200, headers: Vec::new(), body: body.to_string() }
    });
    Record {
        time: event["requestReceivedTimestamp"].as_str().map(str::to_owned),
        method: "POST".to_owned(),
        webhook: call.map(|call| call.webhook.clone()).unwrap_or_default(),
        body: body.to_string(),
        response: response.filter(|_| !failed_open(event, round, index)),
        ..Record::default()
    }
}

/// A webhook that did not answer and was passed over.
fn failed_open(event: &Value, round: u32, index: u32) -> bool {
    let key = format!("failed-open.mutation.webhook.admission.k8s.io/round_{round}_index_{index}");
    !event["annotations"][key].is_null()
}

/// The last webhook that was called is the one that denied, if one did.
fn deny(event: &Value, last: Option<&mut Record>) {
    let status = &event["responseStatus"];
    let Some(message) = status["message"].as_str() else { return };
    let Some(record) = last else { return };
    let Some(rest) = message.strip_prefix(&format!("admission webhook \"{}\" denied the request", record.webhook))
    else {
        // It may have failed: an error that names it is no answer.
        if message.contains(&format!("failed calling webhook \"{}\"", record.webhook)) {
            record.response = None;
        }
        return;
    };
    let message = rest.trim_start_matches([':', ' ']).trim_start_matches("without explanation");
    if let Some(answer) = &mut record.response
        && let Ok(mut body) = serde_json::from_str::<Value>(&answer.body)
    {
        body["response"]["allowed"] = false.into();
        body["response"]["status"] = json!({ "code": status["code"], "message": message });
        answer.body = body.to_string();
    }
}

/// The options of the request, from its URI.
fn options(event: &Value, operation: &str, query: &str) -> Value {
    let kind = match operation {
        "CREATE" => "CreateOptions",
        "UPDATE" if event["verb"] == "patch" => "PatchOptions",
        "UPDATE" => "UpdateOptions",
        "DELETE" => "DeleteOptions",
        _ => return Value::Null,
    };
    let mut options = json!({ "kind": kind, "apiVersion": "meta.k8s.io/v1" });
    if operation == "DELETE" && event["requestObject"].is_object() {
        for (key, value) in members(&event["requestObject"]) {
            if !matches!(key.as_str(), "kind" | "apiVersion") {
                options[key] = value;
            }
        }
    }
    for part in query.split('&') {
        match part.split_once('=') {
            Some(("dryRun", value)) => options["dryRun"] = json!([value]),
            Some((key @ ("fieldManager" | "fieldValidation"), value)) => {
                options[key] = value.replace("%2F", "/").into()
            }
            Some(("force", value)) => options["force"] = (value == "true").into(),
            _ => {}
        }
    }
    options
}

/// A uid of the call's own: the log does not hold the one that was sent. The same log gives the same uids.
fn uid(audit_id: &str, round: u32, index: u32) -> String {
    let hash = |salt: u64| {
        // FNV-1a: to spread, not to hide.
        format!("{audit_id}/{round}/{index}").bytes().fold(0xcbf2_9ce4_8422_2325 ^ salt, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    let (a, b) = (hash(0), hash(0x9e37_79b9_7f4a_7c15));
    // Version 8 (RFC 9562): made in a way of its own.
    format!(
        "{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        (b >> 48) & 0x3fff | 0x8000,
        b & 0xffff_ffff_ffff
    )
}
