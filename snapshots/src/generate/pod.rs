//! Whole pods that an apiserver accepts.

use apimachinery::value::{Value, json};
use proptest::prelude::*;

use super::container::{container, init_container};
use super::text::{annotations, dns_label, labels, name_or};
use super::{keyed, object};

/// A legal pod, as a webhook sees it on CREATE. It may opt in or out of injection, and bring names that templates use.
pub fn legal() -> BoxedStrategy<Value> {
    (metadata(), spec(), switches())
        .prop_map(|(mut metadata, spec, switches)| {
            for (part, key, value) in switches {
                metadata[part][key] = value.into();
            }
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec })
        })
        .boxed()
}

/// A legal pod that an injector with Istio's default policy injects.
pub fn injectable() -> BoxedStrategy<Value> {
    (metadata(), spec())
        .prop_map(|(metadata, mut spec)| {
            spec["hostNetwork"] = false.into();
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec })
        })
        .boxed()
}

fn metadata() -> BoxedStrategy<Value> {
    let name = || dns_label().prop_map(Value::from).boxed();
    let owner = (dns_label(), prop::sample::select(vec!["ReplicaSet", "StatefulSet", "Job", "DaemonSet"])).prop_map(
        |(name, kind)| {
            let group = if kind == "Job" { "batch/v1" } else { "apps/v1" };
            json!([{ "apiVersion": group, "kind": kind, "name": name, "uid": "u", "controller": true }])
        },
    );
    let rest =
        || vec![("labels", labels()), ("annotations", annotations()), ("ownerReferences", owner.clone().boxed())];
    let generated = dns_label().prop_map(|name| Value::from(name + "-")).boxed();
    prop_oneof![object(vec![("name", name())], rest()), object(vec![("generateName", generated)], rest())].boxed()
}

fn spec() -> BoxedStrategy<Value> {
    let names = || name_or(&["app", "web"]);
    let containers = (container(), keyed("name", names(), container(), 3)).prop_map(|(first, rest)| {
        let rest: Vec<Value> =
            rest.as_array().into_iter().flatten().filter(|item| item["name"] != first["name"]).cloned().collect();
        Value::from([vec![first], rest].concat())
    });
    object(
        vec![("containers", containers.boxed())],
        vec![
            ("initContainers", keyed("name", name_or(&["prepare"]), init_container(), 3)),
            ("volumes", keyed("name", name_or(&["istio-envoy", "istio-token"]), volume(), 4)),
            ("imagePullSecrets", keyed("name", names(), Just(json!({})).boxed(), 2)),
            ("restartPolicy", prop::sample::select(vec!["Always", "Never", "OnFailure"]).prop_map(Value::from).boxed()),
            ("serviceAccountName", dns_label().prop_map(Value::from).boxed()),
            ("nodeSelector", labels()),
            ("hostNetwork", any::<bool>().prop_map(Value::from).boxed()),
            ("securityContext", security_context()),
            ("dnsPolicy", prop::sample::select(vec!["ClusterFirst", "Default"]).prop_map(Value::from).boxed()),
            ("terminationGracePeriodSeconds", (0..120u32).prop_map(Value::from).boxed()),
        ],
    )
}

fn security_context() -> BoxedStrategy<Value> {
    object(
        vec![],
        vec![
            ("fsGroup", (0..3000u32).prop_map(Value::from).boxed()),
            ("runAsNonRoot", any::<bool>().prop_map(Value::from).boxed()),
        ],
    )
}

fn volume() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(json!({ "emptyDir": {} })),
        Just(json!({ "emptyDir": { "medium": "Memory", "sizeLimit": "64Mi" } })),
        dns_label().prop_map(|name| json!({ "configMap": { "name": name, "defaultMode": 420 } })),
        dns_label().prop_map(|name| json!({ "secret": { "secretName": name } })),
        dns_label().prop_map(|name| json!({ "persistentVolumeClaim": { "claimName": name } })),
    ]
    .boxed()
}

/// Labels and annotations that an injector obeys, with right and wrong values.
fn switches() -> BoxedStrategy<Vec<(&'static str, &'static str, &'static str)>> {
    prop::sample::subsequence(
        vec![
            ("annotations", "sidecar.istio.io/inject", "false"),
            ("labels", "sidecar.istio.io/inject", "true"),
            ("annotations", "sidecar.istio.io/interceptionMode", "TPROXY"),
            ("annotations", "traffic.sidecar.istio.io/includeInboundPorts", "80,443"),
            ("annotations", "traffic.sidecar.istio.io/excludeOutboundIPRanges", "10.0.0.0/8"),
            ("annotations", "sidecar.istio.io/rewriteAppHTTPProbers", "true"),
            ("annotations", "prometheus.io/scrape", "true"),
            ("annotations", "prometheus.io/port", "9102"),
            ("annotations", "sidecar.istio.io/proxyCPU", "lots"),
            ("annotations", "sidecar.istio.io/status", "{}"),
        ],
        0..3,
    )
    .boxed()
}
