//! A cluster as `towtank` sees it: something that answers Kubernetes API requests.

mod fake;
mod kinds;
mod kubeconfig;
mod remote;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use admission::review::UserInfo;
use apimachinery::value::Value;
use fake_apiserver::admission::Trace;
use http::Method;

pub use fake::{Fake, Hosts, Setup};
pub use kinds::{Kinds, Resource, Unknown};
pub use kubeconfig::{Error as KubeconfigError, Login, default_path};
pub use remote::{Remote, RemoteError};

/// A request to the API.
#[derive(Clone, Debug)]
pub struct Ask {
    /// HTTP method.
    pub method: Method,
    /// Path with query.
    pub path: String,
    /// Media type of the body.
    pub content_type: &'static str,
    /// The body, JSON; empty for none.
    pub body: Vec<u8>,
    /// Made as this user; the administrator if `None`.
    pub user: Option<UserInfo>,
    /// Whether the body of an answer is wanted only if the request is refused.
    pub only_refusals: bool,
}

impl Ask {
    /// A request without a body.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            content_type: "application/json",
            body: Vec::new(),
            user: None,
            only_refusals: false,
        }
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, value: &Value) -> Self {
        self.body = value.to_string().into_bytes();
        self
    }

    /// The object that comes back is of no interest, and not read.
    #[must_use]
    pub const fn only_refusals(mut self) -> Self {
        self.only_refusals = true;
        self
    }

    /// With this media type.
    #[must_use]
    pub const fn content_type(mut self, content_type: &'static str) -> Self {
        self.content_type = content_type;
        self
    }
}

/// The answer to a request.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The object, list or Status; a string if it was no JSON.
    pub body: Value,
    /// Texts of the `Warning` headers.
    pub warnings: Vec<String>,
    /// What admission considered and did.
    pub trace: Trace,
    /// Audit annotations, such as `<webhook>/injection`.
    pub audit: BTreeMap<String, String>,
}

impl Answer {
    /// Whether the request was carried out.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The message of the Status that refused the request; else the body's text.
    #[must_use]
    pub fn message(&self) -> String {
        match &self.body["message"] {
            Value::String(message) => message.clone().into(),
            _ => self.body.as_str().unwrap_or_default().trim().to_owned(),
        }
    }
}

/// A boxed future, as trait objects need it.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that answers Kubernetes API requests.
pub trait Api: Send + Sync {
    /// Answers one request. An apiserver always answers: failures are Statuses.
    fn ask(&self, ask: Ask) -> Pending<'_, Answer>;
}
