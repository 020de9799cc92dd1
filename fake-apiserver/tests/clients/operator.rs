//! An operator, written with kube-rs's `Controller`, whose own test runs in virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use apimachinery::value::{Value, json};
use fake_apiserver::{Builder, FakeApiserver};
use futures_util::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{Error as FinalizerError, Event, finalizer};
use kube::runtime::wait::conditions;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::meets;

const FINALIZER: &str = "widgets.example.com/cleanup";

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Widget {
    metadata: ObjectMeta,
    spec: Spec,
    status: Option<Status>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Spec {
    size: i64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Status {
    size: i64,
}

impl k8s_openapi::Resource for Widget {
    const API_VERSION: &'static str = "example.com/v1";
    const GROUP: &'static str = "example.com";
    const KIND: &'static str = "Widget";
    const VERSION: &'static str = "v1";
    const URL_PATH_SEGMENT: &'static str = "widgets";
    type Scope = NamespaceResourceScope;
}

impl k8s_openapi::Metadata for Widget {
    type Ty = ObjectMeta;
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

fn definition() -> Value {
    let integer = |name: &str| json!({ "type": "object", "properties": { name: { "type": "integer" } } });
    let schema = json!({ "type": "object", "properties": { "spec": integer("size"), "status": integer("size") } });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "widgets.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": { "plural": "widgets", "singular": "widget", "kind": "Widget" },
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": schema },
            }],
        },
    })
}

struct Operator {
    client: Client,
    start: Instant,
    /// When each widget was looked at, in virtual time since the start.
    checks: Mutex<Vec<Duration>>,
}

/// A ConfigMap for each widget, kept by server-side apply, looked at every minute, and deleted with it.
async fn reconcile(widget: Arc<Widget>, operator: Arc<Operator>) -> Result<Action, FinalizerError<kube::Error>> {
    let namespace = widget.namespace().unwrap();
    let widgets: Api<Widget> = Api::namespaced(operator.client.clone(), &namespace);
    let maps: Api<ConfigMap> = Api::namespaced(operator.client.clone(), &namespace);
    finalizer(&widgets, FINALIZER, widget, async |event| match event {
        Event::Apply(widget) => {
            operator.checks.lock().unwrap().push(operator.start.elapsed());
            let name = widget.name_any();
            let params = PatchParams::apply("widget-operator").force();
            let map =
                json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "size": widget.spec.size.to_string() } });
            maps.patch(&name, &params, &Patch::Apply(map)).await?;
            let status = Patch::Merge(json!({ "status": { "size": widget.spec.size } }));
            widgets.patch_status(&name, &PatchParams::default(), &status).await?;
            Ok(Action::requeue(Duration::from_secs(60)))
        }
        Event::Cleanup(widget) => {
            maps.delete(&widget.name_any(), &DeleteParams::default()).await?;
            Ok(Action::await_change())
        }
    })
    .await
}

/// The operator, at work.
fn run(client: Client) -> Arc<Operator> {
    let widgets: Api<Widget> = Api::namespaced(client.clone(), "shop");
    let operator = Arc::new(Operator { client, start: Instant::now(), checks: Mutex::default() });
    let controller = Controller::new(widgets, watcher::Config::default()).run(
        reconcile,
        |_, _, _| Action::requeue(Duration::from_secs(5)),
        operator.clone(),
    );
    tokio::spawn(controller.for_each(async |_| {}));
    operator
}

fn cluster() -> Builder {
    FakeApiserver::builder().namespace("shop", []).object(definition())
}

