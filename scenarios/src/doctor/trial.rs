//! A pod is tried, and what events say of pods that were refused.

use std::collections::BTreeMap;

use apimachinery::value::json;
use http::Method;

use super::finding::Findings;
use super::survey::{self, Hook, Survey, said};
use crate::cluster::{Answer, Api, Ask};

/// Creates a pod with `dryRun=All` where injection is on: the apiserver asks the webhooks as it would for any pod.
pub(super) async fn check(api: &dyn Api, survey: &Survey, namespace: Option<&str>, findings: &mut Findings) {
    let injected = survey.namespaces.iter().find(|(_, labels)| !survey.called(labels, &json!({})).is_empty());
    let injected = injected.map(|(name, _)| name.as_str());
    let (namespace, asks) = match (namespace, injected) {
        (Some(namespace), _) => (namespace, survey.called(&survey.labels(namespace), &json!({})).is_empty()),
        (None, Some(namespace)) => (namespace, false),
        (None, None) => ("default", true),
    };
    let labels = if asks { json!({ "sidecar.istio.io/inject": "true" }) } else { json!({}) };
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "generateName": "towtank-doctor-", "labels": labels },
        // What the strictest PodSecurity level wants of it, so that only what is injected can break one.
        "spec": { "containers": [{
            "name": "app", "image": "towtank.invalid/doctor",
            "securityContext": {
                "allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": { "drop": ["ALL"] },
                "seccompProfile": { "type": "RuntimeDefault" },
            },
        }] },
    });
    let subject = format!("a pod tried in {namespace}");
    let hooks = survey.called(&survey.labels(namespace), &pod);
    if hooks.is_empty() {
        let remedy = "label the namespace istio-injection=enabled, or name one that is with --namespace";
        findings.warning(
            &subject,
            "no injector's webhook is called for it, labelled sidecar.istio.io/inject=true or not",
            remedy,
        );
        return;
    }
    let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let answer = api.ask(Ask::new(Method::POST, path).body(&pod)).await;
    judge(&subject, &answer, &hooks, findings);
}

fn judge(subject: &str, answer: &Answer, hooks: &[&Hook], findings: &mut Findings) {
    if !answer.is_success() {
        let message = answer.message();
        findings.problem(subject, format!("is refused: {}", said(answer)), cause(&message));
        return;
    }
    let lists = ["containers", "initContainers"].map(|list| answer.body["spec"][list].as_array());
    let names: Vec<&str> =
        lists.into_iter().flatten().flatten().filter_map(|container| container["name"].as_str()).collect();
    if names.len() > 1 {
        findings.ok(subject, format!("gets its sidecar: containers {}", names.join(", ")));
        return;
    }
    let ignored = hooks.iter().any(|hook| hook.entry["failurePolicy"] == "Ignore");
    let found = if ignored {
        "is created without a sidecar: the injector let it be, or did not answer (failurePolicy Ignore)"
    } else {
        "is created without a sidecar: the injector was asked and let it be"
    };
    let warnings = answer.warnings.join("; ");
    let remedy = if warnings.is_empty() {
        "sidecar-injector explain shows each rule; policy in the ConfigMap?"
    } else {
        &warnings
    };
    findings.problem(subject, found, remedy);
}

/// What lies behind the apiserver's words.
fn cause(message: &str) -> &'static str {
    const CAUSES: [(&str, &str); 16] = [
        ("cannot create resource", "use a kubeconfig whose user may create pods"),
        ("exceeded quota", "the namespace's quota is used up: name another with --namespace"),
        ("namespaces \"", "name a namespace that exists with --namespace"),
        ("no service port", "the webhook's service lacks the port that is called: correct clientConfig.service.port"),
        (
            "context deadline exceeded",
            "no answer in time: is the way from the apiserver to the injector's pods open (firewall, NetworkPolicy, port 15017 on private clusters)?",
        ),
        (
            "Client.Timeout",
            "no answer in time: is the way from the apiserver to the injector's pods open (firewall, NetworkPolicy, port 15017 on private clusters)?",
        ),
        (
            "signed by unknown authority",
            "the caBundle is not the authority of the injector's certificate: write it anew",
        ),
        (
            "certificate has expired",
            "the injector's certificate has expired: renew it, and restart an injector that does not reload it",
        ),
        ("certificate is valid for", "the injector's certificate lacks the name SERVICE.NAMESPACE.svc"),
        ("connection refused", "nothing listens on the service's target port: are the injector's pods ready?"),
        ("no endpoints available", "the service has no ready pod behind it"),
        ("service \"", "the webhook's service does not exist: a configuration that is left over?"),
        ("connection reset", "something in between, or the injector, cuts the connection"),
        ("EOF", "the injector closes the connection: plain HTTP on that port, or a crash? see its log"),
        (
            "violates PodSecurity",
            "istio-init needs NET_ADMIN: use istio-cni, native nftables without it, or another PodSecurity level",
        ),
        ("does not support dry run", "its sideEffects are not None: the injector has none, so say None"),
    ];
    CAUSES.iter().find(|(words, _)| message.contains(words)).map_or("see the injector's log", |(_, cause)| cause)
}

/// Events of workloads whose pods were refused on account of a webhook.
pub(super) async fn events(api: &dyn Api, findings: &mut Findings) {
    let mut refused: BTreeMap<(String, String), (String, u64)> = BTreeMap::new();
    let path = "/api/v1/events?fieldSelector=reason%3DFailedCreate";
    let read = survey::pages(api, path, findings, |event| {
        let message = event["message"].as_str().unwrap_or_default();
        if !message.contains("admission webhook")
            && !message.contains("calling webhook")
            && !message.contains("violates PodSecurity")
        {
            return;
        }
        let involved = &event["involvedObject"];
        let text = |key: &str| involved[key].as_str().unwrap_or_default();
        let key = (text("namespace").to_owned(), format!("{} {}", text("kind"), text("name")));
        let entry = refused.entry(key).or_default();
        entry.0 = message.to_owned();
        let count = event["count"].as_u64().or(event["series"]["count"].as_u64()).unwrap_or(1).max(1);
        entry.1 = entry.1.saturating_add(count);
    });
    if !read.await {
        return;
    }
    if refused.is_empty() {
        findings.ok("events", "no workload's pods were refused by a webhook lately");
    }
    for ((namespace, owner), (message, count)) in refused {
        let found = format!("its pods were refused {count} times, lastly: {message}");
        findings.problem(&format!("{owner} in {namespace}"), found, cause(&message));
    }
}
