use admission::review::{AdmissionReview, Response};
use apimachinery::value::{Value, json};
use proptest::prelude::*;

use super::cut::cut;
use super::*;

fn body(uid: &str, time: &str, app: &str) -> Vec<u8> {
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": uid, "namespace": "shop", "operation": "CREATE",
        "object": {"metadata": {"generateName": "web-", "uid": "kept", "labels": {"app": app, "uid": "kept too"},
            "managedFields": [{"manager": "m", "time": time, "fieldsV1": {"f:metadata": {"time": "kept"}}}, {"time": time}]},
            "spec": {"containers": [{"name": "a", "env": [{"name": "uid", "value": "\"}]\\"}]}]}}}})
    .to_string()
    .into_bytes()
}

/// What an injector would say that answers with its whole view of the pod, but for the times it must not look at.
fn reference(body: &[u8]) -> Option<Reviewed> {
    let review = AdmissionReview::decode(body).ok()?;
    let uid = review.request.uid.to_string();
    let mut object: Value = serde_json::from_str(review.request.object?.get()).ok()?;
    if let Some(entries) = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) {
        for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
            if entry.get("time").is_some_and(Value::is_string) {
                entry.insert("time", Value::Null);
            }
        }
    }
    let mut response = Response::allow(uid.clone());
    response.warnings = vec![object.to_string(), review.request.namespace.to_string()];
    Some(Reviewed { body: response.encode(review.version), outcome: Outcome::for_tests(&uid) })
}

fn undecodable() -> Reviewed {
    Reviewed { body: b"undecodable".to_vec(), outcome: Outcome::for_tests("") }
}

/// What cannot be read is answered with the column, which moves with what the key leaves out.
#[test]
fn an_answer_that_names_a_column_is_not_kept() {
    let injector = crate::Injector::load(crate::boxed::MODERN.settings()).unwrap();
    let broken = |uid: &str| format!(r#"{{"kind": "AdmissionReview", "request": {{"uid": "{uid}"}}, "a"}}"#);
    let number = |time: &str| {
        format!(
            r#"{{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {{"uid": "u", "namespace": "n",
            "operation": "CREATE", "object": {{"metadata": {{"managedFields": [{{"time": "{time}"}}], "a": 1e999}}}}}}}}"#
        )
    };
    for body in [broken(""), broken("u"), broken("longer"), number(""), number("now"), number("then")] {
        let (kept, computed) = (injector.review(body.as_bytes(), "/"), injector.review_uncached(body.as_bytes(), "/"));
        assert_eq!(kept.body, computed.body);
    }
}

#[test]
fn pods_of_one_owner_share_an_answer() {
    let cache = Cache::default();
    let mut computed = 0;
    for (n, app) in ["web", "web", "db", "web", "db"].into_iter().enumerate() {
        let body = body(&format!("uid-{n}"), &format!("2026-11-22T07:43:0{n}Z"), app);
        let answer = cache.answer("/inject", &body, || {
            computed += 1;
            reference(&body).unwrap()
        });
        assert_eq!(answer.body, reference(&body).unwrap().body);
        assert_eq!(answer.outcome.uid(), format!("uid-{n}"));
    }
    assert_eq!((computed, cache.hits()), (2, 3));
    let body = body("uid-9", "", "web");
    cache.answer("/inject/net/n1", &body, || {
        computed += 1;
        reference(&body).unwrap()
    });
    assert_eq!(computed, 3, "another path is another key");
}

/// A pod as the apiserver sends it, with the volume of its service account's token.
fn with_token(uid: &str, drawn: &str, other: &str) -> String {
    let mounts = json!([{"name": format!("kube-api-access-{drawn}"), "readOnly": true,
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]);
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {"uid": uid, "namespace": "shop",
        "operation": "CREATE", "object": {"kind": "Pod", "apiVersion": "v1", "metadata": {"generateName": "web-",
            "managedFields": [{"fieldsV1": {"f:spec": {"f:volumes": {(format!("k:{{\"name\":\"kube-api-access-{drawn}\"}}")): {}}}}}]},
            "spec": {"volumes": [{"name": format!("kube-api-access-{drawn}")}, {"name": format!("kube-api-access-{other}")}],
                "containers": [{"name": "a", "image": "a", "volumeMounts": mounts},
                    {"name": "b", "image": "b", "volumeMounts": mounts}]}}}})
    .to_string()
}

#[test]
fn the_name_of_the_token_volume_is_no_part_of_the_key() {
    // 1.1 gives the proxy the application's mount of the token, so its answers hold the name.
    let mut v1_1 = crate::boxed::V1_0.settings();
    v1_1.inject_config = v1_1.inject_config.replacen("[[- $pod", "[[/* rewriteAppHTTPProbe */]][[- $pod", 1);
    for (settings, hits) in [
        (crate::boxed::MODERN.settings(), [0, 1, 1, 1]),
        (crate::boxed::V1_0.settings(), [0, 1, 1, 1]),
        (v1_1, [0, 0, 0, 0]),
    ] {
        let injector = crate::Injector::load(settings).unwrap();
        let pods =
            [("u1", "x2ndp", "fixed"), ("u2", "7bdqv", "fixed"), ("u3", "fixed", "fixed"), ("u4", "7bdqv", "other")];
        for ((uid, drawn, other), hits) in pods.into_iter().zip(hits) {
            let body = with_token(uid, drawn, other);
            let computed = injector.review_uncached(body.as_bytes(), "/inject");
            assert_eq!(injector.review(body.as_bytes(), "/inject").body, computed.body);
            assert_eq!(injector.cache_hits(), hits, "{uid}");
        }
    }
}

