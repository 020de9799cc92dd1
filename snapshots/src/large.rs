//! Pods as large as asked for.

use apimachinery::value::{Value, json};

/// An ordinary pod of a ReplicaSet, with a port, a probe and a token mount.
pub fn ordinary() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "generateName": "web-6d4cf56db6-",
            "labels": { "app": "web", "version": "v1", "pod-template-hash": "6d4cf56db6" },
            "annotations": { "example.com/checksum": "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef" },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6d4cf56db6", "controller": true,
                "uid": "4a3f6c1e-0b7a-4a57-9a5e-2f6f0f6f7f01", "blockOwnerDeletion": true
            }]
        },
        "spec": {
            "containers": [container(0)],
            "serviceAccountName": "default", "restartPolicy": "Always", "dnsPolicy": "ClusterFirst",
            "securityContext": {}, "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 30,
            "volumes": [{
                "name": "kube-api-access-abcde",
                "projected": { "defaultMode": 420, "sources": [{ "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } }] }
            }]
        }
    })
}

/// [`ordinary`] with so many environment variables in its container.
pub fn with_env(variables: usize) -> Value {
    let mut pod = ordinary();
    let all: Vec<Value> = (0..variables)
        .map(|number| json!({ "name": format!("VARIABLE_{number}"), "value": format!("value of {number}") }))
        .collect();
    pod["spec"]["containers"][0]["env"] = all.into();
    pod
}

/// [`ordinary`] with so many containers.
pub fn with_containers(containers: usize) -> Value {
    let mut pod = ordinary();
    pod["spec"]["containers"] = (0..containers).map(container).collect::<Vec<_>>().into();
    pod
}

fn container(number: usize) -> Value {
    json!({
        "name": if number == 0 { "web".to_owned() } else { format!("helper-{number}") },
        "image": "registry.example.com/shop/web:1.4.2",
        "imagePullPolicy": "IfNotPresent",
        "env": [{ "name": "MODE", "value": "production" }],
        "ports": [{ "name": "http", "containerPort": 8080 + number, "protocol": "TCP" }],
        "readinessProbe": { "httpGet": { "path": "/ready", "port": "http" }, "periodSeconds": 5 },
        "resources": { "requests": { "cpu": "100m", "memory": "128Mi" } },
        "volumeMounts": [{
            "name": "kube-api-access-abcde", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"
        }]
    })
}
