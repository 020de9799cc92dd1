//! What `/metrics` says: the apiserver's own metrics under their real names, with the labels and buckets of v1.36.
//!
//! The names are not OpenMetrics' (`…_rejection_count` is a counter without `_total`), so the text is written here.

mod family;

use std::time::Duration;

use family::{Family, Kind};

/// Buckets of admission's durations, in seconds.
const ADMISSION: &[f64] = &[0.005, 0.025, 0.1, 0.5, 1.0, 2.5];
/// Buckets of webhooks' durations: they have longer timeouts.
const WEBHOOK: &[f64] = &[0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0];
/// Buckets of match conditions' durations.
const CONDITION: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25];
/// Buckets of requests' durations.
const REQUEST: &[f64] = &[
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];
/// Buckets of responses' sizes, in bytes.
const SIZE: &[f64] = &[1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// The largest status that is a label of its own.
const MAX_CODE: u16 = 600;

/// How a call of a webhook ended, as the metrics tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Called {
    /// It allowed the request.
    Allowed,
    /// It denied the request with this code.
    Denied(u16),
    /// The call failed with this code and the request with it.
    Failed(u16),
    /// The call failed with this code and failurePolicy Ignore let the request pass.
    FailedOpen(u16),
    /// What it said could not be used.
    Unusable,
}

/// How match conditions were evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matched {
    /// All true.
    Included,
    /// One was false.
    Excluded,
    /// One could not be evaluated.
    Failed,
}

/// What the request metrics tell of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Request<'a> {
    /// `GET`, `LIST`, `POST`, `APPLY`, …
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    pub(crate) resource: &'a str,
    /// A subresource, or the path of what is no resource.
    pub(crate) subresource: &'a str,
    /// `resource`, `namespace`, `cluster` or nothing.
    pub(crate) scope: &'a str,
    /// Whether nothing was to be stored.
    pub(crate) dry_run: bool,
}

