//! Through kube's client, over TLS.

use apimachinery::value::json;
use fake_apiserver::FakeApiserver;
use futures_util::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client, Config};

async fn client(cluster: &FakeApiserver) -> Client {
    let kubeconfig = kube::config::Kubeconfig::from_yaml(cluster.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

fn map(name: &str, value: &str) -> ConfigMap {
    apimachinery::value::from_value(json!({"metadata": {"name": name, "labels": {"app": "web"}}, "data": {"k": value}}))
        .unwrap()
}

#[tokio::test]
async fn a_config_map_lives_and_dies() {
    let cluster = FakeApiserver::builder().namespace("shop", []).start().await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client(&cluster).await, "shop");
    let created = maps.create(&PostParams::default(), &map("a", "1")).await.unwrap();
    assert!(created.metadata.uid.is_some());
    let taken = maps.create(&PostParams::default(), &map("a", "1")).await.unwrap_err();
    assert!(matches!(taken, kube::Error::Api(status) if status.code == 409 && status.reason == "AlreadyExists"));

    let patched = maps.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "2"}}))).await.unwrap();
    assert_eq!(patched.data.unwrap()["k"], "2");
    let mut stale = created;
    stale.data = Some([("k".to_owned(), "3".to_owned())].into());
    let conflict = maps.replace("a", &PostParams::default(), &stale).await.unwrap_err();
    assert!(matches!(conflict, kube::Error::Api(status) if status.code == 409 && status.reason == "Conflict"));

    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"other": "x"}});
    let applied = maps.patch("a", &PatchParams::apply("someone"), &Patch::Apply(applied)).await.unwrap();
    assert_eq!(applied.data.unwrap().len(), 2);

    maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(maps.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn lists_are_paged_and_selected() {
    let cluster = FakeApiserver::builder().namespace("shop", []).start().await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client(&cluster).await, "shop");
    for name in ["a", "b", "c"] {
        maps.create(&PostParams::default(), &map(name, name)).await.unwrap();
    }
    let first = maps.list(&ListParams::default().labels("app=web").limit(2)).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    maps.delete("c", &DeleteParams::default()).await.unwrap();
    // The second page is of the same revision as the first.
    let second = maps.list(&ListParams::default().labels("app=web").limit(2).continue_token(&token)).await.unwrap();
    let names: Vec<_> = first.items.iter().chain(&second.items).map(|map| map.metadata.name.clone().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(maps.list(&ListParams::default().labels("app=none")).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_watch_sees_everything_since_its_revision() {
    let cluster = FakeApiserver::builder().namespace("shop", []).start().await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client(&cluster).await, "shop");
    let from = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    maps.create(&PostParams::default(), &map("a", "1")).await.unwrap();
    let params = WatchParams::default().labels("app=web").timeout(60).disable_bookmarks();
    let mut events = maps.watch(&params, &from).await.unwrap().boxed();
    assert!(matches!(events.try_next().await.unwrap(), Some(WatchEvent::Added(_))));
    maps.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "2"}}))).await.unwrap();
    assert!(matches!(events.try_next().await.unwrap(), Some(WatchEvent::Modified(_))));
    let relabel = json!({"metadata": {"labels": {"app": null}}});
    maps.patch("a", &PatchParams::default(), &Patch::Merge(relabel)).await.unwrap();
    assert!(matches!(events.try_next().await.unwrap(), Some(WatchEvent::Deleted(_))));
}

#[tokio::test]
async fn an_old_watch_is_told_so() {
    let cluster = FakeApiserver::builder().watch_history(2).namespace("shop", []).start().await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client(&cluster).await, "shop");
    let from = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    for name in ["a", "b", "c"] {
        maps.create(&PostParams::default(), &map(name, name)).await.unwrap();
    }
    let mut events = maps.watch(&WatchParams::default(), &from).await.unwrap().boxed();
    let Some(WatchEvent::Error(status)) = events.try_next().await.unwrap() else { panic!("no error") };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
}

#[tokio::test]
async fn the_seed_decides_names_and_uids() {
    let pod = json!({"metadata": {"generateName": "web-"}, "spec": {"containers": [{"name": "app", "image": "x"}]}});
    let pod: Pod = apimachinery::value::from_value(pod).unwrap();
    let mut seen = Vec::new();
    for seed in [1, 1, 2] {
        let cluster = FakeApiserver::builder().seed(seed).controllers(false).start().await.unwrap();
        let pods: Api<Pod> = Api::default_namespaced(client(&cluster).await);
        let created = pods.create(&PostParams::default(), &pod).await.unwrap();
        seen.push((created.metadata.name.unwrap().len(), created.metadata.uid.unwrap()));
    }
    assert_eq!(seen[0].0, "web-".len() + 5);
    // Audit ids are drawn as well, and the same requests draw the same number of them.
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0], seen[2]);
}
