use serde_json::{Value, json};

use super::*;
use crate::objects::field::aggregate;
use crate::objects::{decode, defaults};

const POD: Target<'static> = Target::new("", "v1", "Pod");

fn made(target: Target<'_>, object: Value) -> Value {
    let mut object = decode::normalize(target, object).expect("decodes").object;
    defaults::apply(target, &mut object);
    object
}

fn pod(spec: Value) -> Value {
    let mut spec = spec;
    if spec.get("containers").is_none() {
        spec["containers"] = json!([{"name": "a", "image": "x"}]);
    }
    spec["serviceAccountName"] = json!("default");
    made(POD, json!({"metadata": {"name": "p", "namespace": "n"}, "spec": spec}))
}

fn refusal(spec: Value) -> String {
    aggregate(&create(POD, &pod(spec), true))
}

#[test]
fn pods_beyond_the_recorded_ones() {
    assert!(create(POD, &pod(json!({})), true).is_empty());
    for (spec, message) in [
        (
            json!({"containers": [{"name": "a", "image": "x", "ports": [{"containerPort": 1, "protocol": "ICMP"}]}]}),
            "spec.containers[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ),
        (
            json!({"containers": [{"name": "a", "image": "x", "env": [{"name": "v", "valueFrom": {"fieldRef": {"fieldPath": "spec.foo"}}}]}]}),
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.foo\": error converting fieldPath: field label not supported: spec.foo",
        ),
        (json!({"volumes": [{"name": "v", "configMap": {}}]}), "spec.volumes[0].configMap.name: Required value"),
        (
            json!({"activeDeadlineSeconds": 0}),
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ),
        (
            json!({"tolerations": [{"operator": "Equal"}]}),
            "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
        ),
        (
            json!({"os": {"name": "linux"}, "securityContext": {"windowsOptions": {}}}),
            "spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod",
        ),
    ] {
        assert_eq!(refusal(spec), message);
    }
}

#[test]
fn what_a_pod_may_change() {
    let old = pod(json!({}));
    let mut image = old.clone();
    image["spec"]["containers"][0]["image"] = json!("y");
    assert!(update(POD, &image, &old, true, "").is_empty());

    let mut node = old.clone();
    node["spec"]["nodeName"] = json!("n1");
    let message = aggregate(&update(POD, &node, &old, true, ""));
    assert!(
        message.starts_with("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`")
    );
    assert!(message.contains("\n- \"NodeName\": \"\",\n+ \"NodeName\": \"n1\",\n"), "{message}");

    let mut more = old.clone();
    if let Some(containers) = more["spec"]["containers"].as_array_mut() {
        let mut second = containers[0].clone();
        second["name"] = json!("b");
        containers.push(second);
    }
    let message = aggregate(&update(POD, &more, &old, true, ""));
    assert_eq!(message, "spec.containers: Forbidden: pod updates may not add or remove containers");
}

#[test]
fn immutable_fields() {
    let config_map = Target::new("", "v1", "ConfigMap");
    let old = made(
        config_map,
        json!({"metadata": {"name": "c", "namespace": "n", "uid": "1"}, "data": {"k": "v"}, "immutable": true}),
    );
    let mut new = old.clone();
    new["data"]["k"] = json!("z");
    assert_eq!(
        aggregate(&update(config_map, &new, &old, true, "")),
        "data: Forbidden: field is immutable when `immutable` is set"
    );
    let mut other = old.clone();
    other["metadata"]["uid"] = json!("zzz");
    let errors = update(config_map, &other, &old, true, "");
    assert_eq!(errors.len(), 2, "two causes, one message");
    assert_eq!(aggregate(&errors), "metadata.uid: Invalid value: \"zzz\": field is immutable");
}

#[test]
fn a_large_pod_is_validated_in_linear_time() {
    let container = |index: usize| {
        json!({"name": format!("c{index}"), "image": "x",
            "env": (0..20).map(|n| json!({"name": format!("E{n}"), "value": "v"})).collect::<Vec<_>>(),
            "volumeMounts": [{"name": format!("v{index}"), "mountPath": "/x"}]})
    };
    let volume = |index: usize| json!({"name": format!("v{index}"), "emptyDir": {}});
    let spec = json!({
        "containers": (0..2000).map(container).collect::<Vec<_>>(),
        "volumes": (0..2000).map(volume).collect::<Vec<_>>(),
    });
    assert!(create(POD, &pod(spec), true).is_empty());
}
