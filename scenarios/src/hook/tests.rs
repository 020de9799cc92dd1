use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::https::{Endpoint, Trust};

fn service() -> (String, String, u16) {
    ("istio-system".into(), "hook".into(), 443)
}

fn review(uid: &str) -> Bytes {
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {"uid": uid, "operation": "CREATE"}})
        .to_string()
        .into()
}

fn endpoint(hook: &Hook, seconds: u64) -> Endpoint {
    let url = format!("https://{}/mutate", hook.address());
    Endpoint::new(&url, &Trust::Pem(hook.ca_pem().into()), Duration::from_secs(seconds)).unwrap()
}

#[tokio::test]
async fn it_answers_remembers_and_misbehaves_as_told() {
    let reply = json!({"allowed": true, "patch": [{"op": "add", "path": "/x", "value": 1}], "warnings": ["w"]});
    let hook = Hook::start(&service(), Answerer::Reply(reply)).await.unwrap();
    let endpoint = endpoint(&hook, 30);
    let mut connection = endpoint.connection();

    let (status, body) = connection.post("/mutate?timeout=3s", review("u1")).await.unwrap();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &answer["response"]["uid"]), (200, &json!("u1")));
    assert_eq!(answer["response"]["patchType"], "JSONPatch");
    let calls = hook.calls();
    assert_eq!((calls[0].path.as_str(), calls[0].query.as_str()), ("/mutate", "timeout=3s"));
    assert_eq!(calls[0].request["operation"], "CREATE");

    hook.fault(FaultKind::Status(503), None).await.unwrap();
    assert_eq!(connection.post("/", review("u2")).await.unwrap().0, 503);
    hook.fault(FaultKind::Close, None).await.unwrap();
    assert!(connection.post("/", review("u3")).await.unwrap_err().to_string().contains("failed"));
    hook.fault(FaultKind::Refuse, None).await.unwrap();
    let refused = connection.post("/", review("u4")).await.unwrap_err().to_string();
    assert!(refused.starts_with("cannot connect to 127.0.0.1:"), "{refused}");
    hook.fault(FaultKind::None, None).await.unwrap();
    assert_eq!(connection.post("/", review("u5")).await.unwrap().0, 200, "the same address answers again");
    assert_eq!(hook.calls().len(), 4, "refused connections are no calls");
}

#[tokio::test]
async fn without_an_answerer_nothing_listens() {
    let hook = Hook::start(&service(), Answerer::Nobody).await.unwrap();
    hook.settle().await.unwrap();
    let endpoint = endpoint(&hook, 30);
    assert!(endpoint.connection().post("/", review("u")).await.is_err());
    hook.answer_with(Answerer::Reply(json!({"allowed": false}))).await.unwrap();
    assert_eq!(endpoint.connection().post("/", review("u")).await.unwrap().0, 200);
}

#[tokio::test]
async fn certificates_are_checked_unless_told_otherwise() {
    let hook = Hook::start(&service(), Answerer::Reply(json!({}))).await.unwrap();
    let other = Certificate::for_service("a", "b").unwrap();
    let url = format!("https://{}/", hook.address());
    let with = |trust| Endpoint::new(&url, &trust, Duration::from_secs(30)).unwrap().connection();
    let error = with(Trust::Pem(other.ca)).post("/", review("u")).await.unwrap_err().to_string();
    assert!(error.contains("TLS with 127.0.0.1:") && error.contains("--insecure-skip-verify"), "{error}");
    assert_eq!(with(Trust::Anyone).post("/", review("u")).await.unwrap().0, 200);

    let bad = |url: &str, trust| Endpoint::new(url, &trust, Duration::from_secs(1)).err().unwrap().to_string();
    assert!(bad("http://x/", Trust::Anyone).contains("has to begin with https://"));
    assert!(bad("https://x/", Trust::Pem("nothing".into())).contains("holds no certificate"));
    assert!(bad("https://x/", Trust::File("/none".into())).contains("CA file /none"));
}
