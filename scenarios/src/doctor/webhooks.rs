//! The webhook configurations by themselves.

use admission::certificate::Certificate;
use apimachinery::clock::Timestamp;
use apimachinery::value::{Value, json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::finding::Findings;
use super::survey::{Hook, Survey};

const DAY: i64 = 86_400;
/// Days before the end of a certificate at which it is time to renew it.
const SOON: i64 = 30;
/// Longer than that a pod's creation should not hang on an injector that does not answer.
const LONGEST_TIMEOUT: u64 = 10;

pub(super) fn check(survey: &Survey, now: Timestamp, findings: &mut Findings) {
    for hook in &survey.hooks {
        let before = findings.0.len();
        one(hook, now.unix_micros().div_euclid(1_000_000), findings);
        own_pods(survey, hook, findings);
        if findings.0.len() == before {
            findings.ok(&hook.subject(), "is called when pods are created; its authority is valid");
        }
    }
    overlaps(survey, findings);
}

fn one(hook: &Hook, now: i64, findings: &mut Findings) {
    let (subject, entry) = (hook.subject(), &hook.entry);
    if !hook.webhook.matches_pods {
        let remedy = "its rules need operations [CREATE], apiGroups [\"\"], apiVersions [v1], resources [pods]";
        findings.problem(&subject, "its rules do not cover the creation of pods", remedy);
    }
    if entry["failurePolicy"] == "Ignore" {
        let remedy = "use failurePolicy: Fail, or look for such pods after each outage (this command finds them)";
        findings.warning(
            &subject,
            "failurePolicy Ignore: while the injector is down pods start without a sidecar, and stay so",
            remedy,
        );
    }
    let timeout = entry["timeoutSeconds"].as_u64().unwrap_or(LONGEST_TIMEOUT);
    if timeout > LONGEST_TIMEOUT {
        let found = format!("timeoutSeconds {timeout}: each pod waits that long for an injector that does not answer");
        findings.warning(&subject, found, "an injector answers in milliseconds: 2 to 5 s are plenty");
    }
    let versions = entry["admissionReviewVersions"].as_array();
    if versions.is_some_and(|versions| !versions.contains(&json!("v1"))) {
        findings.warning(&subject, "admissionReviewVersions lacks v1", "Kubernetes 1.22 and later want v1 in it");
    }
    authority(hook, now, findings);
}

fn authority(hook: &Hook, now: i64, findings: &mut Findings) {
    let subject = hook.subject();
    let bundle = hook.entry["clientConfig"]["caBundle"].as_str().unwrap_or_default();
    if bundle.is_empty() {
        let remedy = "put the PEM of the authority that signed the injector's certificate there, base64-encoded";
        findings.problem(&subject, "has no caBundle: the apiserver trusts only its machine's authorities", remedy);
        return;
    }
    let pem = STANDARD.decode(bundle).unwrap_or_default();
    let certificates: Vec<Option<Certificate>> =
        CertificateDer::pem_slice_iter(&pem).map(|der| der.ok().and_then(|der| Certificate::parse(&der))).collect();
    if certificates.is_empty() || certificates.contains(&None) {
        findings.problem(&subject, "its caBundle is not PEM with certificates in it", "write it anew");
        return;
    }
    // One valid authority is enough, and the last to end is what counts.
    let until = certificates.iter().flatten().map(|certificate| certificate.not_after).max().unwrap_or_default();
    let from = certificates.iter().flatten().map(|certificate| certificate.not_before).min().unwrap_or_default();
    let date = |seconds: i64| Timestamp::from_unix_micros(seconds.saturating_mul(1_000_000)).rfc3339();
    if now > until {
        let found = format!("the authority in its caBundle expired at {}: every call fails", date(until));
        findings.problem(&subject, found, "renew the authority, the injector's certificate and the caBundle");
    } else if now < from {
        let found = format!("the authority in its caBundle is not valid before {}", date(from));
        findings.problem(&subject, found, "check the clock of whoever made it");
    } else if until - now < SOON * DAY {
        let found =
            format!("the authority in its caBundle expires at {}, in {} days", date(until), (until - now) / DAY);
        findings.warning(&subject, found, "renew it, and leave the old one in the bundle until all have the new one");
    }
}

/// An injector that is down cannot let its own pods start.
fn own_pods(survey: &Survey, hook: &Hook, findings: &mut Findings) {
    if hook.entry["failurePolicy"] == "Ignore" {
        return;
    }
    let Some(service) = hook.service() else { return };
    let pod = json!({ "metadata": { "labels": {} } });
    if hook.webhook.judge(&survey.labels(&service.namespace), &pod).decided {
        let found = format!(
            "failurePolicy Fail, and it is called for pods in its own namespace {}: once down, the injector may keep itself from starting",
            service.namespace
        );
        let remedy = "leave that namespace out by the namespaceSelector, or take its injection label away";
        findings.warning(&hook.subject(), found, remedy);
    }
}

/// Pods that two injectors are asked about.
fn overlaps(survey: &Survey, findings: &mut Findings) {
    let mut told = Vec::new();
    let pods = [json!({}), json!({ "sidecar.istio.io/inject": "true" })];
    for (name, labels) in &survey.namespaces {
        for pod in &pods {
            let pod = json!({ "metadata": { "labels": pod } });
            let called: Vec<&Hook> = survey.called(labels, &pod);
            let names: Vec<&str> = called.iter().map(|hook| &*hook.configuration).collect();
            let distinct = names.iter().any(|name| Some(name) != names.first());
            if distinct
                && !told.iter().any(|before: &Vec<String>| before.iter().map(String::as_str).eq(names.iter().copied()))
            {
                let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
                let subject = format!("webhook configurations {}", names.join(" and "));
                let found = format!(
                    "both are called for pods in namespace {name}: which injector comes first depends on their names"
                );
                findings.problem(&subject, found, "tell them apart by revision, or delete the one that is left over");
                told.push(names);
            }
        }
    }
}

/// Whether an entry of a list of ports has a number.
pub(super) fn has_port(ports: &Value, number: u64) -> bool {
    ports.as_array().into_iter().flatten().any(|port| port["port"].as_u64() == Some(number))
}
