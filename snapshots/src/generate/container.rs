//! Containers and what is in them.

use apimachinery::value::{Value, json};
use proptest::prelude::*;

use super::text::{dns_label, name_or, quantity, value};
use super::{Fields, keyed, object};

/// A container with the given name, as the API allows it in `spec.containers`.
pub fn container() -> BoxedStrategy<Value> {
    let mut fields = shared();
    fields.push(("livenessProbe", probe()));
    fields.push(("readinessProbe", probe()));
    fields.push(("startupProbe", probe()));
    fields.push(("lifecycle", object(vec![], vec![("preStop", handler()), ("postStart", handler())])));
    object(always(), fields)
}

/// An init container: without probes, unless it stays.
pub fn init_container() -> BoxedStrategy<Value> {
    prop_oneof![
        3 => object(always(), shared()),
        1 => container().prop_map(|mut sidecar| {
            sidecar["restartPolicy"] = "Always".into();
            sidecar
        }),
    ]
    .boxed()
}

fn always() -> Fields {
    vec![
        ("name", dns_label().prop_map(Value::from).boxed()),
        (
            "image",
            "registry\\.example\\.com/[a-z]{1,8}(:[0-9]{1,3}|@sha256:[0-9a-f]{64})?".prop_map(Value::from).boxed(),
        ),
    ]
}

fn shared() -> Fields {
    vec![
        ("args", prop::collection::vec(value(), 0..4).prop_map(Value::from).boxed()),
        ("command", prop::collection::vec(value(), 0..3).prop_map(Value::from).boxed()),
        ("env", keyed("name", name_or(&["POD_NAME", "ISTIO_META_OWNER", "ISTIO_KUBE_APP_PROBERS"]), env(), 6)),
        ("ports", ports()),
        ("resources", resources()),
        ("securityContext", security_context()),
        (
            "volumeMounts",
            keyed(
                "mountPath",
                "/[a-z]{1,6}(/[a-z]{1,6})?".prop_map(Value::from).boxed(),
                object(
                    vec![("name", name_or(&["istio-envoy", "istio-token"]))],
                    vec![("readOnly", any::<bool>().prop_map(Value::from).boxed())],
                ),
                3,
            ),
        ),
        (
            "imagePullPolicy",
            prop::sample::select(vec!["Always", "IfNotPresent", "Never"]).prop_map(Value::from).boxed(),
        ),
    ]
}

fn env() -> BoxedStrategy<Value> {
    prop_oneof![
        value().prop_map(|value| json!({ "value": value })),
        Just(json!({})),
        Just(json!({ "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } })),
        dns_label().prop_map(|name| json!({ "valueFrom": { "secretKeyRef": { "name": name, "key": "k" } } })),
    ]
    .boxed()
}

/// Ports that differ in number, some with a name of their own.
fn ports() -> BoxedStrategy<Value> {
    let number = prop_oneof![1..65536u32, prop::sample::select(vec![80u32, 443, 8080, 15020, 15090])];
    let protocol = prop::option::of(prop::sample::select(vec!["TCP", "UDP", "SCTP"]));
    prop::collection::btree_map(number, (any::<bool>(), protocol), 0..4)
        .prop_map(|ports| {
            let ports = ports.into_iter().map(|(number, (named, protocol))| {
                let mut port = json!({ "containerPort": number });
                if named {
                    port["name"] = format!("p-{number}").into();
                }
                if let Some(protocol) = protocol {
                    port["protocol"] = protocol.into();
                }
                port
            });
            Value::Array(ports.collect())
        })
        .boxed()
}

fn resources() -> BoxedStrategy<Value> {
    let amounts = || object(vec![], vec![("cpu", quantity()), ("memory", quantity())]);
    object(vec![], vec![("requests", amounts()), ("limits", amounts())])
}

fn security_context() -> BoxedStrategy<Value> {
    object(
        vec![],
        vec![
            ("runAsUser", prop::sample::select(vec![0u32, 1000, 1337]).prop_map(Value::from).boxed()),
            ("privileged", any::<bool>().prop_map(Value::from).boxed()),
            ("capabilities", Just(json!({ "drop": ["ALL"] })).boxed()),
        ],
    )
}

/// A probe of any sort. Its port may be a name that no port has, as the API allows.
fn probe() -> BoxedStrategy<Value> {
    (handler(), prop::option::of(1..10u32))
        .prop_map(|(mut probe, timeout)| {
            if let Some(timeout) = timeout {
                probe["timeoutSeconds"] = timeout.into();
            }
            probe
        })
        .boxed()
}

fn handler() -> BoxedStrategy<Value> {
    let port = prop_oneof![(1..65536u32).prop_map(Value::from), "[a-z]{1,8}".prop_map(Value::from)];
    prop_oneof![
        (port.clone(), "/[a-z]{0,8}").prop_map(|(port, path)| json!({ "httpGet": { "path": path, "port": port } })),
        (port.clone(), prop::sample::select(vec!["HTTP", "HTTPS"]))
            .prop_map(|(port, scheme)| json!({ "httpGet": { "path": "/", "port": port, "scheme": scheme, "httpHeaders": [{ "name": "X", "value": "1" }] } })),
        port.prop_map(|port| json!({ "tcpSocket": { "port": port } })),
        Just(json!({ "exec": { "command": ["true"] } })),
    ]
    .boxed()
}
