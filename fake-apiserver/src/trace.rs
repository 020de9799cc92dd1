//! What happened to the last requests, for tests and people.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

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
}

impl Request {
    /// The request as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "time": self.time, "user": self.user, "operation": self.operation, "resource": self.resource,
            "object": self.object, "outcome": self.outcome, "admission": self.admission.to_json(),
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

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|request| write!(f, "{request}"))
    }
}

/// A bounded log of requests.
#[derive(Default)]
pub(crate) struct Log {
    requests: Mutex<VecDeque<Request>>,
}

impl Log {
    /// Remembers a request; the oldest is forgotten.
    pub(crate) fn push(&self, request: Request) {
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
