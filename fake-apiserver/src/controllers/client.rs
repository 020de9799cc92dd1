//! A controller's way to the API: the same path as a request over HTTP, admission included, as the controller's own user.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use apimachinery::value::{Value, json};

use super::kinds::Kind;
use crate::admission::UserInfo;
use crate::store::Object;

/// A verb with what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Get,
    Update,
    /// `application/strategic-merge-patch+json`
    StrategicPatch,
    /// `application/merge-patch+json`
    MergePatch,
    Delete,
    DeleteCollection,
}

/// One request. `name` is empty for creates and collections, `namespace` for cluster-scoped kinds.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) user: Arc<UserInfo>,
    pub(crate) verb: Verb,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) subresource: &'static str,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) body: Option<Value>,
}

/// A request that was refused: the Status that a client would get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) code: u16,
    /// `NotFound`, `AlreadyExists`, `Conflict`, …
    pub(crate) reason: String,
    /// The text for people, which events repeat.
    pub(crate) message: String,
    /// Whether `details.causes` says `NamespaceTerminating`.
    pub(crate) namespace_terminating: bool,
}

impl Refusal {
    /// Reads a metav1.Status.
    pub(crate) fn from_status(code: u16, status: &Value) -> Refusal {
        let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
        let namespace_terminating = status["details"]["causes"]
            .as_array()
            .is_some_and(|causes| causes.iter().any(|cause| cause["reason"] == "NamespaceTerminating"));
        Refusal { code, reason: text("reason"), message: text("message"), namespace_terminating }
    }

    /// The refusal as a metav1.Status.
    pub(crate) fn to_status(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
            "reason": self.reason, "code": self.code,
        })
    }

    /// A controller's own reason to try again later.
    pub(crate) fn own(message: impl Into<String>) -> Refusal {
        Refusal { code: 0, reason: String::new(), message: message.into(), namespace_terminating: false }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.reason == "NotFound"
    }

    pub(crate) fn is_already_exists(&self) -> bool {
        self.reason == "AlreadyExists"
    }

    pub(crate) fn is_conflict(&self) -> bool {
        self.reason == "Conflict"
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What a call was answered with; most who write do not look at it.
#[derive(Clone, Debug)]
pub(crate) enum Answered {
    /// An object as it is stored.
    Stored(Arc<Object>),
    Value(Value),
}

impl Answered {
    pub(crate) fn value(&self) -> &Value {
        match self {
            Answered::Stored(object) => object.value(),
            Answered::Value(value) => value,
        }
    }

    pub(crate) fn into_value(self) -> Value {
        match self {
            Answered::Stored(object) => object.value().clone(),
            Answered::Value(value) => value,
        }
    }
}

/// The answer to a call, on its way.
pub(crate) type Answer<'a> = Pin<Box<dyn Future<Output = Result<Answered, Refusal>> + Send + 'a>>;

/// The API as controllers see it; the server implements it with the code behind its HTTP handlers.
pub(crate) trait Api: Send + Sync + 'static {
    /// Does one request, whole.
    fn call(&self, call: Call) -> Answer<'_>;
}

/// One controller's client.
#[derive(Clone)]
pub(crate) struct Client {
    api: Arc<dyn Api>,
    user: Arc<UserInfo>,
}

impl Client {
    pub(crate) fn new(api: Arc<dyn Api>, user: UserInfo) -> Client {
        Client { api, user: Arc::new(user) }
    }

    fn start(&self, verb: Verb, kind: &Kind, namespace: &str) -> Call {
        Call {
            user: self.user.clone(),
            verb,
            group: kind.group.to_owned(),
            version: kind.version.to_owned(),
            resource: kind.resource.to_owned(),
            subresource: "",
            namespace: namespace.to_owned(),
            name: String::new(),
            body: None,
        }
    }

    /// A request that is not about one of the built-in kinds (custom resources on a namespace's way out).
    pub(crate) async fn call(
        &self,
        verb: Verb,
        (group, version, resource): (&str, &str, &str),
        (namespace, name): (&str, &str),
        body: Option<Value>,
    ) -> Result<Answered, Refusal> {
        let call = Call {
            user: self.user.clone(),
            verb,
            group: group.to_owned(),
            version: version.to_owned(),
            resource: resource.to_owned(),
            subresource: "",
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            body,
        };
        self.api.call(call).await
    }

    pub(crate) async fn create(&self, kind: &Kind, namespace: &str, mut object: Value) -> Result<Answered, Refusal> {
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.kind.into();
        let mut call = self.start(Verb::Create, kind, namespace);
        call.body = Some(object);
        self.api.call(call).await
    }

    /// The object as it is now; controllers ask before they adopt.
    pub(crate) async fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Answered, Refusal> {
        let mut call = self.start(Verb::Get, kind, namespace);
        call.name = name.to_owned();
        self.api.call(call).await
    }

    /// PUT of the whole object; its resourceVersion is the precondition.
    pub(crate) async fn update(&self, kind: &Kind, object: Value) -> Result<Answered, Refusal> {
        self.put(kind, "", object).await
    }

    /// PUT to `/status`.
    pub(crate) async fn update_status(&self, kind: &Kind, object: Value) -> Result<Answered, Refusal> {
        self.put(kind, "status", object).await
    }

    /// PUT to a subresource (`""` is the object itself).
    pub(crate) async fn put(
        &self,
        kind: &Kind,
        subresource: &'static str,
        mut object: Value,
    ) -> Result<Answered, Refusal> {
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.kind.into();
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let mut call = self.start(Verb::Update, kind, &text("namespace"));
        call.name = text("name");
        call.subresource = subresource;
        call.body = Some(object);
        self.api.call(call).await
    }

    /// POST of another kind's object to a subresource of the object that it names.
    pub(crate) async fn post(
        &self,
        kind: &Kind,
        subresource: &'static str,
        api_version: &str,
        object_kind: &str,
        mut object: Value,
    ) -> Result<Answered, Refusal> {
        object["apiVersion"] = api_version.into();
        object["kind"] = object_kind.into();
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let mut call = self.start(Verb::Create, kind, &text("namespace"));
        call.name = text("name");
        call.subresource = subresource;
        call.body = Some(object);
        self.api.call(call).await
    }

    /// PATCH; `verb` says which kind.
    pub(crate) async fn patch(
        &self,
        verb: Verb,
        kind: &Kind,
        (namespace, name): (&str, &str),
        subresource: &'static str,
        patch: Value,
    ) -> Result<Answered, Refusal> {
        let mut call = self.start(verb, kind, namespace);
        call.name = name.to_owned();
        call.subresource = subresource;
        call.body = Some(patch);
        self.api.call(call).await
    }

    /// DELETE; `options` are the other fields of DeleteOptions.
    pub(crate) async fn delete(
        &self,
        kind: &Kind,
        (namespace, name): (&str, &str),
        options: Option<Value>,
    ) -> Result<Answered, Refusal> {
        let mut call = self.start(Verb::Delete, kind, namespace);
        call.name = name.to_owned();
        call.body = options.map(delete_options);
        self.api.call(call).await
    }
}

/// DeleteOptions with these fields.
pub(crate) fn delete_options(mut fields: Value) -> Value {
    if !fields.is_object() {
        fields = json!({});
    }
    fields["kind"] = "DeleteOptions".into();
    fields["apiVersion"] = "v1".into();
    fields
}
