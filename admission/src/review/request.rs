//! A review as an apiserver sends it.

use std::fmt;

use apimachinery::value::Value;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{GroupVersionKind, GroupVersionResource, UserInfo, Version};
use crate::gojson;

/// What a client does to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// POST, and a PATCH or PUT that creates.
    Create,
    /// PUT and PATCH.
    Update,
    /// DELETE, also of a collection.
    Delete,
    /// `exec`, `attach`, `portforward` and `proxy`.
    Connect,
}

impl Operation {
    /// As rules and reviews spell it, such as `CREATE`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An object on its way into a review.
#[derive(Clone, Copy)]
pub enum Payload<'a> {
    /// To be encoded now.
    Value(&'a Value),
    /// Encoded before (with [`gojson::to_vec`], say), when one object goes to several webhooks.
    Raw(&'a RawValue),
    /// Written where it belongs by whoever has some of it at hand: just what [`gojson::append_value`] would append.
    Parts(&'a dyn Fn(&mut Vec<u8>)),
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value}"),
            Self::Raw(raw) => f.write_str(raw.get()),
            Self::Parts(_) => f.write_str("parts"),
        }
    }
}

impl Payload<'_> {
    /// About how many bytes it takes.
    fn expected(self) -> usize {
        match self {
            Self::Value(_) => 2048,
            Self::Raw(raw) => raw.get().len(),
            Self::Parts(_) => 8192,
        }
    }
}

impl<'a> From<&'a Value> for Payload<'a> {
    fn from(value: &'a Value) -> Self {
        Self::Value(value)
    }
}

/// `AdmissionReview.request` as kube-apiserver v1.36 fills it.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// A fresh UUID for each call of each webhook.
    pub uid: &'a str,
    /// What `object` is, in the version that the webhook's rule asked for.
    pub kind: &'a GroupVersionKind<'a>,
    /// The resource of that version.
    pub resource: &'a GroupVersionResource<'a>,
    /// Subresource; left out when empty.
    pub sub_resource: &'a str,
    /// What the client sent.
    pub request_kind: &'a GroupVersionKind<'a>,
    /// The resource that the client named.
    pub request_resource: &'a GroupVersionResource<'a>,
    /// The subresource that the client named; left out when empty.
    pub request_sub_resource: &'a str,
    /// Left out when empty: mutating webhooks see no name on a CREATE with `generateName`.
    pub name: &'a str,
    /// Left out when empty.
    pub namespace: &'a str,
    /// The operation.
    pub operation: Operation,
    /// The user, impersonated or not.
    pub user_info: &'a UserInfo,
    /// `None` is written as null.
    pub object: Option<Payload<'a>>,
    /// `None` is written as null.
    pub old_object: Option<Payload<'a>>,
    /// Always written.
    pub dry_run: bool,
    /// `None` is written as null (CONNECT).
    pub options: Option<Payload<'a>>,
    /// Which of the fields the apiserver knows.
    pub form: Form,
}

/// The fields of a request, which became more with Kubernetes' versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// As v1.9 to v1.11 wrote it: without `dryRun` and what came later.
    BeforeDryRun,
    /// As v1.12 to v1.14 wrote it: without `options`, `requestKind`, `requestResource` and `requestSubResource`.
    BeforeOptions,
    /// All of them.
    #[default]
    Whole,
}

impl Request<'_> {
    /// The HTTP body: one line, the fields in the order of the API's Go structs, HTML characters escaped, a newline at
    /// the end; byte for byte what the recorded apiserver sent (vectors `operations/*`, `matchpolicy/*`), apart from the
    /// order of keys inside the objects, which is sorted.
    ///
    /// # Errors
    /// None in practice: JSON values and strings always encode.
    pub fn encode(&self, version: Version) -> Result<Vec<u8>, serde_json::Error> {
        let payloads = [self.object, self.old_object, self.options].into_iter().flatten();
        let mut out = Vec::with_capacity(2048 + payloads.map(Payload::expected).sum::<usize>());
        out.extend_from_slice(b"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"");
        out.extend_from_slice(version.api_version().as_bytes());
        out.extend_from_slice(b"\",\"request\":{\"uid\":");
        gojson::append(&mut out, self.uid)?;
        let mut object = Fields { out: &mut out };
        object.field("kind", self.kind)?;
        object.field("resource", self.resource)?;
        object.text("subResource", self.sub_resource)?;
        if self.form == Form::Whole {
            object.field("requestKind", self.request_kind)?;
            object.field("requestResource", self.request_resource)?;
            object.text("requestSubResource", self.request_sub_resource)?;
        }
        object.text("name", self.name)?;
        object.text("namespace", self.namespace)?;
        object.field("operation", self.operation.as_str())?;
        object.field("userInfo", self.user_info)?;
        object.payload("object", self.object)?;
        object.payload("oldObject", self.old_object)?;
        if self.form >= Form::BeforeOptions {
            object.field("dryRun", &self.dry_run)?;
        }
        if self.form == Form::Whole {
            object.payload("options", self.options)?;
        }
        out.extend_from_slice(b"}}\n");
        Ok(out)
    }
}

/// Writes `,"name":value` pairs.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
}

impl Fields<'_> {
    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), serde_json::Error> {
        self.name(name);
        gojson::append(self.out, value)
    }

    fn text(&mut self, name: &str, value: &str) -> Result<(), serde_json::Error> {
        if value.is_empty() { Ok(()) } else { self.field(name, value) }
    }

    fn payload(&mut self, name: &str, value: Option<Payload<'_>>) -> Result<(), serde_json::Error> {
        self.name(name);
        match value {
            None => self.out.extend_from_slice(b"null"),
            Some(Payload::Raw(raw)) => self.out.extend_from_slice(raw.get().as_bytes()),
            Some(Payload::Parts(write)) => write(self.out),
            Some(Payload::Value(value)) => gojson::append_value(self.out, value),
        }
        Ok(())
    }
}
