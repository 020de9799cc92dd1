//! kube-rs against the whole surface that it knows, over TLS and in memory.

use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;

use apimachinery::value::{Value, json};
use fake_apiserver::FakeApiserver;
use futures_util::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, ApiResource, AttachParams, DeleteParams, DynamicObject, EvictParams, ListParams, LogParams, Patch,
    PatchParams, PostParams, PropagationPolicy, TypeMeta, WatchEvent, WatchParams,
};
use kube::core::GroupVersionKind;
use kube::discovery::{Discovery, Scope};
use kube::runtime::wait::conditions;
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Client, Config, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::meets;

/// A cluster with two nodes and the namespace `shop`.
async fn cluster() -> FakeApiserver {
    FakeApiserver::builder().nodes(2).namespace("shop", []).start().await.unwrap()
}

/// As a client outside: the kubeconfig, TLS, a socket.
async fn over_tls(cluster: &FakeApiserver) -> Client {
    let kubeconfig = kube::config::Kubeconfig::from_yaml(cluster.kubeconfig()).unwrap();
    Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap()).unwrap()
}

fn typed<K: DeserializeOwned>(object: Value) -> K {
    apimachinery::value::from_value(object).unwrap()
}

fn pod(name: &str, containers: Value) -> Pod {
    typed(json!({ "metadata": { "name": name, "labels": { "app": "web" } }, "spec": { "containers": containers } }))
}

fn nginx(name: &str) -> Pod {
    pod(name, json!([{ "name": "app", "image": "nginx", "ports": [{ "containerPort": 80 }] }]))
}

fn deployment(replicas: i32) -> Deployment {
    typed(json!({
        "metadata": { "name": "web" },
        "spec": {
            "replicas": replicas, "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "app", "image": "nginx" }] },
            },
        },
    }))
}

async fn running(pods: &Api<Pod>, pod: &Pod) -> Pod {
    pods.create(&PostParams::default(), pod).await.unwrap();
    let name = pod.name_any();
    let condition = conditions::Condition::and(conditions::is_pod_running(), conditions::is_created());
    meets(pods.clone(), &name, condition).await.unwrap()
}

