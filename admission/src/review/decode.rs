//! A review as it arrives at a webhook, read without copying.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{GroupVersionKind, GroupVersionResource, UserInfo, Version};

/// A decoded `AdmissionReview` that holds a request. Borrows from the body that it was read from.
#[derive(Debug)]
pub struct AdmissionReview<'a> {
    /// The version that was asked in, and in which to answer.
    pub version: Version,
    /// The request under review.
    pub request: Received<'a>,
}

/// `AdmissionReview.request` as received. What the apiserver left out is empty, false or `None`.
///
/// Objects are kept as the bytes that came, so that whoever only needs the uid pays nothing for a pod of a megabyte
/// and a patch can be computed against exactly what was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Received<'a> {
    /// Identifies this review; the response repeats it.
    #[serde(borrow, deserialize_with = "text")]
    pub uid: Cow<'a, str>,
    /// What `object` is, in the version that the webhook's rule asked for.
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub kind: GroupVersionKind<'a>,
    /// The resource of that version.
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub resource: GroupVersionResource<'a>,
    /// Subresource, such as `exec`; empty for the resource itself.
    #[serde(borrow, deserialize_with = "text")]
    pub sub_resource: Cow<'a, str>,
    /// What the client sent, before a conversion that `matchPolicy: Equivalent` asked for.
    #[serde(borrow)]
    pub request_kind: Option<GroupVersionKind<'a>>,
    /// The resource that the client named in the URL.
    #[serde(borrow)]
    pub request_resource: Option<GroupVersionResource<'a>>,
    /// The subresource that the client named in the URL.
    #[serde(borrow, deserialize_with = "text")]
    pub request_sub_resource: Cow<'a, str>,
    /// Name of the object; empty for a CREATE with `generateName`, and for `deletecollection`.
    #[serde(borrow, deserialize_with = "text")]
    pub name: Cow<'a, str>,
    /// Namespace of the request; empty for cluster-scoped objects (a Namespace counts as being in itself).
    #[serde(borrow, deserialize_with = "text")]
    pub namespace: Cow<'a, str>,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    #[serde(borrow, deserialize_with = "text")]
    pub operation: Cow<'a, str>,
    /// Who made the request, raw: see [`Received::user`].
    #[serde(borrow)]
    pub user_info: Option<&'a RawValue>,
    /// The new object; absent for DELETE.
    #[serde(borrow)]
    pub object: Option<&'a RawValue>,
    /// The object as stored; absent for CREATE and CONNECT.
    #[serde(borrow)]
    pub old_object: Option<&'a RawValue>,
    /// The request will not be persisted; a webhook must not have side effects.
    #[serde(deserialize_with = "null_as_default")]
    pub dry_run: bool,
    /// `CreateOptions`, `UpdateOptions` or `DeleteOptions`.
    #[serde(borrow)]
    pub options: Option<&'a RawValue>,
}

/// Why a body is not a review that can be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not JSON, or a field of the envelope has the wrong type.
    #[error("body is not an AdmissionReview: {0}")]
    Json(#[from] serde_json::Error),
    /// `kind` is something else, or absent.
    #[error("unsupported kind {found:?}, want \"AdmissionReview\"")]
    Kind {
        /// What `kind` said; empty if it was absent.
        found: String,
    },
    /// `apiVersion` is unknown, or absent.
    #[error("unsupported apiVersion {found:?}, want \"admission.k8s.io/v1\" or \"admission.k8s.io/v1beta1\"")]
    Version {
        /// What `apiVersion` said; empty if it was absent.
        found: String,
    },
    /// There is no `request`: perhaps the body is a response.
    #[error("AdmissionReview has no request")]
    NoRequest(Version),
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "R: Deserialize<'de>"))]
struct Envelope<'a, R> {
    #[serde(borrow, default, deserialize_with = "text")]
    kind: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text", rename = "apiVersion")]
    api_version: Cow<'a, str>,
    request: Option<R>,
}

impl<'a> AdmissionReview<'a> {
    /// Decodes an HTTP body. Fields that Towtank does not know are ignored, null counts as absent; field names are
    /// case-sensitive, as in Kubernetes. The body has to be JSON: whoever wants to take YAML converts it first.
    ///
    /// # Errors
    /// See [`Error`]; the message names the field and the place.
    pub fn decode(body: &'a [u8]) -> Result<Self, Error> {
        // In one pass where nothing is wrong; else again, for the errors in the order in which a person would look.
        if let Ok(whole) = serde_json::from_slice::<Envelope<'a, Received<'a>>>(body)
            && whole.kind == "AdmissionReview"
            && let Some(version) = Version::from_api_version(&whole.api_version)
            && let Some(request) = whole.request
        {
            return Ok(Self { version, request });
        }
        let envelope: Envelope<'a, &'a RawValue> = serde_json::from_slice(body)?;
        if envelope.kind != "AdmissionReview" {
            return Err(Error::Kind { found: envelope.kind.into_owned() });
        }
        let Some(version) = Version::from_api_version(&envelope.api_version) else {
            return Err(Error::Version { found: envelope.api_version.into_owned() });
        };
        let request = envelope.request.ok_or(Error::NoRequest(version))?;
        Ok(Self { version, request: serde_json::from_str(request.get())? })
    }
}

impl Received<'_> {
    /// The user who made the request; the default (no name, no groups) if the review has none.
    ///
    /// # Errors
    /// `userInfo` is not of the shape that the API says.
    pub fn user(&self) -> Result<UserInfo, Error> {
        Ok(self.user_info.map_or(Ok(UserInfo::default()), |raw| serde_json::from_str(raw.get()))?)
    }
}

/// A string that borrows where it can; null is empty, as Go has it.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    #[derive(Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    Ok(Option::<Borrowed<'de>>::deserialize(deserializer)?.map(|text| text.0).unwrap_or_default())
}

/// Null counts as the zero value, as Go has it.
pub(super) fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
