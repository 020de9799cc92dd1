//! What holds for every pod: a second injection changes nothing, nothing of the user's is lost, unrelated changes commute,
//! and no input ends the process.

use apimachinery::value::{Value, json};
use injector::{Injector, patch};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::settings::{self, Loaded};

/// One of the first three configurations, which know no reason to deny a pod that is made here.
fn plain(which: usize) -> &'static Injector {
    &settings::all()[which].injector
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "d", "web"]).prop_map(str::to_owned)
}

fn env() -> impl Strategy<Value = Value> {
    let one = (prop::sample::select(vec!["LEVEL", "HOME", "X", "Y"]), "[a-z]{0,4}", any::<bool>());
    prop::collection::btree_map(Just(()).prop_flat_map(|()| "[A-Z]{1,3}"), one, 0..5).prop_map(|map| {
        map.into_iter()
            .map(|(k, (n, v, unknown))| {
                let mut entry = json!({ "name": format!("{n}_{k}"), "value": v });
                if unknown {
                    entry["futureField"] = json!({ "kept": [1, null, "x"] });
                }
                entry
            })
            .collect()
    })
}

fn probe() -> impl Strategy<Value = Value> {
    prop_oneof![
        (1..65535u16, any::<bool>()).prop_map(|(port, https)| json!({ "httpGet": {
            "path": "/ok", "port": port, "scheme": if https { "HTTPS" } else { "HTTP" } }, "timeoutSeconds": 2 })),
        Just(json!({ "httpGet": { "port": "http", "httpHeaders": [{ "name": "a", "value": "b" }] } })),
        Just(json!({ "httpGet": { "port": "absent" } })),
        (1..65535u16).prop_map(|port| json!({ "tcpSocket": { "port": port } })),
        (1..65535u16).prop_map(|port| json!({ "grpc": { "port": port, "service": "s" } })),
        Just(json!({ "exec": { "command": ["true"] }, "futureField": 1 })),
    ]
}

fn container() -> impl Strategy<Value = Value> {
    let parts = (
        env(),
        prop::option::of(probe()),
        prop::option::of(probe()),
        prop::option::of(Just(json!([{ "name": "http", "containerPort": 8080 }]))),
        prop::option::of(prop::sample::select(vec![json!({}), json!({ "limits": { "cpu": "2" } }), Value::Null])),
        any::<bool>(),
    );
    parts.prop_map(|(env, liveness, readiness, ports, resources, unknown)| {
        let mut out = json!({ "image": "app:1", "env": env });
        let fields =
            [("livenessProbe", liveness), ("readinessProbe", readiness), ("ports", ports), ("resources", resources)];
        for (key, value) in fields {
            if let Some(value) = value {
                out[key] = value;
            }
        }
        if unknown {
            out["futureField"] = json!({ "deep": { "er": true } });
        }
        out
    })
}

fn containers(own: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let users = prop::collection::btree_map(name(), container(), 1..4);
    let injected = prop::option::weighted(0.3, (prop::sample::select(own), container(), any::<bool>()));
    (users, injected, any::<bool>()).prop_map(|(users, injected, first)| {
        let mut out: Vec<Value> = users
            .into_iter()
            .map(|(name, mut c)| {
                c["name"] = name.into();
                c
            })
            .collect();
        if let Some((name, mut c, auto)) = injected {
            c["name"] = name.into();
            if auto {
                c["image"] = "auto".into();
            }
            out.insert(if first { 0 } else { out.len() }, c);
        }
        Value::from(out)
    })
}

