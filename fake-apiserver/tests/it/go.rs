//! What a controller written in Go does, request by request, against the binary: client-go's connection, its protobuf, its
//! discovery and watches; and a webhook as Go's net/http serves it. Nothing of Go is needed.

mod client;
mod protobuf;
mod webhook;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use apimachinery::value::{Value, json};
use http::Method;

use self::client::{Client, Events, PROTOBUF, TYPED};
use self::protobuf::{body, field, metadata, number};
use self::webhook::Webhook;

const PODS: &str = "/api/v1/namespaces/shop/pods";

/// The binary, ended when the test is.
struct Binary(Child);

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the binary; a client with the kubeconfig that it wrote.
async fn start() -> (Binary, Client) {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    let command = Command::new(env!("CARGO_BIN_EXE_fake-apiserver"))
        .arg("--kubeconfig")
        .arg(&kubeconfig)
        .stdout(Stdio::piped())
        .spawn();
    let mut server = Binary(command.unwrap());
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on "), "{line}");
    let client = Client::connect(&std::fs::read_to_string(&kubeconfig).unwrap()).await;
    let namespace = body("v1", "Namespace", &metadata("shop", "", &[]));
    let (status, namespace) = client.create("/api/v1/namespaces", namespace).await;
    assert_eq!(status, 201, "{namespace}");
    (server, client)
}

/// A pod with one container, as Go writes it.
fn pod(name: &str) -> Vec<u8> {
    let container = [field(1, "app"), field(2, "nginx"), field(5, ""), field(8, ""), field(13, "")].concat();
    let spec = [field(2, container), field(3, ""), field(6, ""), field(8, "")].concat();
    body("v1", "Pod", &[metadata(name, "shop", &[("app", "web")]), field(2, spec), field(3, "")].concat())
}

async fn register(client: &Client, configuration: &Value) {
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    let sent = Some(("application/json", configuration.to_string().into_bytes()));
    let (status, _, stored) = client.ask(Method::POST, path, "application/json", sent).await;
    assert_eq!(status, 201, "{stored}");
}

