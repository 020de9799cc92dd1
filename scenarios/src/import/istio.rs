//! The log of Istio 1.0's sidecar injector.
//!
//! At level info it says who asked for what, and the patch; at level debug the object as well, without which there is no
//! review to make. A review is written when the answer is logged.

use admission::capture::{Answer, Record};
use apimachinery::value::{Value, json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Imported;

/// Reads line by line.
#[derive(Default)]
pub(super) struct Log {
    pending: Option<Pending>,
}

struct Pending {
    time: Option<String>,
    request: Value,
    patch: Option<String>,
}

impl Log {
    /// A record, once a review is complete: when the answer came, or the next review begins.
    pub(super) fn line(&mut self, line: &str, imported: &mut Imported) -> Option<Record> {
        if let Some((head, rest)) = line.split_once("AdmissionReview for Kind=") {
            let before = self.end(imported);
            let time = head.split_whitespace().next().filter(|word| word.ends_with('Z')).map(str::to_owned);
            self.pending = parse(rest).map(|request| Pending { time, request, patch: None });
            if self.pending.is_none() {
                imported.problem("injector log", "a review that is not told as Istio 1.0 tells it");
            }
            return before;
        }
        let pending = self.pending.as_mut()?;
        let object = |text: &str| serde_json::from_str::<Value>(text.trim()).ok().filter(Value::is_object);
        if let Some((_, text)) = line.split_once("OldObject: ") {
            if let Some(object) = object(text) {
                pending.request["oldObject"] = object;
            }
        } else if let Some((_, text)) = line.split_once("Object: ") {
            if let Some(object) = object(text) {
                pending.request["object"] = object;
            }
        } else if let Some((_, text)) = line.split_once("AdmissionResponse: patch=") {
            pending.patch = Some(text.trim().trim_end_matches("\\n").to_owned());
            return self.end(imported);
        } else if line.contains("Skipping ") && line.contains(" due to policy check") {
            pending.patch = Some(String::new());
            return self.end(imported);
        }
        None
    }

    /// The review that was begun.
    pub(super) fn end(&mut self, imported: &mut Imported) -> Option<Record> {
        let Pending { time, request, patch } = self.pending.take()?;
        if request["object"].is_null() && request["oldObject"].is_null() {
            imported.pass_over("no object: the injector logs it at level debug only");
            return None;
        }
        let uid = request["uid"].clone();
        let body = json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1", "request": request });
        let response = patch.map(|patch| {
            let mut response = json!({ "uid": uid, "allowed": true });
            if !patch.is_empty() {
                response["patchType"] = "JSONPatch".into();
                response["patch"] = STANDARD.encode(patch).into();
            }
            Answer { status: 200, headers: Vec::new(), body: json!({ "response": response }).to_string() }
        });
        Some(Record {
            time,
            method: "POST".to_owned(),
            path: "/inject".to_owned(),
            body: body.to_string(),
            response,
            ..Record::default()
        })
    }
}

/// `/v1, Kind=Pod Namespace=shop Name= () UID=… Rfc6902PatchOperation=CREATE UserInfo={name uid [groups] map[]}`
fn parse(text: &str) -> Option<Value> {
    let (kind, rest) = text.split_once(" Namespace=")?;
    let (api, kind) = kind.split_once(", Kind=")?;
    let (group, version) = api.split_once('/')?;
    let (namespace, rest) = rest.split_once(" Name=")?;
    let (name, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once("UID=")?;
    let (uid, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once("Operation=")?;
    let (operation, rest) = rest.split_once(' ')?;
    let user = rest.split_once("UserInfo={").map(|(_, user)| user).unwrap_or_default();
    // The uid may be empty: then two spaces stand side by side.
    let (who, groups) = user.split_once(" [")?;
    let (username, user_uid) = who.split_once(' ').unwrap_or((who, ""));
    let groups: Vec<&str> = groups.split_once(']')?.0.split_whitespace().collect();
    let kind_lower = kind.to_ascii_lowercase();
    let mut request = json!({
        "uid": uid, "namespace": namespace, "operation": operation,
        "kind": { "group": group, "version": version, "kind": kind },
        "resource": { "group": group, "version": version, "resource": format!("{kind_lower}s") },
        "userInfo": { "username": username, "groups": groups },
        "object": null, "oldObject": null,
    });
    if !name.is_empty() {
        request["name"] = name.into();
    }
    if !user_uid.is_empty() {
        request["userInfo"]["uid"] = user_uid.into();
    }
    Some(request)
}
