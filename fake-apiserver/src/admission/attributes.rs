//! What admission knows about one request: the same facts that kube-apiserver's `admission.Attributes` carries.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use apimachinery::value::Value;
use tokio::time::Instant;

pub use ::admission::review::UserInfo;
use apimachinery::labels;

use super::trace::Trace;

/// The verb as admission sees it; the text is the one of `rules[].operations` and of the review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// POST of an object, or a PATCH/PUT that makes one.
    Create,
    /// PUT or PATCH of an object that exists.
    Update,
    /// DELETE, and each object of a deletecollection.
    Delete,
    /// Connecting subresources: exec, attach, portforward, proxy.
    Connect,
}

impl Operation {
    /// The text of the API: `CREATE`, `UPDATE`, `DELETE`, `CONNECT`.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Group, version and kind; the core group is the empty string.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupVersionKind {
    /// API group, `""` for core.
    pub group: String,
    /// Version within the group.
    pub version: String,
    /// Kind, in CamelCase.
    pub kind: String,
}

impl GroupVersionKind {
    /// The three parts as given.
    pub fn new(group: &str, version: &str, kind: &str) -> Self {
        Self { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
    }

    /// `group/version`, or the bare version for the core group: what `apiVersion` says.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// Group, version and resource (plural, lower case); the core group is the empty string.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupVersionResource {
    /// API group, `""` for core.
    pub group: String,
    /// Version within the group.
    pub version: String,
    /// Plural name, lower case.
    pub resource: String,
}

impl GroupVersionResource {
    /// The three parts as given.
    pub fn new(group: &str, version: &str, resource: &str) -> Self {
        Self { group: group.to_owned(), version: version.to_owned(), resource: resource.to_owned() }
    }

    /// `resource.group`, or the bare resource for the core group: how error messages name a resource.
    pub fn group_resource(&self) -> String {
        if self.group.is_empty() { self.resource.clone() } else { format!("{}.{}", self.resource, self.group) }
    }
}

/// One request on its way through admission. The registry fills it in; plugins and webhooks read it and, in the
/// mutating phase, change `object`; warnings and audit annotations are collected on the way.
#[derive(Clone, Debug)]
pub struct Attributes {
    /// The verb.
    pub operation: Operation,
    /// Kind of `object`, in the version the client asked for.
    pub kind: GroupVersionKind,
    /// Resource the client asked for.
    pub resource: GroupVersionResource,
    /// Subresource, `""` when there is none.
    pub subresource: String,
    /// Whether the resource lives in a namespace; the scope of a Namespace object is the cluster.
    pub namespaced: bool,
    /// Name in the URL or in the object; empty while only generateName is known, and for deletecollection.
    pub name: String,
    /// Namespace of the request; for Namespace objects their own name; empty for other cluster-scoped kinds.
    pub namespace: String,
    /// The new object, with `kind` and `apiVersion`, defaulted; none on DELETE.
    pub object: Option<Value>,
    /// The stored object on UPDATE and DELETE.
    pub old_object: Option<Arc<Value>>,
    /// CreateOptions, UpdateOptions or DeleteOptions with `kind` and `apiVersion`; none on CONNECT.
    pub options: Option<Value>,
    /// Whether nothing is to be stored.
    pub dry_run: bool,
    /// Who asks.
    pub user: UserInfo,
    /// When the client's `?timeout=` (or the server's 60 s) ends; webhooks get no more time than is left.
    pub deadline: Option<Instant>,
    /// `Warning` header texts in order of arrival, as they are to be sent without repetition;
    /// [`super::header_texts`] cuts them when there are too many.
    pub warnings: Vec<String>,
    /// Audit annotations, fully qualified.
    pub audit: BTreeMap<String, String>,
    /// Whether the patches of webhooks are to be among the audit annotations: the audit level is at least Request.
    pub audit_patches: bool,
    /// Whether the object was sent for the first time, as far as is known: then nothing is kept for the next time.
    pub(crate) unseen: bool,
    /// What was considered and done, for people and tests.
    pub trace: Trace,
}

impl Attributes {
    /// Attributes of a request without object, user or options; fill in the rest.
    pub fn new(operation: Operation, kind: GroupVersionKind, resource: GroupVersionResource) -> Self {
        Self {
            operation,
            kind,
            resource,
            subresource: String::new(),
            namespaced: true,
            name: String::new(),
            namespace: String::new(),
            object: None,
            old_object: None,
            options: None,
            dry_run: false,
            user: UserInfo::default(),
            deadline: None,
            warnings: Vec::new(),
            audit: BTreeMap::new(),
            audit_patches: false,
            unseen: false,
            trace: Trace::default(),
        }
    }

    /// Adds a warning for the client. Empty texts and texts with control characters are dropped, and a text that is
    /// already there is not repeated (vectors `deny/warnings-*`).
    pub fn warn(&mut self, text: &str) {
        if text.is_empty() || text.chars().any(char::is_control) || self.warnings.iter().any(|seen| seen == text) {
            return;
        }
        self.warnings.push(text.to_owned());
    }

    /// Adds an audit annotation; keys that are not `prefix/name` are dropped, and what is there stays
    /// (vectors `deny/audit-annotations-*`).
    pub(crate) fn annotate(&mut self, key: &str, value: &str) {
        if key.matches('/').count() == 1 && labels::check_key(key).is_ok() {
            self.audit.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
    }

    /// Whether the request is for this core or grouped resource itself, without a subresource.
    pub(crate) fn is_for(&self, group: &str, resource: &str) -> bool {
        self.resource.group == group && self.resource.resource == resource && self.subresource.is_empty()
    }
}
