use apimachinery::value::{Value, json};

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

/// The causes of a refusal, each as `field: message`.
fn causes(spec: Value) -> Vec<String> {
    create(POD, &pod(spec), true).iter().map(ToString::to_string).collect()
}

/// A spec whose one container has these fields.
fn with(fields: Value) -> Value {
    let mut container = json!({"name": "a", "image": "x"});
    for (field, value) in fields.as_object().expect("fields") {
        container[field] = value.clone();
    }
    json!({"containers": [container]})
}

fn with_volume(source: Value) -> Value {
    let mut volume = json!({"name": "v"});
    for (field, value) in source.as_object().expect("a source") {
        volume[field] = value.clone();
    }
    json!({"volumes": [volume]})
}

#[test]
fn volumes_of_every_source() {
    let cases: &[(Value, &[&str])] = &[
        (
            json!({"gcePersistentDisk": {"pdName": "d", "partition": 300}}),
            &["spec.volumes[0].persistentDisk.partition: Invalid value: 300: must be between 1 and 255, inclusive"],
        ),
        (
            json!({"iscsi": {"targetPortal": "", "iqn": "iqn.bad", "lun": 256, "chapAuthSession": true, "initiatorName": "x"}}),
            &[
                "spec.volumes[0].iscsi.targetPortal: Required value",
                "spec.volumes[0].iscsi.iqn: Invalid value: \"iqn.bad\": must be valid format",
                "spec.volumes[0].iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive",
                "spec.volumes[0].iscsi.secretRef: Required value",
                "spec.volumes[0].iscsi.initiatorname: Invalid value: \"x\": must be valid format starting with iqn, eui, or naa",
            ],
        ),
        (json!({"iscsi": {"targetPortal": "p", "iqn": "iqn.2001-04.com.example:a", "lun": 0}}), &[]),
        (
            json!({"fc": {"wwids": ["a"], "targetWWNs": ["b"]}}),
            &[
                "spec.volumes[0].fc.targetWWNs: Invalid value: [\"b\"]: targetWWNs and wwids can not be specified simultaneously",
                "spec.volumes[0].fc.lun: Required value: lun is required if targetWWNs is specified",
            ],
        ),
        (
            json!({"flexVolume": {"driver": "d", "options": {"a.k8s.io/b": "c"}}}),
            &[
                "spec.volumes[0].flexVolume.options[a.k8s.io/b]: Invalid value: \"a.k8s.io/b\": kubernetes.io and k8s.io namespaces are reserved",
            ],
        ),
        (
            json!({"rbd": {"monitors": [], "image": ""}}),
            &["spec.volumes[0].rbd.monitors: Required value", "spec.volumes[0].rbd.image: Required value"],
        ),
        (
            json!({"flocker": {}}),
            &["spec.volumes[0].flocker: Required value: one of datasetName and datasetUUID is required"],
        ),
        (
            json!({"quobyte": {"registry": "nowhere", "volume": "v"}}),
            &[
                "spec.volumes[0].quobyte.registry: Invalid value: \"nowhere\": must be a host:port pair or multiple pairs separated by commas",
            ],
        ),
        (
            json!({"azureDisk": {"diskName": "d", "diskURI": "x", "kind": "Managed"}}),
            &[
                "spec.volumes[0].azureDisk.diskURI: Unsupported value: \"x\": supported values: \"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}\"",
            ],
        ),
        (json!({"image": {"reference": ""}}), &["spec.volumes[0].image.reference: Required value"]),
        (
            json!({"ephemeral": {"volumeClaimTemplate": {"metadata": {"name": "n"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}}),
            &["spec.volumes[0].ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set"],
        ),
        (json!({"projected": {"sources": [{}]}}), &[]),
    ];
    for (source, expected) in cases {
        assert_eq!(causes(with_volume(source.clone())), *expected, "{source}");
    }
    let mut spec = with(json!({"volumeMounts": [{"name": "v", "mountPath": "/m"}]}));
    spec["volumes"] = json!([{"name": "v", "nfs": {"server": "s", "path": "relative"}}]);
    assert_eq!(
        causes(spec),
        [
            "spec.volumes[0].nfs.path: Invalid value: \"relative\": must be an absolute path",
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
        ]
    );
}

#[test]
fn resources_claims_and_restart_rules() {
    let cases: &[(Value, &[&str])] = &[
        (
            with(json!({"resources": {"claims": [{"name": ""}, {"name": "c"}]}})),
            &[
                "spec.containers[0].resources.claims[0]: Required value",
                "spec.containers[0].resources.claims[1]: Not found: \"c\": must be one of the names in pod.spec.resourceClaims which is empty",
            ],
        ),
        (
            json!({"resourceClaims": [{"name": "c"}]}),
            &[
                "spec.resourceClaims[0]: Invalid value: {\"Name\":\"c\",\"ResourceClaimName\":null,\"ResourceClaimTemplateName\":null}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            ],
        ),
        (
            json!({"resources": {"requests": {"storage": "1"}}}),
            &[
                "spec.resources.requests[storage]: Unsupported value: \"storage\": supported values: \"cpu\", \"hugepages-\", \"memory\"",
            ],
        ),
        (
            json!({"resources": {"requests": {"cpu": "1"}}, "containers": [{"name": "a", "image": "x", "resources": {"requests": {"cpu": "2"}}}]}),
            &[
                "spec.resources.requests[cpu]: Invalid value: \"1\": must be greater than or equal to aggregate container requests of 2",
            ],
        ),
        (
            json!({"overhead": {"cpu": "-1"}}),
            &["spec.overhead.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0"],
        ),
        (
            with(
                json!({"restartPolicy": "Always", "restartPolicyRules": [{"action": "Stop", "exitCodes": {"operator": "Is", "values": []}}]}),
            ),
            &[
                "spec.containers[0].restartPolicyRules[0].action: Unsupported value: \"Stop\": supported values: \"Restart\", \"RestartAllContainers\"",
                "spec.containers[0].restartPolicyRules[0].exitCodes.operator: Unsupported value: \"Is\": supported values: \"In\", \"NotIn\"",
            ],
        ),
    ];
    for (spec, expected) in cases {
        assert_eq!(causes(spec.clone()), *expected, "{spec}");
    }
}

#[test]
fn the_rest_of_a_pod() {
    let spread = |more: Value| {
        let mut constraint =
            json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}});
        for (field, value) in more.as_object().expect("fields") {
            constraint[field] = value.clone();
        }
        constraint
    };
    let cases: &[(Value, &[&str])] = &[
        (
            json!({"topologySpreadConstraints": [spread(json!({})), spread(json!({}))]}),
            &[
                "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: \"{zone, DoNotSchedule}\"",
            ],
        ),
        (
            json!({"topologySpreadConstraints": [spread(json!({"matchLabelKeys": ["app"], "labelSelector": {
                "matchLabels": {"app": "x"}, "matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}],
            }}))]}),
            &[
                "spec.topologySpreadConstraints[0][0]: Invalid value: \"app\": exists in both matchLabelKeys and labelSelector",
            ],
        ),
        (
            json!({"tolerations": [{"key": "k", "operator": "Gt", "value": "1"}]}),
            &[
                "spec.tolerations[0].operator: Unsupported value: \"Gt\": supported values: \"Equal\", \"Exists\", \"Lt\", \"Gt\"",
            ],
        ),
        (
            json!({"hostAliases": [{"ip": "010.0.0.1"}, {"ip": "::ffff:1.2.3.4"}]}),
            &[
                "spec.hostAliases[0].ip: Invalid value: \"010.0.0.1\": must not have leading 0s",
                "spec.hostAliases[1].ip: Invalid value: \"::ffff:1.2.3.4\": must not be an IPv4-mapped IPv6 address",
            ],
        ),
        (
            json!({"hostUsers": false, "hostNetwork": true, "hostnameOverride": "Bad"}),
            &[
                "spec.hostNetwork: Forbidden: when `hostUsers` is false",
                "spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true",
                "spec.hostnameOverride: Invalid value: \"Bad\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ],
        ),
        (
            json!({"securityContext": {"windowsOptions": {"hostProcess": true, "runAsUserName": "a\\b\\c"}}}),
            &[
                "spec.securityContext.windowsOptions.runAsUserName: Invalid value: \"a\\\\b\\\\c\": runAsUserName cannot contain more than one backslash",
                "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers",
            ],
        ),
        (
            with(
                json!({"env": [{"name": "E", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "../p", "key": "K"}}}]}),
            ),
            &[
                "spec.containers[0].env[0].valueFrom.fileKeyRef.path: Invalid value: \"../p\": must not contain '..'",
                "spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName: Not found: \"v\"",
            ],
        ),
    ];
    for (spec, expected) in cases {
        assert_eq!(causes(spec.clone()), *expected, "{spec}");
    }
    let mut owned = pod(json!({}));
    let owner = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": "u", "controller": true});
    owned["metadata"]["ownerReferences"] = json!([owner("x"), owner("y")]);
    assert_eq!(
        aggregate(&create(POD, &owned, true)),
        "metadata.ownerReferences: Invalid value: [{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"x\",\"uid\":\"u\",\"controller\":true},{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"y\",\"uid\":\"u\",\"controller\":true}]: Only one reference can have Controller set to true. Found \"true\" in references for Pod/x and Pod/y"
    );
    let mut annotated = pod(json!({}));
    annotated["metadata"]["annotations"] = json!({
        "container.apparmor.security.beta.kubernetes.io/b": "x",
        "controller.kubernetes.io/pod-deletion-cost": "+1",
        "kubernetes.io/config.mirror": "m",
    });
    let causes: Vec<String> = create(POD, &annotated, true).iter().map(ToString::to_string).collect();
    assert_eq!(
        causes,
        [
            "metadata.annotations[kubernetes.io/config.mirror]: Invalid value: \"m\": must set spec.nodeName if mirror pod annotation is set",
            "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"+1\": must be a 32bit integer",
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/b]: Invalid value: \"b\": container not found",
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/b]: Invalid value: \"x\": invalid AppArmor profile name: \"x\"",
        ]
    );
}

