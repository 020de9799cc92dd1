//! A request for a resource on its way through the registry, and the answer.

use std::sync::Arc;

use apimachinery::value::Value;
use bytes::Bytes;
use tokio::time::Instant;

use super::{Resource, Subresource};
use crate::admission::{Rejection, UserInfo};
use crate::audit::Record;
use crate::core::Core;
use crate::objects::memory::Memory;
use crate::request::query::Query;
use crate::store::Object;

/// A request for a resource.
pub(crate) struct Call {
    pub(crate) verb: &'static str,
    pub(crate) resource: Arc<Resource>,
    pub(crate) subresource: Option<Subresource>,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) query: Query,
    pub(crate) content_type: String,
    pub(crate) user_agent: String,
    pub(crate) body: Bytes,
    /// The object of a create or update that comes from inside the process, in place of a body.
    pub(crate) sent: Option<Value>,
    pub(crate) user: UserInfo,
    /// When the client's patience ends.
    pub(crate) deadline: Instant,
    /// Whether the labels of the object in the body were filled in from its pod template.
    pub(crate) labels_of_template: bool,
    /// Nobody sent this body lately, so that nothing of it is kept.
    pub(crate) unseen: bool,
    /// Texts for `Warning` headers, in order.
    pub(crate) warnings: Vec<String>,
    /// The request in the audit log, if it is audited.
    pub(crate) audit: Option<Arc<Record>>,
}

impl Call {
    /// What is remembered of objects that come again.
    pub(crate) fn memory<'a>(&self, core: &'a Core) -> Option<&'a Memory> {
        (!self.unseen).then_some(&core.memory)
    }

    /// Whether nothing is to be stored.
    pub(crate) fn dry_run(&self) -> bool {
        self.query.all("dryRun").any(|value| value == "All")
    }

    /// Tells the audit log which object was sent.
    pub(crate) fn audit_object(&self, object: &Value) {
        if let Some(record) = &self.audit {
            record.request_object(object, false);
        }
    }

    /// Tells the audit log which patch was sent.
    pub(crate) fn audit_patch(&self) {
        if let Some(record) = &self.audit
            && let Ok(patch) = apimachinery::yaml::parse(&String::from_utf8_lossy(&self.body))
        {
            record.request_object(&patch, true);
        }
    }

    /// A 404 for the object that was named.
    pub(crate) fn not_found(&self) -> Rejection {
        Rejection::not_found(&self.resource.gvk.group, &self.resource.plural, &self.name)
    }
}

/// An answer that is an object, a list or a Status; what the client sees of it is negotiated later.
pub(crate) enum Content {
    /// A stored object, in its storage version.
    Stored(Arc<Object>),
    /// An object that is not stored (yet), or is not to be shown as stored.
    Value(Value),
    /// A list.
    List(List),
    /// A Status: never shown as a table.
    Status(Value),
    /// A watch.
    Watch(super::watch::Watch),
    /// A container's log.
    Log(Box<super::logs::Log>),
    /// A connection into a pod that is to be opened.
    Connect(Box<super::connect::Connect>),
    /// No body at all.
    Empty,
}

/// Objects with what a list's metadata say.
pub(crate) struct List {
    pub(crate) items: Vec<Arc<Object>>,
    pub(crate) revision: u64,
    pub(crate) continue_token: Option<String>,
    pub(crate) remaining: Option<usize>,
}

/// The answer to a call.
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) content: Content,
}

impl Reply {
    /// 200 with this content.
    pub(crate) fn ok(content: Content) -> Reply {
        Reply { code: 200, content }
    }
}
