use apimachinery::value::{Value, json};

use crate::config::Settings;
use crate::engine::Owner;
use crate::{Injected, Injector};

const V1_0: &str = r#"
policy: enabled
template: |-
  initContainers:
  - name: istio-init
    image: init:1
    args: [-p, [[ .MeshConfig.ProxyListenPort ]], -b, "[[ includeInboundPorts .Spec.Containers ]]"]
  containers:
  - name: istio-proxy
    image: proxy:1
    restartPolicy: Always
    ports: [{containerPort: 15090}]
  volumes:
  - name: istio-envoy
    emptyDir: {medium: Memory}
"#;

const V1_2: &str = r#"
policy: enabled
neverInjectSelector: [{matchLabels: {never: "yes"}}]
alwaysInjectSelector: [{matchExpressions: [{key: always, operator: Exists}]}]
template: |-
  rewriteAppHTTPProbe: {{ .Values.rewrite }}
  containers:
  - name: istio-proxy
    image: proxy:1
    args: [--statusPort, 15020, --owner, "{{ .TypeMeta.Kind }}/{{ .DeploymentMeta.Name }}.{{ .DeploymentMeta.Namespace }}"]
    resources: {limits: {cpu: 1500m}}
  podRedirectAnnot:
    redirect: "{{ render "{{ .ObjectMeta.Name }}" }}"
"#;

fn injector(config: &str, values: &str) -> Injector {
    let settings =
        Settings { inject_config: config.to_owned(), values: Some(values.to_owned()), ..Settings::default() };
    Injector::load(settings).unwrap()
}

fn pod() -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "app", "image": "app:1", "ports": [{"containerPort": 80}]}]},
    })
}

fn inject(injector: &Injector, pod: &Value) -> Injected {
    injector.inject_object(pod, "shop", "/inject").unwrap()
}

fn patched(pod: &Value, injected: &Injected) -> Value {
    let patch: json_patch::Patch =
        apimachinery::value::from_value(apimachinery::value::to_value(&injected.patch).unwrap()).unwrap();
    let mut pod = pod.clone().into();
    json_patch::patch(&mut pod, &patch).unwrap();
    pod.into()
}

fn injected(injector: &Injector, pod: &Value) -> Value {
    patched(pod, &inject(injector, pod))
}

#[test]
fn items_are_appended_with_the_defaults_of_the_time() {
    let after = injected(&injector(V1_0, ""), &pod());
    assert_eq!(after["spec"]["initContainers"][0]["args"], json!(["-p", "15001", "-b", "80"]));
    let proxy = &after["spec"]["containers"][1];
    assert_eq!(proxy["terminationMessagePolicy"], "File");
    assert_eq!(proxy["ports"][0]["protocol"], "TCP");
    assert_eq!(proxy.get("restartPolicy"), None);
    let status: Value =
        serde_json::from_str(after["metadata"]["annotations"]["sidecar.istio.io/status"].as_str().unwrap()).unwrap();
    assert_eq!(status["containers"], json!(["istio-proxy"]));
    assert_eq!(status["imagePullSecrets"], Value::Null);
    assert_eq!(status["version"].as_str().unwrap().len(), 64);
}