#[tokio::test]
async fn discovery_is_aggregated_or_not_as_asked() {
    let (_server, client) = start().await;
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                      application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    let (_, content_type, groups) = client.ask(Method::GET, "/apis", aggregated, None).await;
    assert_eq!(content_type, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    let items = groups["items"].as_array().unwrap();
    let apps = items.iter().find(|group| group["metadata"]["name"] == "apps").unwrap();
    let resources = apps["versions"][0]["resources"].as_array().unwrap();
    let deployments = resources.iter().find(|resource| resource["resource"] == "deployments").unwrap();
    assert_eq!(
        (&deployments["scope"], &deployments["responseKind"]["kind"]),
        (&json!("Namespaced"), &json!("Deployment"))
    );
    assert!(deployments["subresources"].as_array().unwrap().iter().any(|one| one["subresource"] == "scale"));
    let (_, _, core) = client.ask(Method::GET, "/api", aggregated, None).await;
    assert_eq!(core["kind"], "APIGroupDiscoveryList");
    // An older client-go, and one that falls back.
    let groups = client.get("/apis", "application/json, */*").await;
    assert_eq!(groups["kind"], "APIGroupList");
    let resources = client.get("/apis/apps/v1", "application/json, */*").await;
    assert_eq!(resources["kind"], "APIResourceList");
}

#[tokio::test]
async fn an_informer_lists_by_watching_and_sees_what_the_webhook_made() {
    let (_server, client) = start().await;
    let webhook = Webhook::listen().await;
    register(&client, &webhook.configuration("go", "/mutate", "pods", &["v1"])).await;
    assert_eq!(client.create(PODS, pod("first")).await.0, 201);

    let watch = "?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeout=8m20s\
                 &timeoutSeconds=500&watch=true";
    let accept =
        "application/vnd.kubernetes.protobuf;stream=watch,application/vnd.kubernetes.protobuf,application/json";
    let mut events = Events::of(client.send(Method::GET, &format!("{PODS}{watch}"), accept, None).await);
    let (kind, first) = events.next().await;
    assert_eq!((&*kind, &first["metadata"]["name"]), ("ADDED", &json!("first")));
    let (kind, mark) = events.next().await;
    assert_eq!((&*kind, &mark["metadata"]["annotations"]["k8s.io/initial-events-end"]), ("BOOKMARK", &json!("true")));

    // Writes go over the connection that the watch is on.
    let (status, created) = client.create(PODS, pod("second")).await;
    assert_eq!((status.as_u16(), &created["metadata"]["labels"]["seen-by"]), (201, &json!("go")));
    assert_eq!(created["spec"]["containers"][0]["image"], "nginx");
    let (kind, added) = events.next().await;
    assert_eq!((&*kind, &added["metadata"]), ("ADDED", &created["metadata"]));
    assert_eq!(client.create(PODS, pod("second")).await.1["reason"], "AlreadyExists");

    let patch = json!({"metadata": {"annotations": {"a": "b"}}}).to_string().into_bytes();
    let second = format!("{PODS}/second");
    let sent = Some(("application/strategic-merge-patch+json", patch));
    assert_eq!(client.ask(Method::PATCH, &second, TYPED, sent).await.0, 200);
    assert_eq!(events.next().await.0, "MODIFIED");
    let uid = created["metadata"]["uid"].as_str().unwrap();
    let options = [number(1, 0), field(2, field(1, uid)), field(4, "Background")].concat();
    let options = Some((PROTOBUF, body("v1", "DeleteOptions", &options)));
    assert_eq!(client.ask(Method::DELETE, &second, TYPED, options).await.0, 200);
    while events.next().await.0 != "DELETED" {}

    let calls = webhook.calls();
    assert_eq!(calls.len(), 3, "two creations and one that was taken");
    assert!(calls.iter().all(|call| call.connection == 0), "the connection is kept");
    for call in &calls {
        // A loopback URL is spoken to in HTTP/2 (transport/http2-*).
        assert_eq!((call.version, &*call.path), (http::Version::HTTP_2, "/mutate?timeout=10s"));
        assert_eq!(call.headers["user-agent"], "kube-apiserver-admission");
        assert_eq!(call.headers["accept"], "application/json, */*");
        assert_eq!(call.headers["content-type"], "application/json");
        assert_eq!(call.review["request"]["userInfo"]["username"], "admin");
        assert_eq!(call.review["request"]["options"]["kind"], "CreateOptions");
    }
}

#[tokio::test]
async fn a_table_and_the_metadata_alone_are_had_for_the_asking() {
    let (_server, client) = start().await;
    assert_eq!(client.create(PODS, pod("web")).await.0, 201);
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
    let shown = client.get(&format!("{PODS}?limit=500"), table).await;
    assert_eq!((&shown["kind"], &shown["rows"][0]["cells"][0]), (&json!("Table"), &json!("web")));
    assert_eq!(shown["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    // A metadata client, and so the garbage collector, and controller-runtime's metadata-only watches.
    let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
                    application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    let list = client.get(PODS, metadata).await;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert!(list["items"][0].get("spec").is_none());
}

#[tokio::test]
async fn a_leader_is_elected() {
    let (_server, client) = start().await;
    let leases = "/apis/coordination.k8s.io/v1/namespaces/shop/leases";
    let at = |seconds| [number(1, seconds), number(2, 250_000_000)].concat();
    let lease = |holder: &str, renewed: u64, version: &str| {
        let own = [field(1, "manager"), field(3, "shop"), field(6, version)].concat();
        let times = [field(3, at(1_780_000_000)), field(4, at(renewed))].concat();
        let spec = [field(1, holder), number(2, 15), times, number(5, 0)].concat();
        body("coordination.k8s.io/v1", "Lease", &[field(1, own), field(2, spec)].concat())
    };
    let (status, stored) = client.create(leases, lease("one", 1_780_000_000, "")).await;
    assert_eq!((status.as_u16(), &stored["spec"]["renewTime"]), (201, &json!("2026-05-28T20:26:40.250000Z")));
    let path = format!("{leases}/manager");
    let version = stored["metadata"]["resourceVersion"].as_str().unwrap();
    let renew = |holder| Some((PROTOBUF, lease(holder, 1_780_000_002, version)));
    assert_eq!(client.ask(Method::PUT, &path, TYPED, renew("one")).await.0, 200);
    let (status, _, refused) = client.ask(Method::PUT, &path, TYPED, renew("two")).await;
    assert_eq!((status.as_u16(), &refused["reason"]), (409, &json!("Conflict")), "the other read it before");
}

#[tokio::test]
async fn a_patch_without_its_type_counts_in_v1beta1_only() {
    let (_server, client) = start().await;
    let webhook = Webhook::listen().await;
    register(&client, &webhook.configuration("new", "/forgets-the-type", "configmaps", &["v1"])).await;
    register(&client, &webhook.configuration("old", "/forgets-the-type", "secrets", &["v1beta1"])).await;
    let of = |kind: &str| body("v1", kind, &metadata("a", "shop", &[]));
    let (status, refused) = client.create("/api/v1/namespaces/shop/configmaps", of("ConfigMap")).await;
    let message = refused["message"].as_str().unwrap();
    assert_eq!(status, 500, "{refused}");
    assert!(message.starts_with("Internal error occurred: failed calling webhook \"new.example.com\": "), "{message}");
    assert!(message.contains("received invalid webhook response"), "{message}");
    let (status, stored) = client.create("/api/v1/namespaces/shop/secrets", of("Secret")).await;
    assert_eq!((status.as_u16(), &stored["metadata"]["labels"]["seen-by"]), (201, &json!("go")));
    assert_eq!(webhook.calls().last().unwrap().review["apiVersion"], "admission.k8s.io/v1beta1");
}