async fn created(client: &Client, size: i64) -> Api<Widget> {
    let widgets: Api<Widget> = Api::namespaced(client.clone(), "shop");
    let metadata = ObjectMeta { name: Some("bolt".to_owned()), ..ObjectMeta::default() };
    let widget = Widget { metadata, spec: Spec { size }, status: None };
    widgets.create(&PostParams::default(), &widget).await.unwrap();
    widgets
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

async fn size(client: &Client) -> Option<String> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "shop");
    maps.get_opt("bolt").await.unwrap().map(|map| map.data.unwrap()["size"].clone())
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_requeues_takes_no_time() {
    let cluster = cluster().start().await.unwrap();
    let client = Client::new(cluster.service(), "shop");
    let operator = run(client.clone());
    let widgets = created(&client, 3).await;

    seconds(3_630).await;
    let checks = operator.checks.lock().unwrap().clone();
    // Some at once: the widget is new, and then it has a status.
    let requeues: Vec<_> = checks.iter().filter(|at| **at >= Duration::from_secs(60)).collect();
    assert_eq!(requeues.len(), 60, "{checks:?}");
    for pair in requeues.windows(2) {
        let gap = *pair[1] - *pair[0];
        assert!((Duration::from_secs(60)..Duration::from_millis(60_100)).contains(&gap), "{checks:?}");
    }
    assert_eq!(widgets.get("bolt").await.unwrap().status.unwrap().size, 3);

    // What somebody deletes is back with the next look, what somebody wants is done at once.
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "shop");
    maps.delete("bolt", &DeleteParams::default()).await.unwrap();
    seconds(61).await;
    assert_eq!(size(&client).await.as_deref(), Some("3"));
    widgets.patch("bolt", &PatchParams::default(), &Patch::Merge(json!({ "spec": { "size": 4 } }))).await.unwrap();
    seconds(1).await;
    assert_eq!(size(&client).await.as_deref(), Some("4"));

    let before = Instant::now();
    widgets.delete("bolt", &DeleteParams::default()).await.unwrap();
    meets(widgets, "bolt", conditions::is_deleted("")).await;
    assert!(before.elapsed() < Duration::from_secs(1));
    assert_eq!(size(&client).await, None, "the finalizer took it along");
}

#[tokio::test(start_paused = true)]
async fn an_operator_without_the_roles_that_it_needs_is_refused_until_it_has_them() {
    let cluster = cluster().start().await.unwrap();
    let admin = Client::new(cluster.service(), "shop");
    let account = "system:serviceaccount:shop:operator";
    let role = |rules: Value| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": { "name": "operator", "namespace": "shop" }, "rules": rules,
        })
    };
    let mut rules =
        vec![json!({ "apiGroups": ["example.com"], "resources": ["widgets", "widgets/status"], "verbs": ["*"] })];
    cluster.create(role(json!(rules))).await.unwrap();
    cluster
        .create(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": "operator", "namespace": "shop" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator" },
            "subjects": [{ "kind": "ServiceAccount", "name": "operator", "namespace": "shop" }],
        }))
        .await
        .unwrap();

    let operator = run(Client::new(cluster.service().user(account), "shop"));
    created(&admin, 3).await;
    seconds(62).await;
    assert_eq!(operator.checks.lock().unwrap().len(), 13, "the error policy's five seconds");
    assert_eq!(size(&admin).await, None);
    let denied = Client::new(cluster.service().user(account), "shop");
    let denied = Api::<ConfigMap>::namespaced(denied, "shop").get("bolt").await.unwrap_err().to_string();
    assert!(denied.contains(&format!("User {account:?} cannot get resource \"configmaps\"")), "{denied}");

    rules.push(json!({ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "patch", "get"] }));
    let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles/operator";
    cluster.request(http::Method::PATCH, path, Some(&json!({ "rules": rules }))).await;
    seconds(5).await;
    assert_eq!(size(&admin).await.as_deref(), Some("3"));
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_without_an_apiserver_are_got_over() {
    let fault = "api,resource=configmaps,verb=patch,status=503,for=10m".parse().unwrap();
    let cluster = cluster().fault(fault).start().await.unwrap();
    let client = Client::new(cluster.service(), "shop");
    let operator = run(client.clone());
    created(&client, 3).await;
    seconds(599).await;
    assert_eq!(size(&client).await, None);
    assert_eq!(operator.checks.lock().unwrap().len(), 120);
    seconds(10).await;
    assert_eq!(size(&client).await.as_deref(), Some("3"));
}
