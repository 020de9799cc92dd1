//! What the recording session did that the vectors do not show: waits, statuses that a kubelet would have written, and the
//! small world of the list and table cases.

use apimachinery::value::{Value, json};

use crate::client::{Client, JSON, MERGE, NAMESPACES, STRATEGIC, pause, poll};

const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";
/// The name of the shared world's namespace.
const WORLD: &str = "ref-world";

/// Seconds that the session waited before a step.
pub(crate) fn before_step(id: &str, step: usize) -> f64 {
    let waits: &[(usize, f64)] = match id {
        "controllers/delete-propagation" => &[(1, 1.5), (2, 2.0), (6, 1.5), (7, 2.0)],
        "controllers/rs-adopts-and-releases" => &[(1, 1.5), (4, 1.5)],
        "controllers/webhook-removes-selector-label" => &[(1, 3.0)],
        "controllers/namespace-deletion" => &[(1, 2.5)],
        "controllers/new-namespace-objects" => &[(1, 1.5), (6, 1.0)],
        "controllers/service-endpoints" => &[(1, 2.5)],
        "selectors/ns-label-change-propagation" => &[(2, 0.7), (4, 0.7)],
        "pod-create/terminating-namespace" => &[(0, 1.0)],
        "operations/deployment-template-mutated" => &[(1, 1.5)],
        "api-basics/deployment-selector-immutable" => &[(1, 0.7)],
        "api-basics/strategic-merge-pod" => &[(1, 1.0)],
        "operations/eviction-blocked-by-pdb" => &[(0, 1.0)],
        _ => &[],
    };
    waits.iter().find(|(at, _)| *at == step).map_or(0.0, |(_, seconds)| *seconds)
}

/// Whether the session waited anywhere in a case.
pub(crate) fn has_waits(id: &str) -> bool {
    (0..8).any(|step| before_step(id, step) > 0.0)
}

/// Steps that need the storage compacted, which nobody can ask an apiserver for.
pub(crate) fn needs_compaction(id: &str, step: &str) -> bool {
    let names: &[&str] = match id {
        "api-basics/list-limit-continue" => &["after etcd compaction", "exact list at a compacted"],
        "api-basics/list-events-continue-410" => {
            &["continue after etcd", "exact list at a compacted", "NotOlderThan", "watch from a compacted"]
        }
        _ => &[],
    };
    names.iter().any(|name| step.starts_with(name))
}

/// Bodies that JSON cannot hold in its parsed form.
pub(crate) fn raw_body(id: &str, step: usize) -> Option<&'static str> {
    match (id, step) {
        ("pod-create/duplicate-field", 0) => Some(
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p1"},"spec":{"containers":[{"name":"app","image":"x","image":"y"}]}}"#,
        ),
        ("api-basics/patch-malformed", 4) => Some("\"x\""),
        _ => None,
    }
}

/// A body that the recording only describes: `<pod of about 900 KiB>`.
pub(crate) fn large_pod(described: &str) -> Option<Value> {
    let kib: usize = described.strip_prefix("<pod of about ")?.strip_suffix(" KiB>")?.parse().ok()?;
    let kib = kib - 250;
    let variable = |n: usize| json!({"name": format!("E{n}"), "value": "y".repeat(50_000)});
    let env: Vec<Value> = (0..kib / 50).map(variable).collect();
    let meta = json!({"name": format!("p{kib}"), "annotations": {"a": "x".repeat(250_000)}});
    Some(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [{"name": "app", "image": "x", "env": env}]}}),
    )
}

impl Client {
    /// A namespace is ready when its ServiceAccount is there.
    pub(crate) async fn default_account(&self, namespace: &str) {
        for path in ["serviceaccounts/default", "configmaps/kube-root-ca.crt"] {
            poll(5.0, async || self.get(&format!("{NAMESPACES}/{namespace}/{path}")).await.status == 200).await;
        }
    }

