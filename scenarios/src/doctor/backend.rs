//! What stands behind a webhook: its service, the endpoints of that, and the pods.

use std::collections::BTreeSet;

use apimachinery::value::{List, Value};

use super::finding::Findings;
use super::survey::{self, Service, get, said};
use super::webhooks::has_port;
use crate::cluster::{Answer, Api};

pub(super) async fn check(api: &dyn Api, service: &Service, findings: &mut Findings) {
    let Service { namespace, name, port } = service;
    let subject = format!("service {namespace}/{name}");
    let answer = get(api, &format!("/api/v1/namespaces/{namespace}/services/{name}")).await;
    if answer.status == 404 {
        let remedy = "every call fails; install the injector, or delete the webhook configuration that is left over";
        findings.problem(&subject, "does not exist", remedy);
        return;
    }
    if !answer.is_success() {
        findings.problem(&subject, format!("cannot be read: {}", said(&answer)), "use a kubeconfig that may read it");
        return;
    }
    let spec = &answer.body["spec"];
    if !has_port(&spec["ports"], *port) {
        let ports: Vec<String> =
            spec["ports"].as_array().into_iter().flatten().map(|port| port["port"].to_string()).collect();
        let found = format!("has no port {port}, which the webhook calls; it has {}", ports.join(", "));
        findings.problem(&subject, found, "correct clientConfig.service.port, or the service");
        return;
    }
    if spec["type"] == "ExternalName" {
        findings.ok(&subject, format!("leads to {}", spec["externalName"].as_str().unwrap_or_default()));
        return;
    }
    let Some(ready) = ready(api, service, findings).await else { return };
    match ready {
        0 => {
            let found = match waiting(api, namespace, &spec["selector"], findings).await {
                Some(why) => format!("has no ready endpoint: {why}"),
                None => "has no ready endpoint, and no pod was found behind it".to_owned(),
            };
            let remedy = "see kubectl describe and kubectl logs of the injector's pods";
            findings.problem(&subject, found, remedy);
        }
        1 => findings.warning(
            &subject,
            "has one ready endpoint: no pod can be created while it restarts",
            "run two replicas or more, with a PodDisruptionBudget",
        ),
        ready => findings.ok(&subject, format!("has {ready} ready endpoints")),
    }
}

/// How many addresses are ready; `None` if nobody may say.
async fn ready(api: &dyn Api, service: &Service, findings: &mut Findings) -> Option<usize> {
    let Service { namespace, name, .. } = service;
    let path = format!(
        "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{name}"
    );
    let slices = get(api, &path).await;
    if slices.status == 404 {
        // Kubernetes before 1.21.
        let endpoints = get(api, &format!("/api/v1/namespaces/{namespace}/endpoints/{name}")).await;
        if !endpoints.is_success() && endpoints.status != 404 {
            return refused(&endpoints, service, findings);
        }
        let subsets = endpoints.body["subsets"].as_array().into_iter().flatten();
        return Some(subsets.map(|subset| subset["addresses"].as_array().map_or(0, List::len)).sum());
    }
    if !slices.is_success() {
        return refused(&slices, service, findings);
    }
    let slices = slices.body["items"].as_array().into_iter().flatten();
    let endpoints = slices.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] != Value::Bool(false));
    // A pod of a dual-stack service is in a slice of each family.
    let pods: BTreeSet<&str> = ready
        .map(|endpoint| endpoint["targetRef"]["uid"].as_str().or(endpoint["addresses"][0].as_str()).unwrap_or_default())
        .collect();
    Some(pods.len())
}

fn refused(answer: &Answer, Service { namespace, name, .. }: &Service, findings: &mut Findings) -> Option<usize> {
    let subject = format!("endpoints of {namespace}/{name}");
    findings.problem(&subject, format!("cannot be read: {}", said(answer)), "use a kubeconfig that may read them");
    None
}

/// Why the pods behind a service are not ready; `None` if there are none.
async fn waiting(api: &dyn Api, namespace: &str, selector: &Value, findings: &mut Findings) -> Option<String> {
    let labels: Vec<String> =
        selector.as_object()?.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    let selector = labels.join(",").replace('/', "%2F").replace('=', "%3D").replace(',', "%2C");
    let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}");
    let pods = survey::list(api, &path, findings).await?;
    let pod = pods.first()?;
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let reason = statuses.clone().find_map(|status| {
        let state = &status["state"];
        let waiting = state["waiting"].get("reason").or(state["terminated"].get("reason"))?.as_str()?;
        Some(format!("{} of {}: {waiting}", status["name"].as_str().unwrap_or_default(), name))
    });
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let condition = conditions.clone().find(|condition| condition["status"] == "False");
    let phase = pod["status"]["phase"].as_str().unwrap_or("?");
    Some(reason.unwrap_or_else(|| match condition.and_then(|condition| condition["message"].as_str()) {
        Some(message) => format!("pod {name} is {phase}: {message}"),
        None => format!("pod {name} is {phase}"),
    }))
}