/// The metrics of one apiserver.
pub struct Metrics {
    webhook_duration: Family,
    webhook_requests: Family,
    webhook_rejections: Family,
    webhook_fail_open: Family,
    step_duration: Family,
    controller_duration: Family,
    condition_errors: Family,
    condition_duration: Family,
    condition_exclusions: Family,
    policy_checks: Family,
    policy_duration: Family,
    requests: Family,
    request_duration: Family,
    response_sizes: Family,
    inflight: Family,
    long_running: Family,
    audit_events: Family,
    audit_levels: Family,
    audit_errors: Family,
    audit_rejected: Family,
    objects: Family,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let audit_events = "[ALPHA] Audit events that were made and sent to the log.";
        let condition = &["kind", "name", "operation", "type"];
        let request = &["component", "dry_run", "group", "resource", "scope", "subresource", "verb", "version"];
        let place = &["component", "group", "resource", "scope", "subresource", "verb", "version"];
        let policy = &["enforcement_action", "error_type", "policy", "policy_binding"];
        Metrics {
            webhook_duration: Family::new(
                "apiserver_admission_webhook_admission_duration_seconds",
                Kind::Histogram(WEBHOOK),
                &["name", "operation", "rejected", "type"],
                "[STABLE] Seconds that calls of an admission webhook took, by its name, the operation, whether the request was rejected, and the type (admit or validating).",
            ),
            webhook_requests: Family::new(
                "apiserver_admission_webhook_request_total",
                Kind::Counter,
                &["code", "name", "operation", "rejected", "type"],
                "[ALPHA] Calls of an admission webhook, by its name, the type (admit or validating), the operation, whether the request was rejected, and the HTTP status; statuses above 600 count as 600.",
            ),
            webhook_rejections: Family::new(
                "apiserver_admission_webhook_rejection_count",
                Kind::Counter,
                &["error_type", "name", "operation", "rejection_code", "type"],
                "[ALPHA] Requests rejected because of an admission webhook, by its name, the type (admit or validating) and the operation. The error type is no_error for a denial, calling_webhook_error for a failed call, apiserver_internal_error for an answer that could not be applied; the code is the HTTP status, and 600 for all above.",
            ),
            webhook_fail_open: Family::new(
                "apiserver_admission_webhook_fail_open_count",
                Kind::Counter,
                &["name", "type"],
                "[ALPHA] Failed calls of an admission webhook that failurePolicy Ignore let pass, by its name and the type (admit or validating).",
            ),
            step_duration: Family::new(
                "apiserver_admission_step_admission_duration_seconds",
                Kind::Histogram(ADMISSION),
                &["operation", "rejected", "type"],
                "[STABLE] Seconds that a whole phase of admission took, by operation, whether the request was rejected, and the type (admit or validate).",
            ),
            controller_duration: Family::new(
                "apiserver_admission_controller_admission_duration_seconds",
                Kind::Histogram(ADMISSION),
                &["name", "operation", "rejected", "type"],
                "[STABLE] Seconds that an admission plugin took, by its name, the operation, whether the request was rejected, and the type (admit or validate).",
            ),
            condition_errors: Family::new(
                "apiserver_admission_match_condition_evaluation_errors_total",
                Kind::Counter,
                condition,
                "[ALPHA] Match conditions that could not be evaluated, by the name and kind (webhook or policy) of what holds them, the operation, and the type of admission.",
            ),
            condition_duration: Family::new(
                "apiserver_admission_match_condition_evaluation_seconds",
                Kind::Histogram(CONDITION),
                condition,
                "[ALPHA] Seconds that the evaluation of match conditions took, by the name and kind (webhook or policy) of what holds them, the operation, and the type of admission.",
            ),
            condition_exclusions: Family::new(
                "apiserver_admission_match_condition_exclusions_total",
                Kind::Counter,
                condition,
                "[ALPHA] Requests that match conditions excluded, by the name and kind (webhook or policy) of what holds them, the operation, and the type of admission.",
            ),
            policy_checks: Family::new(
                "apiserver_validating_admission_policy_check_total",
                Kind::Counter,
                policy,
                "[BETA] Checks of validating admission policies, by policy, binding, the action that was taken, and the kind of error.",
            ),
            policy_duration: Family::new(
                "apiserver_validating_admission_policy_check_duration_seconds",
                Kind::Histogram(&[0.0000005, 0.001, 0.01, 0.1, 1.0]),
                policy,
                "[BETA] Seconds that a validating admission policy took, by policy, binding, the action that was taken, and the kind of error.",
            ),
            requests: Family::new(
                "apiserver_request_total",
                Kind::Counter,
                &["code", "component", "dry_run", "group", "resource", "scope", "subresource", "verb", "version"],
                "[STABLE] Requests, by verb, dry run, group, version, resource, subresource, scope, component and HTTP status.",
            ),
            request_duration: Family::new(
                "apiserver_request_duration_seconds",
                Kind::Histogram(REQUEST),
                request,
                "[STABLE] Seconds until a request was answered, by verb, dry run, group, version, resource, subresource, scope and component.",
            ),
            response_sizes: Family::new(
                "apiserver_response_sizes",
                Kind::Histogram(SIZE),
                place,
                "[STABLE] Bytes of responses to reads, by verb, group, version, resource, subresource, scope and component.",
            ),
            inflight: Family::new(
                "apiserver_current_inflight_requests",
                Kind::Gauge,
                &["request_kind"],
                "[STABLE] Requests that are being handled, by kind (mutating or readOnly).",
            ),
            long_running: Family::new(
                "apiserver_longrunning_requests",
                Kind::Gauge,
                place,
                "[STABLE] Watches and other long-running requests that are open, by verb, group, version, resource, subresource, scope and component.",
            ),
            audit_events: Family::new("apiserver_audit_event_total", Kind::Counter, &[], audit_events),
            audit_levels: Family::new(
                "apiserver_audit_level_total",
                Kind::Counter,
                &["level"],
                "[ALPHA] Requests by the level that the audit policy gives them.",
            ),
            audit_errors: Family::new(
                "apiserver_audit_error_total",
                Kind::Counter,
                &["plugin"],
                "[ALPHA] Audit events that could not be written, by where they were to go.",
            ),
            audit_rejected: Family::new(
                "apiserver_audit_requests_rejected_total",
                Kind::Counter,
                &[],
                "[ALPHA] Requests rejected because auditing failed; the fake never does.",
            ),
            objects: Family::new(
                "apiserver_resource_objects",
                Kind::Gauge,
                &["group", "resource"],
                "[ALPHA] Stored objects, by resource.",
            ),
        }
    }
}

