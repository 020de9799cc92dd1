use apimachinery::value::json;

use super::*;
use crate::capture::Reader;

const REVIEW: &str = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1",
 "kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},
 "name":null,"namespace":"shop","operation":"CREATE","userInfo":{"username":"al\u0069ce","groups":null},
 "object":{"metadata": {"name":"web"}, "x": 1.50},"oldObject":null,"dryRun":null,"unknown":[1]},"response":null}"#;

#[test]
fn a_review_is_read_and_the_object_stays_as_sent() {
    let review = AdmissionReview::decode(REVIEW.as_bytes()).unwrap();
    assert_eq!(review.version, Version::V1);
    let request = review.request;
    assert_eq!((&*request.uid, &*request.namespace, &*request.name), ("u-1", "shop", ""));
    assert_eq!(&*request.kind.kind, "Pod");
    assert_eq!(&*request.resource.resource, "pods");
    assert!(matches!(request.uid, std::borrow::Cow::Borrowed(_)), "strings without escapes are not copied");
    assert_eq!(request.object.unwrap().get(), r#"{"metadata": {"name":"web"}, "x": 1.50}"#);
    assert!(request.old_object.is_none() && request.options.is_none() && !request.dry_run);
    assert_eq!(request.user().unwrap().username, "alice");
}

#[test]
fn what_is_not_a_review_says_why() {
    let error = |body: &str| AdmissionReview::decode(body.as_bytes()).unwrap_err().to_string();
    assert_eq!(error("garbage"), "body is not an AdmissionReview: expected value at line 1 column 1");
    assert_eq!(error("{}"), "unsupported kind \"\", want \"AdmissionReview\"");
    assert_eq!(error(r#"{"kind":"Pod"}"#), "unsupported kind \"Pod\", want \"AdmissionReview\"");
    assert!(error(r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v2"}"#).contains("admission.k8s.io/v2"));
    let empty = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","request":null}"#;
    assert_eq!(error(empty), "AdmissionReview has no request");
    assert!(matches!(AdmissionReview::decode(empty.as_bytes()), Err(Error::NoRequest(Version::V1beta1))));
    let wrong = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":7}}"#;
    assert!(error(wrong).contains("invalid type: integer `7`"), "{}", error(wrong));
    assert!(AdmissionReview::decode(b"\xff\xfe").is_err());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = REVIEW.replace("1.50", &deep);
    assert!(AdmissionReview::decode(deep.as_bytes()).is_ok(), "depth is the business of whoever parses the object");
}

#[test]
fn an_answer_repeats_version_and_uid_and_names_the_patch_type_only_with_a_patch() {
    let allowed: apimachinery::value::Value =
        serde_json::from_slice(&Response::allow("u").encode(Version::V1)).unwrap();
    assert_eq!(
        allowed,
        json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": {"uid": "u", "allowed": true}})
    );
    let denied = Response::deny("u", "no <sidecar>").encode(Version::V1beta1);
    assert_eq!(
        String::from_utf8(denied).unwrap(),
        r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","response":{"uid":"u","allowed":false,"status":{"message":"no <sidecar>"}}}"#
    );
    let full = Response {
        patch: Some(br#"[{"op":"remove","path":"/x"}]"#.to_vec()),
        warnings: vec!["w".into()],
        audit_annotations: BTreeMap::from([("k".into(), "v".into())]),
        ..Response::allow("u")
    };
    let reply = Reply::decode(&full.encode(Version::V1)).unwrap();
    let body = reply.response.unwrap();
    assert_eq!(body.patch_type, "JSONPatch");
    assert_eq!(Response::from(body), full);
    let empty = Response { patch: Some(Vec::new()), ..Response::allow("u") };
    assert!(!String::from_utf8(empty.encode(Version::V1)).unwrap().contains("patch"));
}

#[test]
fn a_reply_is_read_as_go_reads_it() {
    let reply =
        Reply::decode(br#"{"response":{"allowed":true,"patch":"W1\n0=","warnings":null},"request":{}}"#).unwrap();
    assert_eq!(reply.response.unwrap().patch.as_deref(), Some(&b"[]"[..]));
    assert!(Reply::decode(br#"{"response":{"patch":"?"}}"#).unwrap_err().to_string().contains("patch is not base64"));
    assert!(Reply::decode(br#"{"response":{"allowed":true}} trailing"#).is_err());
    assert!(Reply::decode(b"{}").unwrap().response.is_none());
}

/// Every review that the recorded apiserver sent is rebuilt byte for byte from its parts.
#[test]
fn the_recorded_apiservers_bytes_come_out_again() {
    let log = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/data/captured.jsonl.zst");
    let mut count = 0;
    for record in Reader::open(log.as_ref()).unwrap() {
        let record = record.unwrap();
        let review = record.review().unwrap();
        let received = &review.request;
        let user = received.user().unwrap();
        let request = Request {
            uid: &received.uid,
            kind: &received.kind,
            resource: &received.resource,
            sub_resource: &received.sub_resource,
            request_kind: received.request_kind.as_ref().unwrap(),
            request_resource: received.request_resource.as_ref().unwrap(),
            request_sub_resource: &received.request_sub_resource,
            name: &received.name,
            namespace: &received.namespace,
            operation: apimachinery::value::from_value(json!(received.operation)).unwrap(),
            user_info: &user,
            object: received.object.map(Payload::Raw),
            old_object: received.old_object.map(Payload::Raw),
            dry_run: received.dry_run,
            options: received.options.map(Payload::Raw),
            form: Form::Whole,
        };
        assert_eq!(String::from_utf8(request.encode(review.version).unwrap()).unwrap(), record.body);
        count += 1;
    }
    assert_eq!(count, 603);
}

#[test]
fn values_and_raw_text_encode_alike() {
    let object = json!({"a": "<&>", "b": [1, 2.0, null]});
    let raw =
        serde_json::value::RawValue::from_string(String::from_utf8(crate::gojson::to_vec(&object).unwrap()).unwrap())
            .unwrap();
    let kind = GroupVersionKind { version: "v1".into(), kind: "PodExecOptions".into(), ..Default::default() };
    let resource = GroupVersionResource { version: "v1".into(), resource: "pods".into(), ..Default::default() };
    let user = UserInfo { username: "admin".into(), ..Default::default() };
    let request = |object| Request {
        uid: "u",
        kind: &kind,
        resource: &resource,
        sub_resource: "exec",
        request_kind: &kind,
        request_resource: &resource,
        request_sub_resource: "exec",
        name: "p1",
        namespace: "",
        operation: Operation::Connect,
        user_info: &user,
        object: Some(object),
        old_object: None,
        dry_run: false,
        options: None,
        form: Form::Whole,
    };
    let text = String::from_utf8(request(Payload::Value(&object)).encode(Version::V1).unwrap()).unwrap();
    assert_eq!(text.as_bytes(), request(Payload::Raw(&raw)).encode(Version::V1).unwrap());
    assert_eq!(
        text,
        concat!(
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","#,
            r#""kind":{"group":"","version":"v1","kind":"PodExecOptions"},"resource":{"group":"","version":"v1","resource":"pods"},"#,
            r#""subResource":"exec","requestKind":{"group":"","version":"v1","kind":"PodExecOptions"},"#,
            r#""requestResource":{"group":"","version":"v1","resource":"pods"},"requestSubResource":"exec","name":"p1","#,
            r#""operation":"CONNECT","userInfo":{"username":"admin"},"object":{"a":"\u003c\u0026\u003e","b":[1,2,null]},"#,
            r#""oldObject":null,"dryRun":false,"options":null}}"#,
            "\n"
        )
    );
}