fn annotations() -> impl Strategy<Value = Value> {
    let pair = prop::sample::select(vec![
        ("prometheus.io/scrape", "true"),
        ("prometheus.io/port", "9090"),
        ("prometheus.io/port", "15020"),
        ("prometheus_io_path", "/m"),
        ("sidecar.istio.io/nativeSidecar", "true"),
        ("sidecar.istio.io/nativeSidecar", "false"),
        ("status.sidecar.istio.io/port", "15999"),
        ("sidecar.istio.io/interceptionMode", "TPROXY"),
        ("traffic.sidecar.istio.io/excludeInboundPorts", "1, 2"),
        ("sidecar.istio.io/rewriteAppHTTPProbers", "true"),
        ("sidecar.istio.io/rewriteAppHTTPProbers", "false"),
        ("proxy.istio.io/config", "holdApplicationUntilProxyStarts: true"),
        ("example.com/own~annotation", "v"),
    ]);
    prop::collection::vec(pair, 0..5)
        .prop_map(|pairs| pairs.into_iter().map(|(k, v)| (k.to_owned(), Value::from(v))).collect())
}

/// Pods as an apiserver lets them through, with fields that it may know and we do not.
///
/// None has an `istio-proxy` among its init containers: where the template has it among the containers, the result holds it
/// twice, as Istio's does (its recording `merge-proxy-in-init`).
fn pod() -> impl Strategy<Value = Value> {
    let parts = (
        containers(&["istio-proxy"]),
        prop::option::of(containers(&["istio-init"])),
        prop::option::of(annotations()),
        prop::option::of(prop::sample::select(vec![json!({ "app": "web", "version": "v1" }), json!({}), Value::Null])),
        prop::option::of(Just(
            json!([{ "name": "data", "emptyDir": {} }, { "name": "istio-envoy", "hostPath": { "path": "/x" } }]),
        )),
        any::<bool>(),
    );
    parts.prop_map(|(containers, init, annotations, labels, volumes, unknown)| {
        let mut pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p", "namespace": "shop" },
                "spec": { "containers": containers } });
        if let Some(mut init) = init {
            for c in init.as_array_mut().unwrap() {
                let name = c["name"].as_str().unwrap().to_owned();
                if !name.starts_with("istio-") {
                    c["name"] = format!("init-{name}").into();
                }
            }
            pod["spec"]["initContainers"] = init;
        }
        for (part, key, value) in
            [("metadata", "annotations", annotations), ("metadata", "labels", labels), ("spec", "volumes", volumes)]
        {
            if let Some(value) = value {
                pod[part][key] = value;
            }
        }
        if unknown {
            pod["spec"]["futureField"] = json!([{ "name": 1 }]);
            pod["futureField"] = json!({});
        }
        pod
    })
}

/// The pod after injection; the patch has to apply to it exactly as it is.
fn injected(injector: &Injector, pod: &Value, path: &str) -> (Value, usize) {
    let done = injector.inject_object(pod, "shop", path).unwrap();
    let patch: json_patch::Patch = serde_json::from_slice(&patch::to_bytes(&done.patch)).unwrap();
    let mut out = pod.clone().into();
    json_patch::patch(&mut out, &patch).unwrap();
    (out.into(), done.patch.len())
}

/// The same under a configuration that may deny the pod: nothing then. The older eras deny containers of injected names.
fn admitted(loaded: &Loaded, pod: &Value, path: &str) -> Option<Value> {
    let done = loaded.injector.inject_object(pod, "shop", path).ok()?;
    let patch: json_patch::Patch = serde_json::from_slice(&patch::to_bytes(&done.patch)).unwrap();
    let mut out = pod.clone().into();
    json_patch::patch(&mut out, &patch).unwrap();
    Some(out.into())
}

/// What an unrelated webhook does to a pod: an annotation, a variable in each application container, a field of the pod, a
/// container.
fn change(pod: &Value, kind: usize) -> Value {
    let mut out = pod.clone();
    match kind {
        0 => {
            if !out["metadata"]["annotations"].is_object() {
                out["metadata"]["annotations"] = json!({});
            }
            out["metadata"]["annotations"]["other.example.com/webhook"] = "was here".into();
        }
        1 => {
            for c in out["spec"]["containers"].as_array_mut().unwrap() {
                if c["name"] != "istio-proxy" && c["name"] != "a" {
                    c["env"].as_array_mut().unwrap().push(json!({ "name": "FROM_OTHER", "value": "1" }));
                }
            }
        }
        2 => out["spec"]["nodeSelector"] = json!({ "disk": "ssd" }),
        _ => {
            let added = json!({ "name": "other", "image": "other:1", "env": [{ "name": "A", "value": "1" }] });
            out["spec"]["containers"].as_array_mut().unwrap().push(added);
        }
    }
    out
}

