//! One call of one webhook: the review out, the verdict in.

use std::time::Duration;

use ::admission::gojson;
use ::admission::review::{
    GroupVersionKind as Kind, GroupVersionResource as Resource, Operation, Payload, Request, Version,
};
use apimachinery::value::{Map, Value};
use bytes::Bytes;
use tokio::time::Instant;

use super::super::attributes::{self, Attributes, GroupVersionKind, GroupVersionResource};
use super::super::client::{CallError, Client};
use super::super::cluster::Cluster;
use super::super::golang;
use super::super::memory::Memory;
use super::super::rejection::Rejection;
use super::configuration::Webhook;
use super::reply::{self, Verdict};
use super::rules::Invocation;
use crate::fault::{Effect, Ordered};
use crate::memo::Same;

/// The status of calls that brought no answer or none that can be read.
const UNAVAILABLE: u16 = 503;

/// How a call went wrong.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The call failed: subject to failurePolicy.
    Calling {
        /// The text follows `failed calling webhook "x": `.
        error: String,
        /// The status by which metrics tell it: the webhook's own, or that of the error.
        code: u16,
    },
    /// The webhook said no.
    Denied(Rejection),
    /// What the webhook said cannot be used, which no failurePolicy forgives.
    Rejected(Rejection),
}

impl Failure {
    /// A failed call that metrics count under the usual 503.
    pub(crate) fn calling(error: String) -> Failure {
        Failure::Calling { error, code: UNAVAILABLE }
    }

    /// The whole text of a failed call.
    pub(crate) fn text(hook: &str, error: &str) -> String {
        format!("failed calling webhook {}: {error}", golang::quote(hook))
    }
}

/// What a call needs besides the webhook.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) client: &'a Client,
    pub(crate) cluster: &'a dyn Cluster,
    /// Where the text of the object may be found.
    pub(crate) memory: Option<&'a Memory>,
    pub(crate) attributes: &'a Attributes,
    /// New and old object in the kind of the invocation.
    pub(crate) object: Option<&'a Value>,
    pub(crate) old_object: Option<&'a Value>,
    pub(crate) mutating: bool,
}

impl Call<'_> {
    /// Sends the review and reads the verdict; a denial is an error.
    pub(crate) async fn send(&self, hook: &Webhook, invocation: &Invocation, uid: &str) -> Result<Verdict, Failure> {
        if self.attributes.dry_run && !hook.dry_run_safe {
            let message = format!("admission webhook {} does not support dry run", golang::quote(&hook.name));
            return Err(Failure::Rejected(Rejection::bad_request(&message)));
        }
        let v1beta1 = hook.v1beta1 || self.cluster.version().reviews_v1beta1();
        let body = self.review(invocation, uid, v1beta1);
        let body = body.map_err(|error| Failure::Calling { error, code: 400 })?;
        let timeout = remaining(hook.timeout, self.attributes.deadline);
        let reply = match self.cluster.webhook_fault(&hook.name) {
            None => self.client.post(&hook.client, self.cluster, body.into(), timeout).await,
            Some(fault) => self.suffer(fault, hook, body.into(), timeout).await,
        };
        let failed = |error: String, code| Failure::Calling { error: format!("failed to call webhook: {error}"), code };
        let reply = reply.map_err(|error| match error {
            CallError::Setup(error) => {
                Failure::Calling { error: format!("could not get REST client: {error}"), code: 400 }
            }
            CallError::Call(error) => failed(error, UNAVAILABLE),
            CallError::Status(code, error) => failed(error, code),
        })?;
        let review = reply::decode(&reply, v1beta1).map_err(|error| failed(error, UNAVAILABLE))?;
        reply::verify(review, uid, self.mutating, v1beta1)
            .map_err(|error| Failure::calling(format!("received invalid webhook response: {error}")))
    }

    /// A call with a fault that was ordered: the delay counts against the timeout, then the rest happens.
    async fn suffer(
        &self,
        (delay, effect): Ordered,
        hook: &Webhook,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        tokio::time::sleep(delay.min(timeout)).await;
        if delay >= timeout {
            return Err(hook.client.call_error(timeout, |_, _| "context deadline exceeded".to_owned()));
        }
        match effect {
            Effect::Slow => self.client.post(&hook.client, self.cluster, body, timeout - delay).await,
            Effect::Refuse => Err(hook
                .client
                .call_error(timeout, |host, port| format!("dial tcp {host}:{port}: connect: connection refused"))),
            Effect::Reset => Err(hook
                .client
                .call_error(timeout, |host, port| format!("read tcp {host}:{port}: read: connection reset by peer"))),
            Effect::Status { code, .. } => Err(CallError::of_status(code)),
        }
    }

    fn review(&self, invocation: &Invocation, uid: &str, v1beta1: bool) -> Result<Vec<u8>, String> {
        let attributes = self.attributes;
        let version = self.cluster.version();
        let (old_form, old_form_of_old) = (
            self.object.and_then(|object| version.in_review(object)),
            self.old_object.and_then(|old| version.in_review(old)),
        );
        let object = old_form.as_ref().or(self.object);
        let remembered = self.memory.zip(object);
        let show = |out: &mut Vec<u8>| {
            if let Some((memory, object)) = remembered {
                show(memory, object, out);
            }
        };
        let request = Request {
            uid,
            kind: &kind(&invocation.kind),
            resource: &resource(&invocation.resource),
            sub_resource: &attributes.subresource,
            request_kind: &kind(&attributes.kind),
            request_resource: &resource(&attributes.resource),
            request_sub_resource: &attributes.subresource,
            name: &attributes.name,
            namespace: &attributes.namespace,
            operation: match attributes.operation {
                attributes::Operation::Create => Operation::Create,
                attributes::Operation::Update => Operation::Update,
                attributes::Operation::Delete => Operation::Delete,
                attributes::Operation::Connect => Operation::Connect,
            },
            user_info: &attributes.user,
            object: remembered.map(|_| Payload::Parts(&show)).or(object.map(Into::into)),
            old_object: old_form_of_old.as_ref().or(self.old_object).map(Into::into),
            dry_run: attributes.dry_run,
            options: attributes.options.as_ref().map(Into::into),
            form: version.review_form(),
        };
        let version = if v1beta1 { Version::V1beta1 } else { Version::V1 };
        request.encode(version).map_err(|error| format!("could not create admission objects: {error}"))
    }
}