#[test]
fn workloads_of_every_kind() {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"activeDeadlineSeconds": 1, "containers": [{"name": "a", "image": "x"}]}});
    let refused = |kind: &str, group: &'static str, spec: Value| -> Vec<String> {
        let target = Target::new(
            group,
            "v1",
            match kind {
                "DaemonSet" => "DaemonSet",
                "StatefulSet" => "StatefulSet",
                "Job" => "Job",
                _ => "CronJob",
            },
        );
        let object = made(target, json!({"metadata": {"name": "w", "namespace": "n", "uid": "u"}, "spec": spec}));
        create(target, &object, true).iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        refused(
            "DaemonSet",
            "apps",
            json!({"selector": {"matchLabels": {"a": "b"}}, "template": template, "updateStrategy": {"type": "X"}})
        ),
        [
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported",
            "spec.updateStrategy: Unsupported value: {\"Type\":\"X\",\"RollingUpdate\":null}: supported values: \"RollingUpdate\", \"OnDelete\"",
        ]
    );
    assert_eq!(
        refused(
            "StatefulSet",
            "apps",
            json!({"selector": {"matchLabels": {"a": "b"}}, "podManagementPolicy": "X", "template": template})
        ),
        [
            "spec.podManagementPolicy: Invalid value: \"X\": must be 'OrderedReady' or 'Parallel'",
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in StatefulSet is not Supported",
        ]
    );
    let once = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x"}]}});
    assert_eq!(
        refused("Job", "batch", json!({"selector": {"matchLabels": {"a": "b"}}, "template": once})),
        [
            "spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: `selector` not auto-generated",
            "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
        ]
    );
    assert_eq!(
        refused(
            "CronJob",
            "batch",
            json!({"schedule": "TZ=UTC * * * * *", "jobTemplate": {"spec": {"template": once}}})
        ),
        [
            "spec.schedule: Invalid value: \"TZ=UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        ]
    );
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

#[test]
fn errors_that_quote_much_are_few() {
    let number = |causes: &[String], what: &str| causes.iter().filter(|cause| cause.contains(what)).count();
    let quobyte = causes(with_volume(json!({"quobyte": {"registry": ",".repeat(5000), "volume": "v"}})));
    assert_eq!(number(&quobyte, "must be a host:port pair"), 16);
    let claims: Vec<Value> = (0..3000).map(|n| json!({"name": format!("no-{n}")})).collect();
    let known: Vec<Value> = (0..3000).map(|n| json!({"name": format!("yes-{n}"), "resourceClaimName": "c"})).collect();
    let unknown = causes(json!({"resourceClaims": known.clone(), "containers": [{"name": "a", "image": "x",
        "resources": {"claims": claims}}]}));
    assert_eq!(number(&unknown, "must be one of the names in pod.spec.resourceClaims: "), 100);
    assert!(unknown.iter().map(String::len).sum::<usize>() < 100 * 20 * 1024);
    let each: Vec<Value> = (0..3000)
        .map(|n| json!({"name": format!("c{n}"), "image": "x", "resources": {"claims": [{"name": "no"}]}}))
        .collect();
    let unknown = causes(json!({"resourceClaims": known, "containers": each}));
    assert_eq!(number(&unknown, "must be one of the names in pod.spec.resourceClaims: "), 1000);
    let mut owned = pod(json!({}));
    let owner =
        |n| json!({"apiVersion": "v1", "kind": "Node", "name": format!("n-{n}"), "uid": "u", "controller": true});
    owned["metadata"]["ownerReferences"] = (0..2000).map(owner).collect();
    let causes: Vec<String> = create(POD, &owned, true).iter().map(ToString::to_string).collect();
    assert_eq!(number(&causes, "Only one reference can have Controller set to true"), 8);
}

#[test]
fn of_equal_names_the_one_that_counts() {
    let constraint = |key: &str| json!({"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule"});
    let twins = causes(
        json!({"topologySpreadConstraints": [constraint("a"), constraint("b"), constraint("a"), constraint("a")]}),
    );
    let places: Vec<&str> = twins.iter().filter_map(|cause| cause.split('.').nth(1)).collect();
    assert_eq!(places, ["topologySpreadConstraints[0]", "topologySpreadConstraints[2]"], "{twins:?}");
    let from = json!({"fileKeyRef": {"volumeName": "v", "key": "K", "path": "p"}});
    let container = json!([{"name": "a", "image": "x", "env": [{"name": "E", "valueFrom": from}]}]);
    let volumes = json!([{"name": "v", "emptyDir": {}}, {"name": "v", "secret": {"secretName": "s"}}]);
    let last = causes(json!({"containers": container, "volumes": volumes}));
    assert!(last.iter().any(|cause| cause.contains("referenced volume must be of type emptyDir")), "{last:?}");
}