/// `true` or `false`, as label values spell them.
fn word(yes: bool) -> &'static str {
    if yes { "true" } else { "false" }
}

impl Metrics {
    /// A call of a webhook. `mutating` decides between the types `admit` and `validating`.
    pub(crate) fn webhook(&self, name: &str, mutating: bool, operation: &str, called: Called, took: Duration) {
        let kind = if mutating { "admit" } else { "validating" };
        let (code, error) = match called {
            Called::Allowed => (200, None),
            Called::Denied(code) => (code, Some("no_error")),
            Called::Failed(code) => (code, Some("calling_webhook_error")),
            Called::FailedOpen(code) => (code, None),
            Called::Unusable => (0, Some("apiserver_internal_error")),
        };
        let code = code.min(MAX_CODE).to_string();
        let rejected = word(error.is_some());
        self.webhook_duration.observe(&[name, operation, rejected, kind], took.as_secs_f64());
        self.webhook_requests.add(&[&code, name, operation, rejected, kind], 1.0);
        if let Some(error) = error {
            self.webhook_rejections.add(&[error, name, operation, &code, kind], 1.0);
        }
        if let Called::FailedOpen(_) = called {
            self.webhook_fail_open.add(&[name, kind], 1.0);
        }
    }

    /// A phase of admission as a whole.
    pub(crate) fn step(&self, mutating: bool, operation: &str, rejected: bool, took: Duration) {
        let kind = if mutating { "admit" } else { "validate" };
        self.step_duration.observe(&[operation, word(rejected), kind], took.as_secs_f64());
    }

    /// One plugin in one phase.
    pub(crate) fn plugin(&self, name: &str, mutating: bool, operation: &str, rejected: bool, took: Duration) {
        let kind = if mutating { "admit" } else { "validate" };
        self.controller_duration.observe(&[name, operation, word(rejected), kind], took.as_secs_f64());
    }

    /// The match conditions of a webhook or a policy (`kind`), in a phase of the type `phase`.
    pub(crate) fn conditions(
        &self,
        (kind, name): (&str, &str),
        phase: &str,
        operation: &str,
        matched: Matched,
        took: Duration,
    ) {
        let labels = [kind, name, operation, phase];
        self.condition_duration.observe(&labels, took.as_secs_f64());
        match matched {
            Matched::Included => {}
            Matched::Excluded => self.condition_exclusions.add(&labels, 1.0),
            Matched::Failed => self.condition_errors.add(&labels, 1.0),
        }
    }

    /// A validating policy with one of its bindings; `action` is `allow`, `deny`, `warn` or `audit`, `error` is `no_error`
    /// or what went wrong.
    pub(crate) fn policy(&self, policy: &str, binding: &str, action: &str, error: &str, took: Duration) {
        let labels = [action, error, policy, binding];
        self.policy_checks.add(&labels, 1.0);
        self.policy_duration.observe(&labels, took.as_secs_f64());
    }

    /// A request that was answered.
    pub(crate) fn request(&self, of: &Request<'_>, code: u16, took: Duration, bytes: Option<u64>) {
        let component = "apiserver";
        let dry_run = if of.dry_run { "All" } else { "" };
        let code = code.to_string();
        let Request { verb, group, version, resource, subresource, scope, .. } = *of;
        self.requests.add(&[&code, component, dry_run, group, resource, scope, subresource, verb, version], 1.0);
        let labels = [component, dry_run, group, resource, scope, subresource, verb, version];
        if verb != "WATCH" {
            self.request_duration.observe(&labels, took.as_secs_f64());
        }
        if let Some(bytes) = bytes.filter(|_| matches!(verb, "GET" | "LIST")) {
            let labels = [component, group, resource, scope, subresource, verb, version];
            self.response_sizes.observe(&labels, bytes as f64);
        }
    }

