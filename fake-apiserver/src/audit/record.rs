//! One request on its way to the audit log.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use apimachinery::value::Value;

use super::event::{Event, ObjectReference, omit_managed_fields, response_status};
use super::policy::{Level, Scope};
use crate::admission::{Phase, Trace, UserInfo};
use crate::request::path::RequestInfo;
use crate::time::go_text;

/// What is known of a request when it has been authenticated.
pub(crate) struct Request<'a> {
    /// Also the answer's `Audit-Id`.
    pub(crate) id: String,
    /// Path and query.
    pub(crate) uri: String,
    pub(crate) info: &'a RequestInfo,
    /// Path without query, for what is no resource.
    pub(crate) path: &'a str,
    /// Who asks, before any impersonation.
    pub(crate) user: &'a UserInfo,
    pub(crate) source_ips: Vec<String>,
    pub(crate) user_agent: String,
    /// When it came in, RFC 3339 with microseconds.
    pub(crate) received: String,
}

/// A request while it is handled; parts are added as they become known.
pub(crate) struct Record {
    scope: Scope,
    event: Mutex<Event>,
    webhooks: Mutex<Webhooks>,
}

/// How long webhooks took: mutating ones one after the other, validating ones at once.
#[derive(Clone, Copy, Default)]
struct Webhooks {
    mutating: Duration,
    validating: Duration,
}

/// A request that takes longer says what took so long.
const SLOW: Duration = Duration::from_millis(500);

impl Record {
    pub(super) fn new(scope: Scope, request: Request<'_>) -> Record {
        let info = request.info;
        let object_ref = info.is_resource.then(|| ObjectReference {
            resource: info.resource.clone(),
            namespace: info.namespace.clone(),
            name: info.name.clone(),
            api_group: info.group.clone(),
            api_version: info.version.clone(),
            subresource: info.subresource.clone(),
            ..ObjectReference::default()
        });
        let event = Event {
            kind: "Event",
            api_version: "audit.k8s.io/v1",
            level: scope.level.as_str(),
            audit_id: request.id,
            stage: "",
            request_uri: request.uri,
            verb: info.verb.to_owned(),
            user: request.user.clone(),
            impersonated_user: None,
            source_ips: request.source_ips,
            user_agent: request.user_agent,
            object_ref,
            response_status: None,
            request_object: None,
            response_object: None,
            stage_timestamp: request.received.clone(),
            request_received_timestamp: request.received,
            annotations: BTreeMap::new(),
        };
        Record { scope, event: Mutex::new(event), webhooks: Mutex::default() }
    }

    fn event(&self) -> MutexGuard<'_, Event> {
        self.event.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the answer's object is to be kept.
    pub(crate) fn wants_response(&self) -> bool {
        self.scope.level >= Level::RequestResponse
    }

    /// Whether the object that was sent, and webhooks' patches, are to be kept.
    pub(crate) fn wants_request(&self) -> bool {
        self.scope.level >= Level::Request
    }

    /// As whom the user acts.
    pub(crate) fn impersonated(&self, user: &UserInfo) {
        self.event().impersonated_user = Some(user.clone());
    }

    /// Adds an annotation; the first of a key stays. Patches belong to the level Request and above.
    pub(crate) fn annotate(&self, key: &str, value: &str) {
        if key.starts_with("patch.webhook.admission.k8s.io/") && !self.wants_request() {
            return;
        }
        let mut event = self.event();
        if !event.annotations.contains_key(key) {
            event.annotations.insert(key.to_owned(), value.to_owned());
        }
    }

    /// Adds annotations.
    pub(crate) fn annotate_all(&self, annotations: &BTreeMap<String, String>) {
        for (key, value) in annotations {
            self.annotate(key, value);
        }
    }

    /// Adds what webhooks took.
    pub(crate) fn webhooks_took(&self, trace: &Trace) {
        let mut took = self.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in &trace.entries {
            match entry.phase {
                Phase::Mutating => took.mutating += entry.took,
                Phase::Validating => took.validating = took.validating.max(entry.took),
            }
        }
    }

    /// The request is answered after this time; if that was long, what of it were webhooks is annotated.
    pub(crate) fn took(&self, total: Duration) {
        if total <= SLOW {
            return;
        }
        let webhooks = *self.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
        let parts =
            [("mutating-webhook", webhooks.mutating), ("validating-webhook", webhooks.validating), ("total", total)];
        for (part, took) in parts.into_iter().filter(|(_, took)| !took.is_zero()) {
            self.annotate(&format!("apiserver.latency.k8s.io/{part}"), &go_text(took));
        }
    }

    /// The object that was sent, decoded and defaulted, or the patch. The first one stays: a write that is tried again
    /// decodes again.
    pub(crate) fn request_object(&self, object: &Value, is_patch: bool) {
        let mut event = self.event();
        if !is_patch && let Some(reference) = &mut event.object_ref {
            reference.complete(object);
        }
        if !self.wants_request() || event.request_object.is_some() {
            return;
        }
        let mut object = object.clone();
        if self.scope.omit_managed_fields {
            omit_managed_fields(&mut object);
        }
        event.request_object = Some(object);
    }

    /// The answer: its code, and its body if that is an API object.
    pub(crate) fn response(&self, code: u16, body: Option<Value>) {
        let mut event = self.event();
        event.response_status = Some(response_status(code, body.as_ref()));
        if self.wants_response()
            && let Some(mut object) = body
        {
            if self.scope.omit_managed_fields {
                omit_managed_fields(&mut object);
            }
            event.response_object = Some(object);
        }
    }

    /// Whether it is known already how it ends.
    pub(crate) fn is_answered(&self) -> bool {
        self.event().response_status.is_some()
    }

    /// Nobody could say who asks; what the real one writes of such a request.
    pub(crate) fn unauthenticated(&self, attempted: &str) {
        let message = format!("Authentication failed, attempted: {attempted}");
        self.event().response_status = Some(apimachinery::value::json!({
            "metadata": {}, "status": "Failure", "message": message, "reason": "Unauthorized", "code": 401,
        }));
    }

    /// The line of a stage; none if the policy leaves the stage out. An empty time is when the request came in.
    pub(super) fn line(&self, stage: &'static str, time: &str) -> Option<Vec<u8>> {
        if self.scope.omits(stage) {
            return None;
        }
        let mut event = self.event();
        event.stage = stage;
        if !time.is_empty() {
            time.clone_into(&mut event.stage_timestamp);
        }
        Some(event.line())
    }
}
