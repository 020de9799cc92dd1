//! What the server counts, in OpenMetrics text.
//!
//! The names that Istio's dashboards and alerts know keep their meaning: `sidecar_injection_success_total` counts
//! every review that was answered, skips and denials included. Ours, with outcomes told apart and buckets that show
//! a healthy injection, begin with `sidecar_injector_`.

use std::time::Duration;

use apimachinery::clock::Timestamp;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::tls::seconds;

/// Seconds; the first is below the time of an ordinary injection, the last is the longest an apiserver waits.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 3.0, 5.0, 10.0, 30.0];

/// How a review ended, as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ending {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reload {
    what: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Hash {
    hash: String,
}

/// The metrics of one server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Counter,
    successes: Counter,
    failures: Counter,
    skips: Counter,
    seconds: Histogram,
    reviews: Family<Ending, Counter>,
    responses: Family<Code, Counter>,
    reloads: Family<Reload, Counter>,
    config: Family<Hash, Gauge>,
    config_loaded: Gauge,
    config_age: Gauge,
    config_rejected: Gauge,
    certificate_until: Gauge,
    cache_hits: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) in_flight: Gauge,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Counter::default(),
            successes: Counter::default(),
            failures: Counter::default(),
            skips: Counter::default(),
            seconds: Histogram::new(BUCKETS),
            reviews: Family::default(),
            responses: Family::default(),
            reloads: Family::default(),
            config: Family::default(),
            config_loaded: Gauge::default(),
            config_age: Gauge::default(),
            config_rejected: Gauge::default(),
            certificate_until: Gauge::default(),
            cache_hits: Gauge::default(),
            connections: Gauge::default(),
            in_flight: Gauge::default(),
        };
        let r = &mut metrics.registry;
        // The encoder adds `_total` to counters and a full stop to each help text.
        r.register("sidecar_injection_requests", "Injection requests received", metrics.requests.clone());
        r.register(
            "sidecar_injection_success",
            "Reviews answered, skips and denials included",
            metrics.successes.clone(),
        );
        r.register("sidecar_injection_failure", "Requests refused and reviews denied", metrics.failures.clone());
        r.register("sidecar_injection_skip", "Pods left as they are", metrics.skips.clone());
        r.register("sidecar_injection_time_seconds", "Time spent on a review", metrics.seconds.clone());
        r.register("sidecar_injector_reviews", "Reviews by outcome", metrics.reviews.clone());
        r.register("sidecar_injector_http_responses", "HTTP responses by status code", metrics.responses.clone());
        r.register("sidecar_injector_reloads", "Reloads of configuration or certificate", metrics.reloads.clone());
        r.register("sidecar_injector_config", "The configuration in use, by hash; always 1", metrics.config.clone());
        r.register(
            "sidecar_injector_config_loaded_timestamp_seconds",
            "When the configuration in use was loaded",
            metrics.config_loaded.clone(),
        );
        r.register(
            "sidecar_injector_config_age_seconds",
            "How long the configuration has been in use",
            metrics.config_age.clone(),
        );
        r.register(
            "sidecar_injector_config_rejected",
            "1 while the files hold a configuration that was refused and an older one is in use",
            metrics.config_rejected.clone(),
        );
        r.register(
            "sidecar_injector_certificate_expiry_timestamp_seconds",
            "When the certificate in use expires",
            metrics.certificate_until.clone(),
        );
        r.register(
            "sidecar_injector_cache_hits",
            "Reviews answered from the answer to an earlier pod of the same owner, since the configuration was loaded",
            metrics.cache_hits.clone(),
        );
        r.register("sidecar_injector_connections", "Open connections", metrics.connections.clone());
        r.register("sidecar_injector_requests_in_flight", "Requests being answered", metrics.in_flight.clone());
        metrics
    }

    pub(crate) fn received(&self) {
        self.requests.inc();
    }

    /// A review that got an answer. `outcome` is one of a handful of fixed words.
    pub(crate) fn answered(&self, outcome: &'static str, skipped: bool, failed: bool, took: Duration) {
        self.successes.inc();
        if skipped {
            self.skips.inc();
        }
        if failed {
            self.failures.inc();
        }
        self.reviews.get_or_create(&Ending { outcome }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// An injection request that was refused before it became a review.
    pub(crate) fn refused(&self) {
        self.failures.inc();
    }

    pub(crate) fn responded(&self, code: u16) {
        self.responses.get_or_create(&Code { code }).inc();
    }

    pub(crate) fn reloaded(&self, what: &'static str, result: &'static str) {
        self.reloads.get_or_create(&Reload { what, result }).inc();
    }

    pub(crate) fn config_in_use(&self, hash: &str, loaded: Timestamp) {
        self.config.clear();
        self.config.get_or_create(&Hash { hash: hash.to_owned() }).set(1);
        self.config_loaded.set(seconds(loaded));
    }

    pub(crate) fn config_rejected(&self, rejected: bool) {
        self.config_rejected.set(i64::from(rejected));
    }

    pub(crate) fn certificate_until(&self, unix_seconds: i64) {
        self.certificate_until.set(unix_seconds);
    }

    /// Everything as OpenMetrics text.
    pub(crate) fn text(&self, now: Timestamp, cache_hits: u64) -> String {
        self.cache_hits.set(i64::try_from(cache_hits).unwrap_or(i64::MAX));
        self.config_age.set((seconds(now) - self.config_loaded.get()).max(0));
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

/// The media type of [`Metrics::text`].
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
