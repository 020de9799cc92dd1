//! A webhook's answer.

use std::collections::BTreeMap;

use apimachinery::value::Value;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::Version;

/// `AdmissionReview.response`, as a webhook builds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    /// The request's uid.
    pub uid: String,
    /// Whether the request may go on.
    pub allowed: bool,
    /// Why not; an apiserver ignores it when `allowed`.
    pub status: Option<ResponseStatus>,
    /// The text of a JSON patch (RFC 6902). Only then is `patchType: JSONPatch` written; an empty patch is no patch.
    pub patch: Option<Vec<u8>>,
    /// Shown to the client as `Warning` headers. Written in either version: `v1beta1` has them since 1.19.
    pub warnings: Vec<String>,
    /// Added to the request's audit event as `<webhook name>/<key>`.
    pub audit_annotations: BTreeMap<String, String>,
}

/// The part of `metav1.Status` that means something in a response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResponseStatus {
    /// Shown to the user as `admission webhook "x" denied the request: <message>`.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "super::decode::null_as_default")]
    pub message: String,
    /// Machine-readable, such as `Forbidden`; shown in place of a missing message.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "super::decode::null_as_default")]
    pub reason: String,
    /// `metav1.StatusDetails`, passed on to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// HTTP status for the client; an apiserver makes anything below 400 a 400. Left out when 0.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "super::decode::null_as_default")]
    pub code: i32,
}

impl Response {
    /// Allowed, and nothing to change.
    #[must_use]
    pub fn allow(uid: impl Into<String>) -> Self {
        Self { uid: uid.into(), allowed: true, ..Self::default() }
    }

    /// Denied with this message; no code, so an apiserver answers its client with 400.
    #[must_use]
    pub fn deny(uid: impl Into<String>, message: impl Into<String>) -> Self {
        let status = ResponseStatus { message: message.into(), ..ResponseStatus::default() };
        Self { uid: uid.into(), status: Some(status), ..Self::default() }
    }

    /// The HTTP body of the answer, `kind` and `apiVersion` repeated as the apiserver demands for `v1`.
    #[must_use]
    pub fn encode(&self, version: Version) -> Vec<u8> {
        let patch = self.patch.as_deref().filter(|patch| !patch.is_empty());
        let review = Review {
            kind: "AdmissionReview",
            api_version: version.api_version(),
            response: Body {
                uid: &self.uid,
                allowed: self.allowed,
                status: self.status.as_ref(),
                patch: patch.map(|patch| STANDARD.encode(patch)),
                patch_type: patch.map(|_| "JSONPatch"),
                audit_annotations: &self.audit_annotations,
                warnings: &self.warnings,
            },
        };
        // Strings, booleans and a JSON value: there is nothing in it that cannot be encoded.
        serde_json::to_vec(&review).unwrap_or_default()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    kind: &'static str,
    api_version: &'static str,
    response: Body<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a ResponseStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "slice_is_empty")]
    warnings: &'a [String],
}

fn slice_is_empty(slice: &[String]) -> bool {
    slice.is_empty()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(code: &i32) -> bool {
    *code == 0
}
