//! Pods that between them go through the branches that templates have.

use apimachinery::value::{Value, json};

/// Name and pod.
pub(crate) fn pods() -> Vec<(&'static str, Value)> {
    let pod =
        |metadata: Value, spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
    let app = || json!([{"name": "app", "image": "app:1", "ports": [{"containerPort": 8080, "name": "http"}], "resources": {}}]);
    vec![
        (
            "plain",
            pod(json!({"name": "plain", "labels": {"app": "plain", "version": "v1"}}), json!({"containers": app()})),
        ),
        ("without labels", pod(json!({"name": "bare"}), json!({"containers": [{"name": "c", "image": "c:1"}]}))),
        (
            "of a Deployment",
            pod(
                json!({
                    "generateName": "web-5d8f7c-", "labels": {"pod-template-hash": "5d8f7c"},
                    "ownerReferences": [
                        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d8f7c", "uid": "1", "controller": true},
                    ],
                }),
                json!({"containers": app(), "serviceAccountName": "web"}),
            ),
        ),
        (
            "of a Job",
            pod(
                json!({
                    "generateName": "job-", "labels": {"job-name": "job"},
                    "ownerReferences": [
                        {"apiVersion": "batch/v1", "kind": "Job", "name": "job", "uid": "1", "controller": true},
                    ],
                }),
                json!({"containers": app(), "restartPolicy": "Never"}),
            ),
        ),
        (
            "with init containers, volumes and probes",
            pod(
                json!({"name": "much", "annotations": {"a": "b"}}),
                json!({
                    "initContainers": [{"name": "prepare", "image": "prepare:1"}],
                    "containers": [{
                        "name": "app", "image": "app:1", "ports": [{"containerPort": 8080, "name": "http"}],
                        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
                        "livenessProbe": {"tcpSocket": {"port": 8080}},
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    }],
                    "volumes": [{"name": "data", "emptyDir": {}}],
                    "imagePullSecrets": [{"name": "registry"}],
                    "securityContext": {"runAsUser": 1000},
                }),
            ),
        ),
        (
            "with traffic annotations",
            pod(
                json!({"name": "traffic", "annotations": {
                    "sidecar.istio.io/interceptionMode": "TPROXY",
                    "sidecar.istio.io/proxyCPU": "100m",
                    "sidecar.istio.io/proxyMemory": "128Mi",
                    "status.sidecar.istio.io/port": "15021",
                    "traffic.sidecar.istio.io/includeOutboundIPRanges": "10.0.0.0/8",
                    "traffic.sidecar.istio.io/excludeOutboundIPRanges": "10.1.0.0/16",
                    "traffic.sidecar.istio.io/includeInboundPorts": "8080",
                    "traffic.sidecar.istio.io/excludeInboundPorts": "9090",
                }}),
                json!({"containers": app()}),
            ),
        ),
    ]
}
