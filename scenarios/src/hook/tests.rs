use apimachinery::value::json;
use bytes::Bytes;

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

fn endpoint(hook: &Hook, address: SocketAddr) -> Endpoint {
    let url = format!("https://{address}/mutate");
    Endpoint::new(&url, &Trust::Pem(hook.ca_pem().into()), Duration::from_secs(30)).unwrap()
}

#[tokio::test]
async fn it_answers_remembers_and_misbehaves_as_told() {
    let reply = json!({"allowed": true, "patch": [{"op": "add", "path": "/x", "value": 1}], "warnings": ["w"]});
    let hook = Hook::new(&service(), Answerer::Reply(reply)).unwrap();
    let endpoint = endpoint(&hook, hook.listen().await.unwrap());
    let mut connection = endpoint.connection();

    let (status, body) = connection.post("/mutate?timeout=3s", review("u1")).await.unwrap();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &answer["response"]["uid"]), (200, &json!("u1")));
    assert_eq!(answer["response"]["patchType"], "JSONPatch");
    let calls = hook.calls();
    assert_eq!((calls[0].path.as_str(), calls[0].query.as_str()), ("/mutate", "timeout=3s"));
    assert_eq!(calls[0].request["operation"], "CREATE");

    hook.fault(FaultKind::Status(503), None);
    assert_eq!(connection.post("/", review("u2")).await.unwrap().0, 503);
    hook.fault(FaultKind::Close, None);
    assert!(connection.post("/", review("u3")).await.unwrap_err().to_string().contains("failed"));
    hook.fault(FaultKind::None, None);
    assert_eq!(connection.post("/", review("u4")).await.unwrap().0, 200);
    assert_eq!(hook.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn in_memory_it_refuses_for_as_long_as_told_on_the_runtimes_clock() {
    let hook = Hook::new(&service(), Answerer::Nobody).unwrap();
    assert!(hook.connect().is_none(), "nobody answers yet");
    hook.answer_with(Answerer::Reply(json!({})));
    assert!(hook.connect().is_some());
    hook.fault(FaultKind::Refuse, Some(Duration::from_secs(60)));
    assert!(hook.connect().is_none());
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert!(hook.connect().is_none());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(hook.connect().is_some());
}

#[tokio::test]
async fn certificates_are_checked_unless_told_otherwise() {
    let hook = Hook::new(&service(), Answerer::Reply(json!({}))).unwrap();
    let url = format!("https://{}/", hook.listen().await.unwrap());
    let other = Certificate::for_service("a", "b").unwrap();
    let with = |trust| Endpoint::new(&url, &trust, Duration::from_secs(30)).unwrap().connection();
    let error = with(Trust::Pem(other.ca)).post("/", review("u")).await.unwrap_err().to_string();
    assert!(error.contains("TLS with 127.0.0.1:") && error.contains("--insecure-skip-verify"), "{error}");
    assert_eq!(with(Trust::Anyone).post("/", review("u")).await.unwrap().0, 200);

    let bad = |url: &str, trust| Endpoint::new(url, &trust, Duration::from_secs(1)).err().unwrap().to_string();
    assert!(bad("http://x/", Trust::Anyone).contains("has to begin with https://"));
    assert!(bad("https://x/", Trust::Pem("nothing".into())).contains("holds no certificate"));
    assert!(bad("https://x/", Trust::File("/none".into())).contains("CA file /none"));
}
