//! The audit log, `audit.k8s.io/v1`: who asked for what, what came of it, and what each webhook did about it.
//!
//! ```text
//! Audit ──► policy    which requests, how much of them
//!   └─────► record    one request while it is handled ──► event   one line of the log
//! ```

mod event;
mod policy;
mod record;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use apimachinery::value::Value;
use bytes::Bytes;

pub use policy::{Level, Policy, PolicyError};
pub(crate) use record::{Record, Request};

use crate::metrics::Metrics;

/// How many events are kept for [`crate::FakeApiserver::audit`].
const KEPT: usize = 1024;

/// Where audit events go.
pub(crate) struct Audit {
    policy: Option<Policy>,
    writer: Option<Mutex<Box<dyn Write + Send>>>,
    kept: Mutex<VecDeque<Bytes>>,
}

impl Audit {
    /// Auditing by a policy, into a writer as well if there is one; without either nothing is audited. A writer alone gets
    /// everything.
    pub(crate) fn new(policy: Option<Policy>, writer: Option<Box<dyn Write + Send>>) -> Audit {
        let policy = policy.or_else(|| writer.is_some().then(Policy::everything));
        Audit { policy, writer: writer.map(Mutex::new), kept: Mutex::default() }
    }

    /// Whether anything is audited at all.
    pub(crate) fn is_on(&self) -> bool {
        self.policy.is_some()
    }

    /// The record of a request that begins; none if the policy leaves it out. Writes the event of the stage RequestReceived.
    pub(crate) fn begin(&self, metrics: &Metrics, request: Request<'_>) -> Option<std::sync::Arc<Record>> {
        let policy = self.policy.as_ref()?;
        let scope = policy.scope(&request);
        metrics.audit_level(scope.level.as_str());
        if scope.level == Level::None {
            return None;
        }
        let record = Record::new(scope, request);
        self.write(metrics, &record, "RequestReceived", "");
        Some(std::sync::Arc::new(record))
    }

    /// Writes the event of a stage, unless the policy leaves the stage out. `time` is when the stage was reached.
    pub(crate) fn write(&self, metrics: &Metrics, record: &Record, stage: &'static str, time: &str) {
        let Some(line) = record.line(stage, time) else { return };
        metrics.audit_event();
        if let Some(writer) = &self.writer {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = writer.write_all(&line).and_then(|()| writer.flush()) {
                metrics.audit_error("log");
                tracing::warn!(%error, "an audit event could not be written");
            }
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(line.into());
    }

    /// The last events, oldest first.
    pub(crate) fn events(&self) -> Vec<Value> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }
}
