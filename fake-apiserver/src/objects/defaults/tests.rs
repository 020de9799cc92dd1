use apimachinery::value::{Value, json};

use super::*;
use crate::objects::decode;

fn defaulted(target: Target<'_>, object: Value) -> Value {
    let mut object = decode::normalize(target, object).expect("decodes").object;
    apply(target, &mut object);
    let once = object.clone();
    apply(target, &mut object);
    assert_eq!(object, once, "defaults are applied any number of times");
    object
}

#[test]
fn a_pod_as_recorded() {
    // pod-create/all-defaults, hostnetwork-ports
    let pod = defaulted(
        Target::new("", "v1", "Pod"),
        json!({"spec": {"hostNetwork": true, "serviceAccount": "sa", "containers": [{"name": "a", "image": "x",
            "ports": [{"containerPort": 80}], "livenessProbe": {"httpGet": {"port": 80}},
            "resources": {"limits": {"cpu": "1"}}}],
            "volumes": [{"name": "e"}, {"name": "h", "hostPath": {"path": "/"}}, {"name": "s", "secret": {"secretName": "x"}}]}}),
    );
    let spec = &pod["spec"];
    assert_eq!(spec["serviceAccountName"], "sa");
    assert_eq!(
        spec["containers"][0],
        json!({"name": "a", "image": "x", "imagePullPolicy": "Always", "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File", "ports": [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}],
            "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
            "livenessProbe": {"httpGet": {"path": "/", "port": 80, "scheme": "HTTP"}, "timeoutSeconds": 1,
                "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}})
    );
    assert_eq!(
        spec["volumes"],
        json!([{"name": "e", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/", "type": ""}},
            {"name": "s", "secret": {"secretName": "x", "defaultMode": 420}}])
    );
    assert_eq!(spec["enableServiceLinks"], true);
}

#[test]
fn a_template_is_not_a_pod() {
    let deployment = defaulted(
        Target::new("apps", "v1", "Deployment"),
        json!({"spec": {"template": {"spec": {"hostNetwork": true, "terminationGracePeriodSeconds": -1,
            "containers": [{"name": "a", "image": "x:1", "ports": [{"containerPort": 80}]}]}}}}),
    );
    let spec = &deployment["spec"]["template"]["spec"];
    assert!(spec.get("enableServiceLinks").is_none());
    assert!(spec["containers"][0]["ports"][0].get("hostPort").is_none());
    assert_eq!(spec["terminationGracePeriodSeconds"], -1);
    assert_eq!(spec["containers"][0]["imagePullPolicy"], "IfNotPresent");
    assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
}

#[test]
fn secrets_keep_what_was_written_as_text() {
    let secret = defaulted(Target::new("", "v1", "Secret"), json!({"stringData": {"a": "b"}}));
    assert_eq!((&secret["data"]["a"], &secret["type"]), (&json!("Yg=="), &json!("Opaque")));
    assert!(secret.get("stringData").is_none());
}

#[test]
fn classes_of_service() {
    let class = |resources: Value| qos_class(&json!({"containers": [{"name": "a", "resources": resources}]}));
    assert_eq!(class(json!({})), "BestEffort");
    assert_eq!(class(json!({"requests": {"cpu": "1"}})), "Burstable");
    assert_eq!(class(json!({"limits": {"cpu": "1", "memory": "1Gi"}})), "Guaranteed");
    assert_eq!(class(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}})), "Burstable");
}
