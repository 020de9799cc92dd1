//! Faults on order: what is to go wrong with calls of webhooks, as the apiserver sees it, and with requests to the API.

mod parse;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

pub use parse::FaultError;

use crate::random::Random;

/// Something that goes wrong, written as `--fault` has it; it is parsed from that text.
///
/// ```
/// # use fake_apiserver::Fault;
/// let slow: Fault = "webhook=sidecar-injector.istio.io,delay=5s,for=60s".parse()?;
/// let down: Fault = "webhook=*,refuse,after=10s,probability=0.1".parse()?;
/// let busy: Fault = "api,verb=create,resource=pods,status=429,retry-after=1,times=3".parse()?;
/// # Ok::<(), fake_apiserver::FaultError>(())
/// ```
///
/// | part | meaning |
/// |---|---|
/// | `webhook=NAME` | calls of the webhook of this name; `*` is any, also inside a name |
/// | `api` | requests to the API, controllers' included, narrowed by `verb=`, `group=`, `resource=` (`pods`, `pods/status`), `namespace=`, `name=`, `user=` |
/// | `delay=5s` | it takes that much longer; alone, nothing else goes wrong |
/// | `refuse` | webhooks: the connection is refused |
/// | `reset` | webhooks: the connection is reset |
/// | `status=503` | the answer has this HTTP status (400 to 599) |
/// | `retry-after=1` | with `status` of the API: the answer asks to wait so many seconds |
/// | `after=10s` | not before so long after the start of the cluster |
/// | `for=60s` | only for so long from then on |
/// | `times=3` | only so often |
/// | `probability=0.1` | by chance, from the cluster's seed |
///
/// Durations are Go's: `500ms`, `1m30s`. Time is tokio's and can be paused.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    target: Target,
    effect: Effect,
    delay: Duration,
    after: Duration,
    length: Option<Duration>,
    times: Option<u64>,
    probability: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
enum Target {
    Webhook(String),
    /// Patterns of verb, group, resource, namespace, name, user; none matches everything.
    Api([Option<String>; 6]),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing but the delay.
    Slow,
    /// The connection is refused.
    Refuse,
    /// The connection is reset.
    Reset,
    /// There is an answer with an error.
    Status {
        /// The HTTP status.
        code: u16,
        /// Seconds to wait, if the answer says so.
        retry_after: Option<u64>,
    },
}

/// A request to the API, for matching.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    /// With its subresource: `pods/status`.
    pub(crate) resource: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) user: &'a str,
}

/// What has to happen to one call or request: wait so long, then this.
pub(crate) type Ordered = (Duration, Effect);

/// The faults of a cluster.
pub(crate) struct Faults {
    started: Instant,
    faults: Vec<(Fault, AtomicU64)>,
}

impl Faults {
    /// The clock of `after` and `for` starts now.
    pub(crate) fn new(faults: Vec<Fault>) -> Faults {
        Faults { started: Instant::now(), faults: faults.into_iter().map(|fault| (fault, AtomicU64::new(0))).collect() }
    }

    /// What happens to a call of a webhook.
    pub(crate) fn webhook(&self, name: &str, random: &Random) -> Option<Ordered> {
        self.first(random, |target| matches!(target, Target::Webhook(pattern) if matches(pattern, name)))
    }

    /// What happens to a request to the API.
    pub(crate) fn api(&self, asked: &Asked<'_>, random: &Random) -> Option<Ordered> {
        let fields = [asked.verb, asked.group, asked.resource, asked.namespace, asked.name, asked.user];
        self.first(random, |target| match target {
            Target::Webhook(_) => false,
            Target::Api(patterns) => patterns
                .iter()
                .zip(fields)
                .all(|(pattern, field)| pattern.as_ref().is_none_or(|pattern| matches(pattern, field))),
        })
    }

    fn first(&self, random: &Random, concerns: impl Fn(&Target) -> bool) -> Option<Ordered> {
        // Most clusters have none; this is on every request's way.
        if self.faults.is_empty() {
            return None;
        }
        let since = self.started.elapsed();
        self.faults.iter().find_map(|(fault, count)| {
            let now = since >= fault.after && fault.length.is_none_or(|length| since < fault.after + length);
            if !now || !concerns(&fault.target) {
                return None;
            }
            if fault.probability.is_some_and(|probability| !random.chance(probability)) {
                return None;
            }
            let most = fault.times.unwrap_or(u64::MAX);
            let taken = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |so_far| {
                (so_far < most).then_some(so_far.saturating_add(1))
            });
            taken.is_ok().then(|| (fault.delay, fault.effect.clone()))
        })
    }
}

/// Whether a text is of a pattern, in which `*` stands for anything. Linear in the text for each star.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
