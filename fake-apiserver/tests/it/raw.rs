//! Requests as they are on the wire, in the process.

use apimachinery::value::{List, Value, json};
use fake_apiserver::{Authorization, FakeApiserver};
use http::Method;

async fn get(cluster: &FakeApiserver, path: &str) -> (u16, Value) {
    let response = cluster.request(Method::GET, path, None).await;
    (response.status, response.json())
}

#[tokio::test]
async fn what_is_not_there_is_said_as_the_real_one_says_it() {
    let cluster = FakeApiserver::builder().start().await.unwrap();
    let (status, body) = get(&cluster, "/api/v1/namespaces/default/pods/nope").await;
    assert_eq!((status, &body["message"]), (404, &json!("pods \"nope\" not found")));
    assert_eq!(body["details"], json!({"name": "nope", "kind": "pods"}));
    let (status, body) = get(&cluster, "/apis/apps/v9/deployments").await;
    assert_eq!((status, &body["details"]), (404, &json!({})));
    let response = cluster.request(Method::GET, "/apis/nope.io/v1", None).await;
    assert_eq!((response.status, &response.body[..]), (404, b"404 page not found\n".as_slice()));
    assert_eq!(cluster.request(Method::PUT, "/api/v1/namespaces/default/pods", None).await.status, 405);
}