async fn text(mut stream: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test(start_paused = true)]
async fn a_deployment_completes_scales_and_takes_its_pods_along() {
    let cluster = cluster().await;
    let client = Client::new(cluster.service(), "shop");
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let pods: Api<Pod> = Api::default_namespaced(client);
    deployments.create(&PostParams::default(), &deployment(3)).await.unwrap();
    meets(deployments.clone(), "web", conditions::is_deployment_completed()).await;
    assert_eq!(pods.list(&ListParams::default().labels("app=web")).await.unwrap().items.len(), 3);

    let mut scale = deployments.get_scale("web").await.unwrap();
    assert_eq!(scale.status.as_ref().unwrap().selector.as_deref(), Some("app=web"));
    scale.spec.as_mut().unwrap().replicas = Some(5);
    deployments.replace_scale("web", &PostParams::default(), &scale).await.unwrap();
    let wanted = |count: i32| {
        move |one: Option<&Deployment>| one.and_then(|one| one.status.as_ref()?.available_replicas) == Some(count)
    };
    meets(deployments.clone(), "web", wanted(5)).await;
    deployments
        .patch_scale("web", &PatchParams::default(), &Patch::Merge(json!({ "spec": { "replicas": 1 } })))
        .await
        .unwrap();
    meets(deployments.clone(), "web", wanted(1)).await;

    deployments.restart("web").await.unwrap();
    let restarted = meets(deployments.clone(), "web", conditions::is_deployment_completed()).await;
    assert_eq!(restarted.unwrap().annotations()["deployment.kubernetes.io/revision"], "2");

    let uid = deployments.get("web").await.unwrap().uid().unwrap();
    let foreground =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    deployments.delete("web", &foreground).await.unwrap();
    meets(deployments, "web", conditions::is_deleted(&uid)).await;
    assert!(pods.list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test(start_paused = true)]
async fn server_side_apply_has_owners_and_conflicts() {
    let cluster = cluster().await;
    let maps: Api<ConfigMap> = Api::namespaced(Client::new(cluster.service(), "shop"), "shop");
    let map = |data: Value| json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": data });
    maps.patch("m", &PatchParams::apply("one"), &Patch::Apply(map(json!({ "a": "1", "b": "1" })))).await.unwrap();
    let other = Patch::Apply(map(json!({ "a": "2" })));
    let conflict = maps.patch("m", &PatchParams::apply("two"), &other).await.unwrap_err();
    let kube::Error::Api(status) = conflict else { panic!("{conflict}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert!(status.message.contains("conflict with \"one\""), "{}", status.message);
    maps.patch("m", &PatchParams::apply("two").force(), &other).await.unwrap();
    // Who no longer applies a field that he alone owns takes it away.
    let left = maps.patch("m", &PatchParams::apply("one"), &Patch::Apply(map(json!({})))).await.unwrap();
    assert_eq!(left.data.unwrap().into_iter().collect::<Vec<_>>(), [("a".to_owned(), "2".to_owned())]);
    let managers: HashSet<_> =
        left.metadata.managed_fields.unwrap().into_iter().filter_map(|one| one.manager).collect();
    assert!(managers.contains("two"), "{managers:?}");
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    maps.patch("m", &dry, &Patch::Merge(json!({ "data": { "a": "3" } }))).await.unwrap();
    assert_eq!(maps.get("m").await.unwrap().data.unwrap()["a"], "2");
}

#[tokio::test(start_paused = true)]
async fn a_reflector_follows_through_broken_watches() {
    let cluster = FakeApiserver::builder().watch_history(4).namespace("shop", []).start().await.unwrap();
    let client = Client::new(cluster.service(), "shop");
    let maps: Api<ConfigMap> = Api::namespaced(client, "shop");
    for strategy in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let (store, writer) = reflector::store::<ConfigMap>();
        let config = strategy.labels("kept=yes").timeout(20);
        let stream = watcher(maps.clone(), config).default_backoff().reflect(writer).touched_objects();
        let follower = tokio::spawn(stream.for_each(async |_| {}));
        store.wait_until_ready().await.unwrap();
        for round in 0..30 {
            let map = json!({ "metadata": { "name": format!("m{}", round % 7), "labels": { "kept": "yes" } }, "data": { "round": round.to_string() } });
            let name = format!("m{}", round % 7);
            match maps.get_opt(&name).await.unwrap() {
                Some(_) if round % 5 == 0 => drop(maps.delete(&name, &DeleteParams::default()).await.unwrap()),
                Some(_) => drop(maps.patch(&name, &PatchParams::default(), &Patch::Merge(map)).await.unwrap()),
                None => drop(maps.create(&PostParams::default(), &typed(map)).await.unwrap()),
            }
            tokio::time::sleep(Duration::from_secs(7)).await;
        }
        let stored: HashSet<_> =
            store.state().iter().map(|map| (map.name_any(), map.data.clone().unwrap()["round"].clone())).collect();
        let listed = maps.list(&ListParams::default().labels("kept=yes")).await.unwrap().items;
        let listed: HashSet<_> =
            listed.into_iter().map(|map| (map.name_any(), map.data.unwrap()["round"].clone())).collect();
        assert_eq!(stored, listed);
        assert!(!stored.is_empty());
        follower.abort();
        maps.delete_collection(&DeleteParams::default(), &ListParams::default().labels("kept=yes")).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn watches_have_bookmarks_and_initial_events() {
    let cluster = cluster().await;
    let maps: Api<ConfigMap> = Api::namespaced(Client::new(cluster.service(), "shop"), "shop");
    let params = WatchParams::default().initial_events().timeout(30);
    let mut events = pin!(maps.watch(&params, "0").await.unwrap());
    let Some(WatchEvent::Added(root)) = events.try_next().await.unwrap() else { panic!("no first event") };
    assert_eq!(root.name_any(), "kube-root-ca.crt");
    let Some(WatchEvent::Bookmark(bookmark)) = events.try_next().await.unwrap() else { panic!("no bookmark") };
    assert_eq!(bookmark.metadata.annotations["k8s.io/initial-events-end"], "true");
    let metadata = maps.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(metadata.items[0].name_any(), "kube-root-ca.crt");
    // The watch ends by itself, after its own time.
    let rest: Vec<_> = events.try_collect().await.unwrap();
    assert!(rest.iter().all(|event| matches!(event, WatchEvent::Bookmark(_))), "{rest:?}");
}

#[tokio::test]
async fn exec_runs_a_command_and_takes_standard_input() {
    let cluster = cluster().await;
    for client in [over_tls(&cluster).await, Client::new(cluster.service(), "shop")] {
        let pods: Api<Pod> = Api::namespaced(client, "shop");
        running(&pods, &nginx("web")).await;
        let mut process =
            pods.exec("web", ["sh", "-c", "echo out; echo err >&2; exit 3"], &AttachParams::default()).await.unwrap();
        let (stdout, stderr) = (process.stdout().unwrap(), process.stderr().unwrap());
        let status = process.take_status().unwrap();
        assert_eq!((text(stdout).await.as_str(), text(stderr).await.as_str()), ("out\n", "err\n"));
        let status = status.await.unwrap();
        assert_eq!(status.reason.as_deref(), Some("NonZeroExitCode"));
        assert_eq!(status.details.unwrap().causes.unwrap()[0].message.as_deref(), Some("3"));
        process.join().await.unwrap();

        let with_stdin = AttachParams::default().stdin(true).stderr(false);
        let mut process = pods.exec("web", ["cat"], &with_stdin).await.unwrap();
        let mut stdin = process.stdin().unwrap();
        stdin.write_all(b"through the pipe\n").await.unwrap();
        stdin.shutdown().await.unwrap();
        assert_eq!(text(process.stdout().unwrap()).await, "through the pipe\n");
        process.join().await.unwrap();

        let missing = pods.exec("web", ["no-such-program"], &AttachParams::default()).await.unwrap();
        let mut missing = missing;
        let status = missing.take_status().unwrap().await.unwrap();
        assert!(status.message.unwrap().contains("executable file not found in $PATH"));
        let absent = pods.exec("absent", ["true"], &AttachParams::default()).await.map(|_| ()).unwrap_err();
        assert!(matches!(&absent, kube::Error::Api(status) if status.code == 404), "{absent:?}");
        pods.delete("web", &DeleteParams::default().grace_period(0)).await.unwrap();
    }
}

#[tokio::test]
async fn a_terminal_has_a_prompt_and_ends_with_its_shell() {
    let cluster = cluster().await;
    let pods: Api<Pod> = Api::namespaced(over_tls(&cluster).await, "shop");
    running(&pods, &nginx("web")).await;
    let mut process = pods.exec("web", ["sh"], &AttachParams::interactive_tty()).await.unwrap();
    let mut stdin = process.stdin().unwrap();
    stdin.write_all(b"echo $((6*7))\nexit 4\n").await.unwrap();
    let status = process.take_status().unwrap();
    let shown = text(process.stdout().unwrap()).await;
    assert!(shown.contains("/ # echo $((6*7))\r\n42\r\n"), "{shown:?}");
    assert_eq!(status.await.unwrap().details.unwrap().causes.unwrap()[0].message.as_deref(), Some("4"));
}

#[tokio::test(start_paused = true)]
async fn logs_are_read_whole_in_part_and_followed() {
    let cluster = cluster().await;
    let pods: Api<Pod> = Api::namespaced(Client::new(cluster.service(), "shop"), "shop");
    let script = "for i in 1 2 3 4 5; do echo line $i; sleep 10; done";
    let mut counting = pod("count", json!([{ "name": "app", "image": "busybox", "command": ["sh", "-c", script] }]));
    counting.spec.as_mut().unwrap().restart_policy = Some("Never".to_owned());
    running(&pods, &counting).await;
    let follow = LogParams { follow: true, ..LogParams::default() };
    let lines: Vec<String> = pods.log_stream("count", &follow).await.unwrap().lines().try_collect().await.unwrap();
    assert_eq!(lines, ["line 1", "line 2", "line 3", "line 4", "line 5"]);
    let tail = LogParams { tail_lines: Some(2), timestamps: true, ..LogParams::default() };
    let last = pods.logs("count", &tail).await.unwrap();
    assert_eq!(last.lines().map(|line| line.split_once(' ').unwrap().1).collect::<Vec<_>>(), ["line 4", "line 5"]);
    let wrong = LogParams { container: Some("absent".to_owned()), ..LogParams::default() };
    let refused = pods.logs("count", &wrong).await.unwrap_err();
    assert!(refused.to_string().contains("container absent is not valid for pod count"), "{refused}");
}

#[tokio::test]
async fn a_port_is_forwarded() {
    let cluster = cluster().await;
    for client in [over_tls(&cluster).await, Client::new(cluster.service(), "shop")] {
        let pods: Api<Pod> = Api::namespaced(client, "shop");
        running(&pods, &nginx("web")).await;
        let mut forward = pods.portforward("web", &[80]).await.unwrap();
        let mut stream = forward.take_stream(80).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await.unwrap();
        let answer = text(stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        drop(forward);
        pods.delete("web", &DeleteParams::default().grace_period(0)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn eviction_asks_the_disruption_budget() {
    let cluster = cluster().await;
    let client = Client::new(cluster.service(), "shop");
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let budgets: Api<PodDisruptionBudget> = Api::default_namespaced(client.clone());
    let pods: Api<Pod> = Api::default_namespaced(client);
    deployments.create(&PostParams::default(), &deployment(2)).await.unwrap();
    meets(deployments.clone(), "web", conditions::is_deployment_completed()).await;
    let budget = json!({ "metadata": { "name": "web" }, "spec": { "minAvailable": 2, "selector": { "matchLabels": { "app": "web" } } } });
    budgets.create(&PostParams::default(), &typed(budget)).await.unwrap();
    let counted = |one: Option<&PodDisruptionBudget>| {
        one.and_then(|one| one.status.as_ref())
            .is_some_and(|status| status.current_healthy == Some(2) && status.expected_pods == Some(2))
    };
    meets(budgets.clone(), "web", counted).await;
    let name = pods.list(&ListParams::default()).await.unwrap().items[0].name_any();
    let refused = pods.evict(&name, &EvictParams::default()).await.unwrap_err();
    let kube::Error::Api(status) = refused else { panic!("{refused}") };
    assert_eq!((status.code, status.reason.as_str()), (429, "TooManyRequests"));
    assert!(status.message.contains("violate the pod's disruption budget"), "{}", status.message);

    deployments
        .patch_scale("web", &PatchParams::default(), &Patch::Merge(json!({ "spec": { "replicas": 3 } })))
        .await
        .unwrap();
    let allowed = |one: Option<&PodDisruptionBudget>| {
        one.and_then(|one| one.status.as_ref()).is_some_and(|status| status.disruptions_allowed == Some(1))
    };
    meets(budgets, "web", allowed).await;
    let uid = pods.get(&name).await.unwrap().uid().unwrap();
    pods.evict(&name, &EvictParams::default()).await.unwrap();
    meets(pods, &name, conditions::is_deleted(&uid)).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_a_node_and_a_definition_meet_their_conditions() {
    let cluster = cluster().await;
    let client = Client::new(cluster.service(), "shop");
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let job = json!({ "metadata": { "name": "j" }, "spec": { "template": { "spec": {
        "restartPolicy": "Never", "containers": [{ "name": "c", "image": "busybox", "command": ["sleep", "30"] }],
    } } } });
    jobs.create(&PostParams::default(), &typed(job)).await.unwrap();
    meets(jobs, "j", conditions::is_job_completed()).await;

    let nodes: Api<Node> = Api::all(client.clone());
    assert_eq!(nodes.cordon("node-1").await.unwrap().spec.unwrap().unschedulable, Some(true));
    assert_eq!(nodes.uncordon("node-1").await.unwrap().spec.unwrap().unschedulable, None);

    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = json!({
        "metadata": { "name": "gears.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": { "plural": "gears", "kind": "Gear" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            } } }],
        },
    });
    definitions.create(&PostParams::default(), &typed(definition)).await.unwrap();
    meets(definitions, "gears.example.com", conditions::is_crd_established()).await;
    let kind = GroupVersionKind::gvk("example.com", "v1", "Gear");
    let discovery = Discovery::new(client.clone()).run().await.unwrap();
    let (resource, capabilities) = discovery.resolve_gvk(&kind).unwrap();
    assert_eq!((resource.plural.as_str(), capabilities.scope), ("gears", Scope::Namespaced));
    assert!(discovery.resolve_gvk(&GroupVersionKind::gvk("apps", "v1", "Deployment")).is_some());
    let gears: Api<DynamicObject> = Api::default_namespaced_with(client, &ApiResource::from_gvk(&kind));
    let mut gear = DynamicObject::new("g", &resource).data(json!({ "teeth": 12 }).into());
    gear.types = Some(TypeMeta { api_version: "example.com/v1".to_owned(), kind: "Gear".to_owned() });
    gears.create(&PostParams::default(), &gear).await.unwrap();
    assert_eq!(gears.get("g").await.unwrap().data["teeth"], 12);
}

#[tokio::test]
async fn a_client_of_a_cluster_that_is_gone_is_told_so() {
    let cluster = FakeApiserver::builder().start().await.unwrap();
    let client = Client::new(cluster.service(), "default");
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    let mut events = pin!(maps.watch(&WatchParams::default(), "0").await.unwrap());
    assert!(events.try_next().await.unwrap().is_some());
    drop(cluster);
    assert!(!matches!(events.next().await, Some(Ok(_))));
    let refused = maps.get("kube-root-ca.crt").await.unwrap_err();
    assert!(
        std::error::Error::source(&refused)
            .map_or_else(|| refused.to_string(), ToString::to_string)
            .contains("the cluster was dropped"),
        "{refused:?}"
    );
}
