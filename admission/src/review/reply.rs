//! A webhook's answer as it arrives at the other side.

use std::collections::BTreeMap;

use base64_simd::STANDARD;
use serde::Deserialize;

use super::decode::null_as_default;
use super::{Response, ResponseStatus};

/// An `AdmissionReview` that came back, not yet held against any rule.
///
/// Whether a missing kind, a wrong uid or an unknown `patchType` matters depends on the version that was asked in and on
/// the kind of webhook; that is the apiserver's business. This only reads.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Reply {
    /// `AdmissionReview`, or empty.
    #[serde(deserialize_with = "null_as_default")]
    pub kind: String,
    /// Such as `admission.k8s.io/v1`, or empty.
    #[serde(deserialize_with = "null_as_default")]
    pub api_version: String,
    /// The answer; `None` if the reply has none.
    pub response: Option<ReplyBody>,
}

/// `AdmissionReview.response` as received.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ReplyBody {
    /// The uid that the webhook repeats.
    #[serde(deserialize_with = "null_as_default")]
    pub uid: String,
    /// Absent means denied.
    #[serde(deserialize_with = "null_as_default")]
    pub allowed: bool,
    /// Why it was denied.
    pub status: Option<ResponseStatus>,
    /// The patch document, base64 taken off; `None` if absent or null.
    #[serde(deserialize_with = "base64_text")]
    pub patch: Option<Vec<u8>>,
    /// `JSONPatch` if there is a patch.
    #[serde(deserialize_with = "null_as_default")]
    pub patch_type: String,
    /// For the audit event.
    #[serde(deserialize_with = "null_as_default")]
    pub audit_annotations: BTreeMap<String, String>,
    /// For the client.
    #[serde(deserialize_with = "null_as_default")]
    pub warnings: Vec<String>,
}

impl Reply {
    /// Decodes a reply's body. Unknown fields are ignored, so an echoed `request` is fine.
    ///
    /// # Errors
    /// The body is not JSON, a field has the wrong type, or the patch is not base64.
    pub fn decode(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }
}

impl From<ReplyBody> for Response {
    fn from(body: ReplyBody) -> Self {
        Self {
            uid: body.uid,
            allowed: body.allowed,
            status: body.status,
            patch: body.patch,
            warnings: body.warnings,
            audit_annotations: body.audit_annotations,
        }
    }
}

fn base64_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let Some(mut text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    // Go's decoder skips line breaks inside base64.
    if text.contains('\n') || text.contains('\r') {
        text.retain(|c| c != '\n' && c != '\r');
    }
    STANDARD
        .decode_to_vec(&text)
        .map(Some)
        .map_err(|error| serde::de::Error::custom(format!("patch is not base64: {error}")))
}
