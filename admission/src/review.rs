//! `AdmissionReview`, in both versions that apiservers speak.
//!
//! The webhook's side is [`AdmissionReview::decode`] and [`Response::encode`]; the apiserver's side is
//! [`Request::encode`] and [`Reply::decode`]. `v1` and `v1beta1` have the same fields; they differ in what a reply must
//! repeat, which is the caller's affair: see [`Reply`].

mod decode;
mod reply;
mod request;
mod response;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use decode::{AdmissionReview, Error, Received};
pub use reply::{Reply, ReplyBody};
pub use request::{Form, Operation, Payload, Request};
pub use response::{Response, ResponseStatus};

/// The API version of a review: what `apiVersion` said, and what the answer has to repeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// `admission.k8s.io/v1`, since Kubernetes 1.16.
    #[default]
    V1,
    /// `admission.k8s.io/v1beta1`, still sent to webhooks that list only it in `admissionReviewVersions`.
    V1beta1,
}

impl Version {
    /// The `apiVersion` text, such as `admission.k8s.io/v1`.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "admission.k8s.io/v1",
            Self::V1beta1 => "admission.k8s.io/v1beta1",
        }
    }

    /// The version with this `apiVersion` text.
    #[must_use]
    pub fn from_api_version(text: &str) -> Option<Self> {
        [Self::V1, Self::V1beta1].into_iter().find(|version| version.api_version() == text)
    }

    /// The version that an entry of `admissionReviewVersions` names: `v1` or `v1beta1`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "v1" => Some(Self::V1),
            "v1beta1" => Some(Self::V1beta1),
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.api_version())
    }
}

/// `metav1.GroupVersionKind`: the core group is the empty string.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupVersionKind<'a> {
    /// API group, empty for the core group.
    #[serde(borrow, deserialize_with = "decode::text")]
    pub group: Cow<'a, str>,
    /// API version, such as `v1`.
    #[serde(borrow, deserialize_with = "decode::text")]
    pub version: Cow<'a, str>,
    /// Kind, such as `Pod`.
    #[serde(borrow, deserialize_with = "decode::text")]
    pub kind: Cow<'a, str>,
}

/// `metav1.GroupVersionResource`: the plural, lower-case name that stands in URLs and rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupVersionResource<'a> {
    /// API group, empty for the core group.
    #[serde(borrow, deserialize_with = "decode::text")]
    pub group: Cow<'a, str>,
    /// API version, such as `v1`.
    #[serde(borrow, deserialize_with = "decode::text")]
    pub version: Cow<'a, str>,
    /// Resource, such as `pods`.
    #[serde(borrow, deserialize_with = "decode::text")]
    pub resource: Cow<'a, str>,
}

/// `authentication.k8s.io/v1 UserInfo`: who made the request. Empty fields are left out when it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserInfo {
    /// User name, such as `system:serviceaccount:kube-system:replicaset-controller`.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "decode::null_as_default")]
    pub username: String,
    /// Unique id among users over time; users of client certificates have none.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "decode::null_as_default")]
    pub uid: String,
    /// Groups, in the authenticator's order.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "decode::null_as_default")]
    pub groups: Vec<String>,
    /// Whatever else the authenticator knows, such as `authentication.kubernetes.io/credential-id`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "decode::null_as_default")]
    pub extra: BTreeMap<String, Vec<String>>,
}