/// The pod without the variable in which the templates of 1.0 to 1.8 tell the proxy all of the pod's annotations: those that
/// come later are not in it, in Istio neither.
fn told(mut pod: Value) -> Value {
    for container in pod["spec"]["containers"].as_array_mut().into_iter().flatten() {
        if let Some(env) = container.get_mut("env").and_then(Value::as_array_mut) {
            env.retain(|variable| variable["name"] != "ISTIO_METAJSON_ANNOTATIONS");
        }
    }
    pod
}

/// The pod with its containers in the order of their names.
fn sorted(mut pod: Value) -> Value {
    if let Some(containers) = pod["spec"]["containers"].as_array_mut() {
        containers.sort_by_key(|c| c["name"].to_string());
    }
    pod
}

/// Where the fields are that no API knows, and what is in them.
fn unknown(pod: &Value) -> Vec<String> {
    fn walk(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if key == "futureField" {
                        found.push(format!("{path} {value}"));
                    } else {
                        walk(value, &format!("{path}/{key}"), found);
                    }
                }
            }
            Value::Array(items) => {
                for item in items {
                    walk(item, &format!("{path}/{}", item["name"].as_str().unwrap_or_default()), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(pod, "", &mut found);
    // A proxy may move from one list to the other.
    found.iter().map(|field| field.replace("/initContainers/", "/containers/")).collect()
}

/// Sixteen pods each, as every one meets all configurations; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(16);
    let regressions = Box::new(FileFailurePersistence::Direct("tests/it/properties.proptest-regressions"));
    ProptestConfig { cases, failure_persistence: Some(regressions), ..ProptestConfig::default() }
}

const PATHS: [&str; 2] = ["/inject", "/inject/cluster/c1/net/n1/other/x"];

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_second_injection_changes_nothing(pod in pod(), path in 0..2usize) {
        for loaded in settings::all() {
            let Some(first) = admitted(loaded, &pod, PATHS[path]) else { continue };
            let again = loaded.injector.inject_object(&first, "shop", PATHS[path]);
            let again = again.map_err(|e| TestCaseError::fail(format!("{}: {e}", loaded.name)))?;
            prop_assert!(again.patch.is_empty(), "{}: {:#?}", loaded.name, again.patch);
        }
    }

    #[test]
    fn unknown_fields_survive_under_every_configuration(pod in pod()) {
        for loaded in settings::all() {
            let Some(done) = admitted(loaded, &pod, "/inject") else { continue };
            let (before, after) = (unknown(&pod), unknown(&done));
            prop_assert!(before.iter().all(|field| after.contains(field)), "{}: {before:?} {after:?}", loaded.name);
        }
    }

    #[test]
    fn nothing_of_the_users_is_lost(pod in pod(), which in 0..3usize) {
        let (done, _) = injected(plain(which), &pod, "/inject");
        for key in ["containers", "initContainers"] {
            for own in pod["spec"][key].as_array().into_iter().flatten() {
                let both = ["containers", "initContainers"].into_iter().flat_map(|k| done["spec"][k].as_array().into_iter().flatten());
                let found: Vec<&Value> = both.filter(|c| c["name"] == own["name"]).collect();
                prop_assert_eq!(found.len(), 1, "{}", own["name"]);
                prop_assert_eq!(found[0].get("futureField"), own.get("futureField"));
                for variable in own["env"].as_array().into_iter().flatten() {
                    let kept = found[0]["env"].as_array().into_iter().flatten().any(|e| e == variable);
                    prop_assert!(kept, "{variable} of {}", own["name"]);
                }
            }
        }
        for (at, key) in [(&done, "futureField"), (&done["spec"], "futureField")] {
            let before = if std::ptr::eq(at, &raw const done) { &pod } else { &pod["spec"] };
            prop_assert_eq!(at.get(key), before.get(key));
        }
        for volume in pod["spec"]["volumes"].as_array().into_iter().flatten() {
            prop_assert!(done["spec"]["volumes"].as_array().unwrap().contains(volume));
        }
    }

    /// Another webhook before the injector, or after it: the same pod. After an added container the injector is called again,
    /// as an apiserver does with `reinvocationPolicy: IfNeeded`; only the order of the containers may differ.
    #[test]
    fn unrelated_changes_commute(pod in pod(), kind in 0..4usize) {
        for loaded in settings::all() {
            let changed = change(&pod, kind);
            let (Some(first), Some(before)) = (admitted(loaded, &pod, "/inject"), admitted(loaded, &changed, "/inject"))
            else {
                continue;
            };
            let after = change(&first, kind);
            if kind < 3 {
                prop_assert_eq!(told(before), told(after), "{}", loaded.name);
            } else {
                let after = admitted(loaded, &after, "/inject").expect("a pod that was admitted before");
                prop_assert_eq!(sorted(told(before)), sorted(told(after)), "{}", loaded.name);
            }
        }
    }

    #[test]
    fn the_patch_does_not_grow_with_the_pod(pod in pod(), which in 0..2usize) {
        let injector = plain(which);
        let (_, operations) = injected(injector, &pod, "/inject");
        let mut large = pod;
        let own = large["spec"]["containers"].as_array_mut().unwrap();
        own.extend((0..30).map(|i| json!({ "name": format!("more-{i}"), "image": "i" })));
        own[0]["env"].as_array_mut().unwrap().extend((0..50).map(|i| json!({ "name": format!("MORE_{i}"), "value": "v" })));
        let (_, more) = injected(injector, &large, "/inject");
        prop_assert!(more <= operations + 3, "{operations} operations became {more}");
    }

    #[test]
    fn no_pod_ends_the_process(wild in wild(), which in 0..3usize) {
        let injector = plain(which);
        let body = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": { "uid": "u", "namespace": "shop", "operation": "CREATE", "object": wild } });
        let answer: Value = serde_json::from_slice(&injector.review(body.to_string().as_bytes(), "/inject").body).unwrap();
        prop_assert_eq!(&answer["response"]["uid"], "u");
        if let Ok(done) = injector.inject_object(&wild, "shop", "/inject") {
            let patch: json_patch::Patch = serde_json::from_slice(&patch::to_bytes(&done.patch)).unwrap();
            prop_assert!(json_patch::patch(&mut wild.clone().into(), &patch).is_ok());
        }
    }

    #[test]
    fn no_body_ends_the_process(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let injector = plain(0);
        prop_assert!(serde_json::from_slice::<Value>(&injector.review(&body, "/inject").body).is_ok());
    }
}

/// JSON with a pod's field names and anything at all in them.
fn wild() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        prop::sample::select(vec!["istio-proxy", "auto", "{}", "[", "true", "", "15020", "é"]).prop_map(Value::from),
    ];
    let keys = vec![
        "metadata",
        "spec",
        "containers",
        "initContainers",
        "env",
        "name",
        "value",
        "ports",
        "annotations",
        "labels",
        "volumes",
        "securityContext",
        "runAsUser",
        "livenessProbe",
        "httpGet",
        "port",
        "sidecar.istio.io/status",
        "proxy.istio.io/overrides",
        "proxy.istio.io/config",
        "ownerReferences",
        "generateName",
        "resources",
        "limits",
    ];
    let tree = leaf.prop_recursive(6, 80, 6, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::btree_map(prop::sample::select(keys.clone()), inner, 0..6)
                .prop_map(|m| m.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    });
    (tree.clone(), tree, any::<bool>()).prop_map(|(metadata, spec, whole)| {
        if whole {
            json!({ "metadata": metadata, "spec": { "containers": [spec] } })
        } else {
            json!({ "metadata": metadata, "spec": spec })
        }
    })
}