/// Writes an object as reviews show it. Its spec and who owns which of its fields are most of the text, and the same for many.
fn show(memory: &Memory, object: &Value, out: &mut Vec<u8>) {
    gojson::append_parts(out, object, &mut |out, name, part| {
        if !matches!(name, "spec" | "fieldsV1") {
            return false;
        }
        let question = Same(part.clone());
        let text = memory.shown.get(&question).unwrap_or_else(|| {
            let mut text = Vec::with_capacity(4096);
            gojson::append_value(&mut text, part);
            let text = Bytes::from(text);
            memory.shown.put(question, text.clone(), text.len());
            text
        });
        out.extend_from_slice(&text);
        true
    });
}

fn kind(kind: &GroupVersionKind) -> Kind<'_> {
    Kind { group: kind.group.as_str().into(), version: kind.version.as_str().into(), kind: kind.kind.as_str().into() }
}

fn resource(resource: &GroupVersionResource) -> Resource<'_> {
    Resource {
        group: resource.group.as_str().into(),
        version: resource.version.as_str().into(),
        resource: resource.resource.as_str().into(),
    }
}

/// The webhook's timeout, cut to what is left of the request's.
fn remaining(timeout: Duration, deadline: Option<Instant>) -> Duration {
    match deadline {
        Some(deadline) => timeout.min(deadline.saturating_duration_since(Instant::now())),
        None => timeout,
    }
}

/// The Status of a denial: code at least 400, never Success, the message names the webhook (vectors `deny/*`).
pub(crate) fn denial(hook: &str, status: Option<Map>) -> Rejection {
    let status = status.unwrap_or_default();
    let text = |key: &str| status.get(key).and_then(Value::as_str).unwrap_or_default();
    let code = status.get("code").and_then(Value::as_i64).unwrap_or_default();
    let code = u16::try_from(code.max(400)).unwrap_or(u16::MAX);
    let by = format!("admission webhook {} denied the request", golang::quote(hook));
    let message = match (text("message"), text("reason")) {
        ("", "") => format!("{by} without explanation"),
        ("", reason) => format!("{by}: {reason}"),
        (message, _) => format!("{by}: {message}"),
    };
    let mut rejection = Rejection::new(code, text("reason"), &message);
    for key in ["metadata", "details"] {
        if let Some(value) = status.get(key) {
            rejection.status[key] = value.clone();
        }
    }
    match text("status") {
        "" | "Success" => {}
        other => rejection.status["status"] = other.into(),
    }
    rejection
}
