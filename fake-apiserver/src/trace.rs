//! What happened to the last requests, for tests and people.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use apimachinery::value::{Value, json};

use crate::admission::Trace;

/// How many requests are remembered.
const KEPT: usize = 256;

/// One request that went through admission.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// When it came in, RFC 3339 with microseconds.
    pub time: String,
    /// Who asked.
    pub user: String,
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT`.
    pub operation: String,
    /// `pods`, `deployments.apps/scale`.
    pub resource: String,
    /// `namespace/name`, or the name; empty while there is none.
    pub object: String,
    /// `allowed`, or the message of the refusal.
    pub outcome: String,
    /// Every webhook that was considered.
    pub admission: Trace,
    /// Audit annotations, such as `<webhook>/<key>`.
    pub audit: BTreeMap<String, String>,
}

impl Request {
    /// The request as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "time": self.time, "user": self.user, "operation": self.operation, "resource": self.resource,
            "object": self.object, "outcome": self.outcome, "admission": self.admission.to_json(), "audit": self.audit,
        })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} {} {} {} by {}: {}",
            self.time, self.operation, self.resource, self.object, self.user, self.outcome
        )?;
        for entry in &self.admission.entries {
            writeln!(f, "    {entry}")?;
        }
        Ok(())
    }
}

/// The last requests that went through admission, oldest first; prints one paragraph each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requests(pub Vec<Request>);

impl Requests {
    /// The requests as a JSON array, each as [`Request::to_json`] has it.
    pub fn to_json(&self) -> Value {
        self.0.iter().map(Request::to_json).collect()
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|request| write!(f, "{request}"))
    }
}

tokio::task_local! {
    /// What the request that the current task handles came to.
    static OWN: RefCell<Option<Request>>;
}

/// Handles a request and says, beside the answer, what admission did with it; the last one, if it was more than one.
pub(crate) async fn followed<F: Future>(handling: F) -> (F::Output, Option<Request>) {
    let both = async {
        let output = handling.await;
        (output, OWN.with(|own| own.take()))
    };
    OWN.scope(RefCell::new(None), both).await
}

/// A bounded log of requests.
#[derive(Default)]
pub(crate) struct Log {
    requests: Mutex<VecDeque<Request>>,
}

impl Log {
    /// Remembers a request; the oldest is forgotten.
    pub(crate) fn push(&self, request: Request) {
        // Outside of [`followed`] nobody asks.
        let _ = OWN.try_with(|own| own.replace(Some(request.clone())));
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() == KEPT {
            requests.pop_front();
        }
        requests.push_back(request);
    }

    /// What is remembered.
    pub(crate) fn requests(&self) -> Requests {
        Requests(self.requests.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect())
    }
}
