//! Events that controllers record, correlated as client-go does: the same text again counts up one Event, many texts of one
//! reason are combined into one, and an object that causes too many is silenced (`controllers/webhook-removes-selector-label`:
//! nine, one "(combined from similar events)" with 16, then silence).

mod correlate;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use apimachinery::clock::Clock;
use apimachinery::value::{Value, json};
use tokio::sync::mpsc;

use self::correlate::{Correlator, Verdict};
use super::client::{Client, Verb};
use super::kinds::{self, Kind};
use super::view;

/// How many events of one controller wait to be written; more are dropped, as upstream does.
const PENDING: usize = 1000;

/// Where events go when they are about something outside of any namespace.
const DEFAULT_NAMESPACE: &str = "default";

/// Names of events end in a time that is never used twice.
#[derive(Default)]
pub(crate) struct Stamps {
    last: AtomicI64,
}

impl Stamps {
    fn next(&self, clock: &Clock) -> i64 {
        let now = clock.now().unix_micros().saturating_mul(1000);
        let previous = self.last.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(now.max(last + 1)));
        previous.map_or(now, |last| now.max(last + 1))
    }
}

/// One thing that happened, before it is correlated.
#[derive(Clone, Debug)]
struct Happening {
    involved: Value,
    /// The node on which it happened, `""` if on none.
    host: String,
    event_type: &'static str,
    reason: &'static str,
    message: String,
    time: String,
    seconds: i64,
    stamp: i64,
}

/// Records events of one controller; writing them is another task's work, so that a slow webhook on events delays no pods.
#[derive(Clone)]
pub(crate) struct Recorder {
    clock: Clock,
    stamps: Arc<Stamps>,
    sender: mpsc::Sender<Happening>,
}

/// The other end of a recorder.
pub(crate) struct Writer {
    component: &'static str,
    client: Client,
    receiver: mpsc::Receiver<Happening>,
}

/// A recorder for a component, and the task that writes.
pub(crate) fn recorder(
    component: &'static str,
    client: Client,
    clock: Clock,
    stamps: Arc<Stamps>,
) -> (Recorder, Writer) {
    let (sender, receiver) = mpsc::channel(PENDING);
    (Recorder { clock, stamps, sender }, Writer { component, client, receiver })
}

impl Recorder {
    /// A `Normal` event about an object.
    pub(crate) fn normal(&self, object: &Value, kind: &Kind, reason: &'static str, message: String) {
        self.record(object, kind, "Normal", reason, message);
    }

    /// A `Warning` event about an object.
    pub(crate) fn warning(&self, object: &Value, kind: &Kind, reason: &'static str, message: String) {
        self.record(object, kind, "Warning", reason, message);
    }

    /// An event about something of an object (`spec.containers{app}`) on a node.
    #[expect(clippy::too_many_arguments, reason = "the parts of an event")]
    pub(crate) fn on_host(
        &self,
        object: &Value,
        kind: &Kind,
        warning: bool,
        reason: &'static str,
        message: String,
        field: &str,
        host: &str,
    ) {
        let event_type = if warning { "Warning" } else { "Normal" };
        self.record_at(object, kind, event_type, reason, message, field, host);
    }

    fn record(&self, object: &Value, kind: &Kind, event_type: &'static str, reason: &'static str, message: String) {
        self.record_at(object, kind, event_type, reason, message, "", "");
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of an event")]
    fn record_at(
        &self,
        object: &Value,
        kind: &Kind,
        event_type: &'static str,
        reason: &'static str,
        message: String,
        field: &str,
        host: &str,
    ) {
        let now = self.clock.now();
        let mut involved = json!({
            "kind": kind.kind, "apiVersion": kind.api_version(), "name": view::name(object), "uid": view::uid(object),
            "resourceVersion": view::text(object, "/metadata/resourceVersion"),
        });
        if !view::namespace(object).is_empty() {
            involved["namespace"] = view::namespace(object).into();
        }
        if !field.is_empty() {
            involved["fieldPath"] = field.into();
        }
        let happening = Happening {
            involved,
            host: host.to_owned(),
            event_type,
            reason,
            message,
            time: now.rfc3339(),
            seconds: now.unix_micros().div_euclid(1_000_000),
            stamp: self.stamps.next(&self.clock),
        };
        if self.sender.try_send(happening).is_err() {
            tracing::debug!(reason, "event dropped: too many are waiting to be written");
        }
    }
}

impl Writer {
    /// Writes until the recorders are gone.
    pub(crate) async fn run(mut self) {
        let mut correlator = Correlator::default();
        while let Some(happening) = self.receiver.recv().await {
            self.write(&mut correlator, happening).await;
        }
    }

    async fn write(&self, correlator: &mut Correlator, happening: Happening) {
        let namespace = match view::text(&happening.involved, "/namespace") {
            "" => DEFAULT_NAMESPACE.to_owned(),
            namespace => namespace.to_owned(),
        };
        let (known, message) = match correlator.judge(&happening) {
            Verdict::Silence => return,
            Verdict::Write { known, message } => (known, message),
        };
        let mut first = happening.time.clone();
        let mut count = 1;
        if let Some(known) = known {
            let patch = json!({ "count": known.count + 1, "lastTimestamp": happening.time, "message": message });
            let place = (namespace.as_str(), known.name.as_str());
            let result = self.client.patch(Verb::StrategicPatch, &kinds::EVENT, place, "", patch).await;
            match result {
                Ok(_) => return correlator.wrote(&happening, &message, &known.name, known.count + 1, &known.first),
                Err(refusal) if !refusal.is_not_found() => {
                    tracing::debug!(component = self.component, %refusal, "event not counted up");
                    return;
                }
                // Somebody deleted it: it is written anew, with its count.
                Err(_) => (first, count) = (known.first, known.count + 1),
            }
        }
        let name = format!("{}.{:x}", view::text(&happening.involved, "/name"), happening.stamp);
        // One that stands for many is not said to be reported by anybody.
        let reporter = if correlate::is_combined(&message) { "" } else { self.component };
        let mut event = json!({
            "metadata": { "name": name, "namespace": namespace },
            "involvedObject": happening.involved,
            "reason": happening.reason, "message": message, "type": happening.event_type,
            "source": { "component": self.component },
            "firstTimestamp": first, "lastTimestamp": happening.time, "count": count,
            "eventTime": null, "reportingComponent": reporter, "reportingInstance": "",
        });
        if !happening.host.is_empty() {
            event["source"]["host"] = happening.host.as_str().into();
            event["reportingInstance"] = happening.host.as_str().into();
        }
        match self.client.create(&kinds::EVENT, &namespace, event).await {
            Ok(_) => correlator.wrote(&happening, &message, &name, count, &first),
            Err(refusal) => tracing::debug!(component = self.component, %refusal, "event not written"),
        }
    }
}