#[test]
fn a_second_pass_changes_nothing_even_after_others_added_to_the_pod() {
    let injector = injector(V1_0, "");
    let mut after = injected(&injector, &pod());
    assert_eq!(inject(&injector, &after).patch, []);
    after["spec"]["containers"][1]["volumeMounts"] = json!([{"name": "token", "mountPath": "/var/run/secrets"}]);
    after["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "other", "image": "other:1"}));
    assert_eq!(inject(&injector, &after).patch, []);
}

#[test]
fn another_template_replaces_what_the_first_injected() {
    let after = injected(&injector(V1_0, ""), &pod());
    let newer = injector(&V1_0.replace("proxy:1", "proxy:2"), "");
    let upgraded = injected(&newer, &after);
    let containers = upgraded["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 2);
    assert_eq!(containers[1]["image"], "proxy:2");
    assert_eq!(upgraded["spec"]["volumes"].as_array().unwrap().len(), 1);
}

#[test]
fn the_users_own_containers_and_volumes_are_never_deleted() {
    let injector = injector(V1_0, "");
    for (path, item) in [
        ("containers", json!({"name": "istio-proxy", "image": "mine"})),
        ("initContainers", json!({"name": "istio-init", "image": "mine"})),
        ("volumes", json!({"name": "istio-envoy", "hostPath": {"path": "/"}})),
    ] {
        let mut pod = pod();
        let name = item["name"].as_str().unwrap().to_owned();
        match pod["spec"][path].as_array_mut() {
            Some(list) => list.push(item),
            None => pod["spec"][path] = json!([item]),
        }
        let error = injector.inject_object(&pod, "shop", "/inject").unwrap_err().to_string();
        assert!(error.contains(&name), "{error}");
    }
    // The very same volume is no clash.
    let mut pod = pod();
    pod["spec"]["volumes"] = json!([{"name": "istio-envoy", "emptyDir": {"medium": "Memory"}}]);
    assert_eq!(injected(&injector, &pod)["spec"]["volumes"].as_array().unwrap().len(), 1);
}

#[test]
fn a_status_that_no_injector_wrote_deletes_nothing_else() {
    let mut pod = pod();
    pod["metadata"]["annotations"] = json!({"sidecar.istio.io/status": r#"{"containers":["app"],"volumes":["data"]}"#});
    pod["spec"]["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
    let result = inject(&injector(V1_0, ""), &pod);
    assert_eq!(result.warnings.len(), 2);
    let after = patched(&pod, &result);
    assert_eq!(after["spec"]["containers"][0]["name"], "app");
    assert_eq!(after["spec"]["volumes"].as_array().unwrap().len(), 2);
}

#[test]
fn later_releases_know_the_owner_selectors_and_processors() {
    let injector = injector(V1_2, "rewrite: false");
    let mut pod = pod();
    pod["metadata"] = json!({
        "generateName": "web-5d8f-", "labels": {"pod-template-hash": "5d8f"},
        "ownerReferences": [{"controller": true, "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d8f"}],
    });
    let after = injected(&injector, &pod);
    let args = after["spec"]["containers"][1]["args"].as_array().unwrap();
    assert_eq!(args[3], "Deployment/web.shop");
    assert_eq!(args[4..], [json!("--concurrency"), json!("2")]);
    assert_eq!(after["metadata"]["annotations"]["redirect"], "");

    pod["metadata"]["labels"] = json!({"never": "yes", "always": ""});
    assert!(!inject(&injector, &pod).decision.inject);
    let disabled = self::injector(&V1_2.replace("policy: enabled", "policy: disabled"), "rewrite: false");
    pod["metadata"]["labels"] = json!({"always": ""});
    assert!(inject(&disabled, &pod).decision.inject);
    pod["metadata"]["annotations"] = json!({"sidecar.istio.io/inject": "1"});
    assert!(!inject(&disabled, &pod).decision.inject);
}

#[test]
fn probes_go_through_the_sidecar_and_a_second_pass_leaves_them() {
    let injector = injector(V1_2, "rewrite: true");
    let mut pod = pod();
    pod["spec"]["containers"][0]["livenessProbe"] = json!({"httpGet": {"path": "/live", "port": 80}});
    let after = injected(&injector, &pod);
    assert_eq!(after["spec"]["containers"][0]["livenessProbe"]["httpGet"]["port"], 15020);
    assert_eq!(after["spec"]["containers"][1]["env"][0]["name"], "ISTIO_KUBE_APP_PROBERS");
    assert_eq!(inject(&injector, &after).patch, []);
    pod["metadata"]["annotations"] = json!({"sidecar.istio.io/rewriteAppHTTPProbers": "false"});
    assert_eq!(injected(&injector, &pod)["spec"]["containers"][0]["livenessProbe"]["httpGet"]["port"], 80);
}

const V1_8: &str = r#"
policy: enabled
injectedAnnotations: {container.apparmor.security.beta.kubernetes.io/istio-proxy: runtime/default}
template: |-
  holdApplicationUntilProxyStarts: true
  rewriteAppHTTPProbe: true
  securityContext: {fsGroup: 1337}
  containers:
  - name: istio-proxy
    image: proxy:1
    args:
    - --statusPort
    - "15020"
    {{- if .ProxyConfig.Concurrency }}
    - --concurrency
    - "{{ .ProxyConfig.Concurrency.GetValue }}"
    {{- end }}
    env:
    {{- range $key, $value := .ProxyConfig.ProxyMetadata }}
    - {name: {{ $key }}, value: "{{ $value }}"}
    {{- end }}
"#;

#[test]
fn the_last_releases_put_the_proxy_first_and_read_the_pods_own_configuration() {
    let injector = injector(V1_8, "");
    let mut pod = pod();
    pod["metadata"]["annotations"] = json!({"proxy.istio.io/config": "concurrency: 3\nproxyMetadata: {A: b}"});
    pod["spec"]["securityContext"] = json!({"runAsUser": 7});
    pod["spec"]["containers"][0]["livenessProbe"] = json!({"httpGet": {"path": "/live", "port": 80}});
    let after = injected(&injector, &pod);
    let more = &after["metadata"]["annotations"]["container.apparmor.security.beta.kubernetes.io/istio-proxy"];
    assert_eq!(more, "runtime/default");
    let (proxy, app) = (&after["spec"]["containers"][0], &after["spec"]["containers"][1]);
    assert_eq!((&proxy["name"], &app["name"]), (&json!("istio-proxy"), &json!("app")));
    assert_eq!(proxy["args"], json!(["--statusPort", "15020", "--concurrency", "3"]));
    assert_eq!(proxy["env"][0], json!({"name": "A", "value": "b"}));
    assert_eq!(app["livenessProbe"]["httpGet"]["port"], 15020);
    assert_eq!(after["spec"]["securityContext"], json!({"runAsUser": 7, "fsGroup": 1337}));
    assert_eq!(inject(&injector, &after).patch, []);
    pod["metadata"]["annotations"] = json!({"proxy.istio.io/config": "concurrency: many"});
    let error = injector.inject_object(&pod, "shop", "/inject").unwrap_err().to_string();
    assert!(error.contains("proxy.istio.io/config") && error.contains("many"), "{error}");
}

#[test]
fn a_file_is_injected_whatever_its_annotation_says() {
    let injector = injector(V1_0, "");
    let mut pod = pod();
    pod["metadata"]["annotations"] = json!({"sidecar.istio.io/inject": "false"});
    let metadata = json!({"name": "web"});
    let owner = Owner { api_version: "apps/v1", kind: "Deployment", metadata: &metadata };
    let once = injector.engine().offline(pod.clone(), &owner).unwrap().pod;
    assert_eq!(once["spec"]["containers"][1]["name"], "istio-proxy");
    assert_eq!(once["spec"]["containers"][1].get("terminationMessagePath"), None);
    assert_eq!(injector.engine().offline(once.clone(), &owner).unwrap().pod, once);
    pod["spec"]["hostNetwork"] = json!(true);
    let left = injector.engine().offline(pod.clone(), &owner).unwrap();
    assert_eq!((left.pod, left.decision.inject), (pod, false));
}

#[test]
fn odd_objects_are_refused_and_never_end_the_process() {
    let injector = injector(V1_2, "rewrite: true");
    for object in [
        json!(null),
        json!([]),
        json!({"spec": 1}),
        json!({"metadata": "x", "spec": {}}),
        json!({"metadata": {"annotations": []}, "spec": {"containers": 7, "volumes": {"a": 1}}}),
        json!({"metadata": {"annotations": {"sidecar.istio.io/status": "{}"}}, "spec": {"containers": [null, 1, {}]}}),
    ] {
        let _ = injector.inject_object(&object, "", "");
    }
    assert!(injector.inject_object(&json!({}), "", "").is_err());
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn container() -> impl Strategy<Value = Value> {
        (
            "[a-d]",
            proptest::option::of(prop_oneof![Just("TCP"), Just("UDP")]),
            proptest::option::of(prop_oneof![Just(json!(80)), Just(json!("http")), Just(json!("nowhere"))]),
            any::<bool>(),
        )
            .prop_map(|(name, protocol, probe, unknown)| {
                let mut container = json!({"name": name, "image": "app:1", "resources": {}});
                if let Some(protocol) = protocol {
                    container["ports"] = json!([{"name": "http", "containerPort": 8080, "protocol": protocol}]);
                }
                if let Some(port) = probe {
                    container["readinessProbe"] = json!({"httpGet": {"path": "/ready", "port": port}});
                }
                if unknown {
                    container["someFutureField"] = json!({"kept": true});
                }
                container
            })
    }

    fn pods() -> impl Strategy<Value = Value> {
        let containers = proptest::collection::vec(container(), 0..4);
        let init = proptest::option::of(proptest::collection::vec(container(), 0..3));
        let annotations = proptest::option::of(proptest::collection::btree_map("[a-c]", "[ -~]{0,8}", 0..3));
        let volumes = proptest::option::of(proptest::collection::vec("[v-z]", 0..3));
        (containers, init, annotations, volumes).prop_map(|(containers, init, annotations, volumes)| {
            let mut pod = json!({"metadata": {"name": "web"}, "spec": {"containers": containers}});
            if let Some(init) = init {
                pod["spec"]["initContainers"] = json!(init);
            }
            if let Some(annotations) = annotations {
                pod["metadata"]["annotations"] = json!(annotations);
            }
            if let Some(volumes) = volumes {
                pod["spec"]["volumes"] = volumes.iter().map(|v| json!({"name": v, "emptyDir": {}})).collect();
            }
            pod
        })
    }

    proptest! {
        #[test]
        fn injection_keeps_what_the_user_wrote_and_happens_once(pod in pods(), era in 0usize..3) {
            let injector = [injector(V1_0, ""), injector(V1_2, "rewrite: true"), injector(V1_8, "")].into_iter().nth(era).unwrap();
            let after = injected(&injector, &pod);
            for list in ["containers", "initContainers", "volumes"] {
                let mut left = after["spec"][list].as_array().cloned().unwrap_or_default();
                left.retain(|item| !item["name"].as_str().unwrap().starts_with("istio-"));
                let mut before = pod["spec"][list].as_array().cloned().unwrap_or_default();
                // Probes are the one thing that may change.
                for item in left.iter_mut().chain(&mut before) {
                    item.as_object_mut().unwrap().remove("readinessProbe");
                }
                prop_assert_eq!(left, before);
            }
            prop_assert_eq!(inject(&injector, &after).patch, []);
        }
    }
}