    /// A request begins (`1`) or ends (`-1`); `read_only` are those that change nothing.
    pub(crate) fn in_flight(&self, read_only: bool, change: f64) {
        self.inflight.add(&[if read_only { "readOnly" } else { "mutating" }], change);
    }

    /// A watch begins (`1`) or ends (`-1`).
    pub(crate) fn open(&self, of: &Request<'_>, change: f64) {
        let Request { verb, group, version, resource, subresource, scope, .. } = *of;
        self.long_running.add(&["apiserver", group, resource, scope, subresource, verb, version], change);
    }

    /// An audit event was made.
    pub(crate) fn audit_event(&self) {
        self.audit_events.add(&[], 1.0);
    }

    /// The audit policy gave a request this level.
    pub(crate) fn audit_level(&self, level: &str) {
        self.audit_levels.add(&[level], 1.0);
    }

    /// An audit event could not be written to `plugin`.
    pub(crate) fn audit_error(&self, plugin: &str) {
        self.audit_errors.add(&[plugin], 1.0);
    }

    /// How many objects a resource has.
    pub(crate) fn objects(&self, group: &str, resource: &str, count: usize) {
        self.objects.set(&[group, resource], count as f64);
    }

    /// Everything in Prometheus' text format, families in the order of the alphabet.
    pub(crate) fn render(&self) -> String {
        let mut out = String::with_capacity(16 << 10);
        for family in [
            &self.controller_duration,
            &self.condition_errors,
            &self.condition_duration,
            &self.condition_exclusions,
            &self.step_duration,
            &self.webhook_duration,
            &self.webhook_fail_open,
            &self.webhook_rejections,
            &self.webhook_requests,
            &self.audit_errors,
            &self.audit_events,
            &self.audit_levels,
            &self.audit_rejected,
            &self.inflight,
            &self.long_running,
            &self.request_duration,
            &self.requests,
            &self.objects,
            &self.response_sizes,
            &self.policy_duration,
            &self.policy_checks,
        ] {
            family.render(&mut out);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Called, Metrics};

    #[test]
    fn a_call_that_failed_open_is_no_rejection() {
        let metrics = Metrics::default();
        metrics.webhook("h.example.com", true, "CREATE", Called::FailedOpen(503), Duration::from_secs(3));
        metrics.webhook("h.example.com", false, "CREATE", Called::Denied(1000), Duration::from_millis(1));
        let text = metrics.render();
        for line in [
            "apiserver_admission_webhook_fail_open_count{name=\"h.example.com\",type=\"admit\"} 1",
            "apiserver_admission_webhook_request_total{code=\"503\",name=\"h.example.com\",operation=\"CREATE\",rejected=\"false\",type=\"admit\"} 1",
            "apiserver_admission_webhook_rejection_count{error_type=\"no_error\",name=\"h.example.com\",operation=\"CREATE\",rejection_code=\"600\",type=\"validating\"} 1",
            "apiserver_admission_webhook_admission_duration_seconds_bucket{name=\"h.example.com\",operation=\"CREATE\",rejected=\"false\",type=\"admit\",le=\"2.5\"} 0",
            "apiserver_admission_webhook_admission_duration_seconds_bucket{name=\"h.example.com\",operation=\"CREATE\",rejected=\"false\",type=\"admit\",le=\"10\"} 1",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("\napiserver_admission_webhook_rejection_count{").count(), 1);
    }

    #[test]
    fn families_come_in_the_order_of_the_alphabet() {
        let text = Metrics::default().render();
        let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert!(names.is_sorted() && names.len() >= 2, "{names:?}");
    }
}