#[tokio::test]
async fn options_that_are_none_are_refused_as_the_real_one_refuses_them() {
    let cluster = FakeApiserver::builder().start().await.unwrap();
    let maps = "/api/v1/namespaces/default/configmaps";
    let root = format!("{maps}/kube-root-ca.crt");
    let cases = [
        (Method::GET, format!("{root}?resourceVersion=x"), "", 500, "resourceVersion: Invalid value: \"x\""),
        (Method::GET, format!("{root}?resourceVersion=99999999"), "", 504, "Timeout: Too large resource version"),
        (Method::GET, format!("{maps}?timeoutSeconds=x"), "", 400, "strconv.ParseInt: parsing \"x\": invalid syntax"),
        (Method::GET, format!("{maps}?fieldSelector=data%3Dx"), "", 400, "\"data\" is not a known field selector"),
        (
            Method::GET,
            format!("{maps}?labelSelector=a%2Fb%2Fc"),
            "",
            400,
            "unable to parse requirement: <nil>: Invalid",
        ),
        (
            Method::POST,
            format!("{maps}?fieldManager=a%07"),
            "{}",
            422,
            "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Invalid value: \"a\\a\": invalid character U+0007 (at position 1)",
        ),
        (
            Method::DELETE,
            root.clone(),
            r#"{"propagationPolicy": "Orphan", "orphanDependents": true}"#,
            422,
            "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set",
        ),
        (
            Method::PATCH,
            format!("{maps}/new?fieldManager=a"),
            r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new", "uid": "u"}}"#,
            409,
            "Operation cannot be fulfilled on configmaps \"new\": uid mismatch: the provided object specified uid u, and no existing object was found",
        ),
    ];
    for (method, path, body, status, message) in cases {
        let content_type = if method == Method::PATCH { "application/apply-patch+yaml" } else { "application/json" };
        let response = cluster.send(method, &path, content_type, body.to_owned().into()).await;
        let said = response.json()["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!(response.status, status, "{path}: {said}");
        assert!(said.starts_with(message), "{path}: {said}");
    }
    // Each cause quotes the whole name.
    let path = format!("{maps}?fieldManager={}", "%07".repeat(2000));
    let response = cluster.send(Method::POST, &path, "application/json", "{}".into()).await;
    let causes = response.json()["details"]["causes"].as_array().map(List::len);
    assert_eq!(causes, Some(129), "too long, and so many letters that cannot be printed");
}

#[tokio::test]
async fn odd_requests_get_answers_and_the_server_goes_on() {
    let cluster = FakeApiserver::builder().start().await.unwrap();
    let bodies: [&[u8]; 8] =
        [b"", b"[]", b"5", b"null", b"{", b"{\"metadata\": []}", b"{\"metadata\": {\"name\": {}}}", b"\xff\xfe"];
    for collection in ["namespaces", "namespaces/default/pods", "namespaces/default/configmaps", "nodes"] {
        for body in bodies {
            let path = format!("/api/v1/{collection}");
            for content_type in ["application/json", "application/yaml", "text/plain", ""] {
                let response = cluster.send(Method::POST, &path, content_type, body.to_vec().into()).await;
                assert!((400..500).contains(&response.status), "{path} {body:?}: {}", response.status);
            }
        }
    }
    let patches = [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    ];
    for body in bodies {
        for content_type in patches {
            let path = "/api/v1/namespaces/default?fieldManager=t";
            let response = cluster.send(Method::PATCH, path, content_type, body.to_vec().into()).await;
            assert!(response.status < 501, "{content_type} {body:?}: {}", response.status);
        }
    }
    for query in [
        "limit=x",
        "continue=x",
        "labelSelector=%3D",
        "fieldSelector=x",
        "resourceVersion=x",
        "timeout=x",
        "resourceVersionMatch=x",
    ] {
        let (status, body) = get(&cluster, &format!("/api/v1/pods?{query}")).await;
        assert!((400..500).contains(&status), "{query}: {status} {body}");
    }
    assert_eq!(get(&cluster, "/version").await.0, 200);
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let cluster = FakeApiserver::builder().start().await.unwrap();
    let body = vec![b' '; 4 << 20];
    let response = cluster.send(Method::POST, "/api/v1/namespaces", "application/json", body.into()).await;
    assert_eq!((response.status, response.json()["reason"].as_str()), (413, Some("RequestEntityTooLarge")));
}

#[tokio::test]
async fn who_may_not_is_told_what() {
    let impersonated = |authorization| async move {
        let cluster = FakeApiserver::builder().authorization(authorization).start().await.unwrap();
        let request = http::Request::get("/api/v1/namespaces/default/pods").header("impersonate-user", "alice");
        let response = cluster.exchange(request.body(Vec::new()).unwrap()).await;
        (response.status, response.json()["message"].as_str().map(str::to_owned))
    };
    let (status, message) = impersonated(Authorization::Rbac).await;
    assert_eq!(status, 403);
    let expected = "pods is forbidden: User \"alice\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"";
    assert_eq!(message.as_deref(), Some(expected));
    assert_eq!(impersonated(Authorization::AlwaysAllow).await.0, 200);
}

#[tokio::test]
async fn custom_resources_come_and_go_with_their_definition() {
    let cluster = FakeApiserver::builder().start().await.unwrap();
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}}}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    });
    cluster.create(definition).await.unwrap();
    let widget = json!({
        "apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "default"}, "spec": {"other": 1},
    });
    assert_eq!(cluster.create(widget).await.unwrap()["spec"], json!({"size": 3}));
    let (_, discovery) = get(&cluster, "/apis/example.com/v1").await;
    assert_eq!(discovery["resources"][0]["name"], "widgets");
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com";
    assert_eq!(cluster.request(Method::DELETE, path, None).await.status, 200);
    // The definition goes when its objects have been cleaned up.
    while get(&cluster, "/apis/example.com/v1").await.0 != 404 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_token_is_its_service_account() {
    let cluster = FakeApiserver::builder().start().await.unwrap();
    let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let request =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["a"]}});
    let token = cluster.request(Method::POST, path, Some(&request)).await.json()["status"]["token"].clone();
    let review = |audience: &str| json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token, "audiences": [audience]}});
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    let good = cluster.request(Method::POST, reviews, Some(&review("a"))).await.json();
    assert_eq!(good["status"]["user"]["username"], "system:serviceaccount:default:default");
    let bad = cluster.request(Method::POST, reviews, Some(&review("b"))).await.json();
    assert_eq!(bad["status"]["authenticated"], Value::Null);
}