    pub(crate) async fn namespace(&self, name: &str, labels: Value) {
        let meta = json!({"name": name, "labels": labels});
        self.post(NAMESPACES, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})).await;
        self.default_account(name).await;
    }

    /// As a kubelet would report a pod that runs.
    pub(crate) async fn set_ready(&self, namespace: &str, only: Option<&str>) {
        let time = "2026-01-01T00:00:00Z";
        let status = json!({
            "phase": "Running", "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}], "startTime": time,
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": time}],
            "containerStatuses": [{"name": "app", "ready": true, "restartCount": 0, "image": "x", "imageID": "y", "state": {"running": {}}}],
        });
        for pod in self.pods(namespace).await {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            if only.is_none_or(|only| only == name) {
                let path = format!("{NAMESPACES}/{namespace}/pods/{name}/status");
                self.patch(&path, STRATEGIC, json!({"status": status})).await;
            }
        }
    }

    async fn token(&self, namespace: &str, spec: Value) -> String {
        let path = format!("{NAMESPACES}/{namespace}/serviceaccounts/default/token");
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
        let answer = self.post(&path, request).await;
        answer.body["status"]["token"].as_str().unwrap_or_default().to_owned()
    }

    /// What was done after the setup of a case; gives the tokens that its steps use.
    pub(crate) async fn after_setup(&self, id: &str, namespace: &str) -> Vec<String> {
        let in_namespace = |rest: &str| format!("{NAMESPACES}/{namespace}/{rest}");
        match id {
            "pod-create/terminating-namespace" => drop(self.delete(&format!("{NAMESPACES}/{namespace}")).await),
            "operations/eviction-blocked-by-pdb" => {
                let status =
                    json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
                self.patch(&in_namespace("pods/p1/status"), STRATEGIC, status).await;
                let path = format!("/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/pdb");
                poll(4.0, async || self.get(&path).await.body["status"]["currentHealthy"] == 1).await;
            }
            "controllers/service-endpoints" => {
                self.set_ready(namespace, Some("r")).await;
                let status = json!({"status": {"podIP": "10.1.2.4", "podIPs": [{"ip": "10.1.2.4"}]}});
                self.patch(&in_namespace("pods/u/status"), STRATEGIC, status).await;
            }
            "identity/tokenreview" => {
                let uid = self.get(&in_namespace("pods/p1")).await.body["metadata"]["uid"].clone();
                let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "p1", "uid": uid});
                let audience = json!({"audiences": ["istio-ca"], "expirationSeconds": 3600});
                let mut with_pod = audience.clone();
                with_pod["boundObjectRef"] = bound;
                let tokens = [
                    self.token(namespace, audience).await,
                    self.token(namespace, json!({})).await,
                    self.token(namespace, with_pod).await,
                ];
                return [0, 0, 1, 1, 2, 2, 2, 2].map(|index: usize| tokens[index].clone()).to_vec();
            }
            "identity/serviceaccount-user" => {
                let bound = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p0"}});
                let tokens = vec![self.token(namespace, json!({})).await, self.token(namespace, bound).await];
                pause(0.5).await;
                return tokens;
            }
            "api-basics/list-events-continue-410" => {
                for n in 0..5 {
                    let object = json!({"kind": "Pod", "namespace": namespace, "name": "x"});
                    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("e{n}")}, "involvedObject": object, "reason": "R", "message": "m", "type": "Normal"});
                    self.post(&in_namespace("events"), event).await;
                }
            }
            _ => {}
        }
        Vec::new()
    }

    /// What was done right before a step.
    pub(crate) async fn before(&self, id: &str, namespace: &str, index: usize, step: &str) {
        match id {
            "controllers/deployment-lifecycle" if step == "wait: available" => self.set_ready(namespace, None).await,
            "identity/tokenreview" if index == 7 => {
                self.delete(&format!("{NAMESPACES}/{namespace}/pods/p1?gracePeriodSeconds=0")).await;
                pause(0.3).await;
            }
            _ => {}
        }
    }

    /// Waits until controllers have noticed what was written.
    pub(crate) async fn settle(&self, path: &str, status: u16, body: &Value, setup: bool, waits: bool) {
        if !(200..=201).contains(&status) || !body.is_object() || path.contains("dryRun") {
            return;
        }
        let path = path.split('?').next().unwrap_or(path);
        let name = body["metadata"]["name"].as_str().unwrap_or_default();
        let own = if path.ends_with(&format!("/{name}")) { path.to_owned() } else { format!("{path}/{name}") };
        match body["kind"].as_str().unwrap_or_default() {
            "Namespace" if path == NAMESPACES && !name.is_empty() => self.default_account(name).await,
            kind @ ("Deployment" | "ReplicaSet" | "StatefulSet")
                if !waits && !name.is_empty() && body["metadata"].get("deletionTimestamp").is_none() =>
            {
                let seen = async || {
                    let answer = self.get(&own).await;
                    let (spec, status) = (&answer.body["spec"], &answer.body["status"]);
                    let observed = status["observedGeneration"].as_u64().unwrap_or(0);
                    let idle = status["conditions"].is_array() || spec["replicas"] == 0 || spec["paused"] == true;
                    let current = observed >= answer.body["metadata"]["generation"].as_u64().unwrap_or(0);
                    answer.status != 200 || current && (kind != "Deployment" || idle)
                };
                poll(1.5, seen).await;
            }
            "ResourceQuota" => {
                poll(2.5, async || self.get(&own).await.body["status"]["hard"].is_object()).await;
                pause(0.2).await;
            }
            "Node" if setup && path == "/api/v1/nodes" => {
                self.patch(&own, MERGE, json!({"spec": {"taints": null}})).await;
            }
            "CustomResourceDefinition" if path.ends_with("customresourcedefinitions") => pause(1.0).await,
            "Service" if setup && path.ends_with("/services") => pause(0.3).await,
            "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" if setup => pause(2.5).await,
            _ => {}
        }
    }

    /// The cluster-scoped part of the world: two webhook configurations without rules, and a node unless the rest of the world
    /// follows, which makes it last.
    pub(crate) async fn cluster_world(&self, ca: &str, alone: bool) {
        let hook = |name: &str| {
            let config = json!({"url": "https://127.0.0.1:18443/x", "caBundle": ca});
            json!({"name": name, "clientConfig": config, "sideEffects": "None", "admissionReviewVersions": ["v1"]})
        };
        for (kind, hooks) in [
            ("Mutating", vec![hook("h.ref.example.com"), hook("b.ref.example.com")]),
            ("Validating", vec![hook("h.ref.example.com")]),
        ] {
            let path = format!("{ADMISSION}/{}webhookconfigurations", kind.to_lowercase());
            let kind = format!("{kind}WebhookConfiguration");
            let meta = json!({"name": "ref-cv"});
            self.post(&path, json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": meta, "webhooks": hooks})).await;
        }
        if alone {
            let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}});
            self.post("/api/v1/nodes", node).await;
        }
    }

    /// The namespace of the world: pods, workloads, a service and the like.
    pub(crate) async fn world(&self) {
        self.namespace(WORLD, json!({"istio-injection": "enabled"})).await;
        let app = json!({"containers": [{"name": "app", "image": "registry.example.com/app:1.0"}]});
        let with = |mut value: Value, key: &str, field: Value| {
            value[key] = field;
            value
        };
        for n in 0..5 {
            let mut labels = json!({"app": if n < 3 { "web" } else { "db" }, "tier": format!("t{n}")});
            if n == 4 {
                labels["only"] = "x".into();
            }
            let spec = with(app.clone(), "nodeName", if n == 2 { "node-1".into() } else { Value::Null });
            let meta = json!({"name": format!("p{n}"), "labels": labels});
            let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec});
            self.post(&format!("{NAMESPACES}/{WORLD}/pods"), pod).await;
        }
        let started = "2026-01-01T00:00:00Z";
        let container = json!({"name": "app", "ready": true, "restartCount": 2, "image": "x", "imageID": "y", "state": {"running": {"startedAt": started}}});
        let status = json!({"phase": "Running", "podIP": "10.1.1.2", "hostIP": "192.0.2.1", "startTime": started, "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [container]});
        self.patch(&format!("{NAMESPACES}/{WORLD}/pods/p2/status"), STRATEGIC, json!({"status": status})).await;
        let workload = |kind: &str, name: &str, spec: Value| {
            let group = if kind.ends_with("Job") { "batch/v1" } else { "apps/v1" };
            json!({"apiVersion": group, "kind": kind, "metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec})
        };
        let parts = |label: &str| {
            let labels = json!({"app": label});
            json!({"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": app}})
        };
        let never = json!({"spec": with(app.clone(), "restartPolicy", "Never".into())});
        let cron = json!({"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": never}}});
        let stateful = with(with(parts("st"), "serviceName", "web".into()), "replicas", 1.into());
        let port = json!([{"port": 80, "targetPort": 8080, "name": "http"}]);
        let objects = [
            ("apps/v1", "deployments", workload("Deployment", "web", with(parts("dep"), "replicas", 2.into()))),
            (
                "",
                "services",
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": port}}),
            ),
            (
                "",
                "configmaps",
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cfg"}, "data": {"k": "v"}}),
            ),
            (
                "batch/v1",
                "jobs",
                json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": never}}),
            ),
            (
                "batch/v1",
                "cronjobs",
                json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "cj"}, "spec": cron}),
            ),
            ("apps/v1", "statefulsets", workload("StatefulSet", "st", stateful)),
            ("apps/v1", "daemonsets", workload("DaemonSet", "ds", parts("ds"))),
        ];
        for (group, resource, object) in objects {
            let root = if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}") };
            self.post(&format!("{root}/namespaces/{WORLD}/{resource}"), object).await;
        }
        // By then the endpoints were looked at: of a pod on a node that there was not (`api-basics/table-events`).
        pause(0.1).await;
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}});
        self.call("POST", "/api/v1/nodes", JSON, &node).await;
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {}});
        self.post(&format!("{NAMESPACES}/{WORLD}/secrets"), secret).await;
        poll(8.0, async || self.pods(WORLD).await.len() >= 9).await;
        pause(2.0).await;
    }
}