/// Elsewhere a text may quote the name to say anything.
#[test]
fn a_name_that_an_annotation_quotes_is_a_part_of_the_key() {
    let injector = crate::Injector::load(crate::boxed::MODERN.settings()).unwrap();
    for drawn in ["x2ndp", "7bdqv"] {
        let quoted = format!("\"metadata\":{{\"annotations\":{{\"last\":\"{{\\\"kube-api-access-{drawn}\\\":1}}\"}},");
        let body = with_token("u", drawn, "other").replacen("\"metadata\":{", &quoted, 1);
        injector.review(body.as_bytes(), "/inject");
    }
    assert_eq!(injector.cache_hits(), 0);
}

/// A template that prints the name, or that reads volumes at all, is given every name.
#[test]
fn templates_that_see_the_token_volume() {
    let templates = ["{{ toJson .Spec }}", "{{ (index .Spec.Volumes 0).Name }}", "{{ slice (toJson .Spec) 10 140 }}"];
    for template in templates {
        let config = json!({"policy": "enabled", "templates": {"sidecar": format!(
            "metadata:\n  annotations:\n    seen: {{{{ print ({template}) | quote }}}}\n").replace("({{ ", "(").replace(" }})", ")")}});
        let settings = crate::config::Settings { inject_config: config.to_string(), ..Default::default() };
        let injector = crate::Injector::load(settings).unwrap();
        for (uid, drawn) in [("u1", "x2ndp"), ("u2", "7bdqv")] {
            let body = with_token(uid, drawn, "other");
            let computed = injector.review_uncached(body.as_bytes(), "/inject");
            assert_eq!(injector.review(body.as_bytes(), "/inject").body, computed.body, "{template}");
        }
        assert_eq!(injector.cache_hits(), 0, "{template}");
    }
}

#[test]
fn doubtful_bodies_are_not_cut() {
    for text in [
        r#"{"request":{"uid":"a","uid":"b","object":{}}}"#,
        r#"{"request":{"uid":"a","u\u0069d":"b","object":{}}}"#,
        r#"{"request":{"uid":"a\"b","object":{}}}"#,
        "{\"request\":{\"uid\":\"\u{e9}\",\"object\":{}}}",
        r#"{"request":{"object":{}}}"#,
        r#"{"request":{"uid":7}}"#,
        r#"{"request":{"uid":"a""#,
        r#"["request"]"#,
        "{\"request\":{\"uid\":\"a\"},\"x\":\"\u{0}\"}",
        "",
    ] {
        assert_eq!(cut("/inject", text.as_bytes(), true), None, "{text}");
    }
}

#[test]
fn memory_is_bounded() {
    let mut generations = Generations::default();
    for n in 0..200_u64 {
        let entry = Entry {
            key: vec![0; 1 << 20],
            before_uid: Vec::new(),
            after_uid: Vec::new(),
            outcome: Outcome::for_tests(""),
        };
        generations.insert(n, Arc::new(entry));
        assert!(generations.young_bytes <= GENERATION_BYTES);
        assert!(generations.young.len() + generations.old.len() <= 2 * 16);
    }
}

/// Bodies that are nearly, but not quite, well-formed reviews; and pairs that differ in one place.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let plain = ("[a-c]{0,2}", "[a-c\\\\\"]{0,2}", "web|db").prop_map(|(u, t, a)| body(&u, &t, &a));
    let broken =
        (plain.clone(), any::<prop::sample::Index>(), "[\\[\\]{}:,\"\\\\ a0]{0,2}").prop_map(|(mut body, at, with)| {
            let at = at.index(body.len());
            body.splice(at..=at, with.bytes());
            body
        });
    prop_oneof![plain, broken]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Law: a cache skips work and never changes an answer.
    #[test]
    fn answers_with_and_without_are_equal(sequence in prop::collection::vec(bodies(), 1..8)) {
        let cache = Cache::default();
        for body in sequence {
            let expected = reference(&body).unwrap_or_else(undecodable);
            let answer = cache.answer("/inject", &body, || reference(&body).unwrap_or_else(undecodable));
            prop_assert_eq!(String::from_utf8_lossy(&answer.body), String::from_utf8_lossy(&expected.body));
        }
    }

    #[test]
    fn never_panics(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = cut("/inject", &body, true);
    }
}

/// A template that prints all of its pod's metadata still sees nothing that the key leaves out.
#[test]
fn templates_see_no_times() {
    let config = "policy: enabled\ntemplates:\n  sidecar: |\n    metadata:\n      annotations:\n        seen: {{ toJson .ObjectMeta | quote }}\n    spec:\n      containers:\n      - name: istio-proxy\n        image: proxy\n";
    let settings = crate::config::Settings { inject_config: config.to_owned(), ..Default::default() };
    let injector = crate::Injector::load(settings).unwrap();
    for n in 0..2 {
        let body = body(&format!("uid-{n}"), &format!("2026-11-22T07:43:0{n}Z"), "web");
        let body = String::from_utf8(body)
            .unwrap()
            .replace("\"generateName\"", "\"namespace\":\"shop\",\"generateName\"")
            .into_bytes();
        assert_eq!(injector.review(&body, "/inject").body, injector.review_uncached(&body, "/inject").body);
    }
    assert_eq!(injector.cache_hits(), 1);
}
