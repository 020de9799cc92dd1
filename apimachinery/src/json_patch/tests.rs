use crate::value::json;
use proptest::prelude::*;

use super::*;

fn applied(document: Value, patch: Value) -> Result<Value, String> {
    Patch::from_value(patch).and_then(|p| p.apply(document)).map_err(|e| e.to_string())
}

fn pod() -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"restartPolicy": "Always", "containers": [{"name": "app"}]}})
}

#[test]
fn the_dialect_of_the_apiserver() {
    for (patch, path, found) in [
        (json!([{"op": "replace", "path": "/spec/nodeName", "value": "n"}]), "/spec/nodeName", json!("n")),
        (json!([{"op": "add", "path": "/spec/nodeName"}]), "/spec/nodeName", json!(null)),
        (json!([{"op": "add", "path": "/spec/containers/-1", "value": 1}]), "/spec/containers/1", json!(1)),
        (json!([{"op": "add", "path": "/spec/containers/-2", "value": 1}]), "/spec/containers/0", json!(1)),
        (json!([{"op": "add", "path": "metadata/labels", "value": {"a": "b"}}]), "/labels/a", json!("b")),
        (json!([{"op": "test", "path": "/spec/nodeName", "value": null}]), "/metadata/name", json!("p")),
        (json!([{"op": "test", "path": "/spec/nodeName"}]), "/metadata/name", json!("p")),
        (json!([{"op": "add", "path": "/metadata/a~1b~0c", "value": 1, "extra": true}]), "/metadata/a~1b~0c", json!(1)),
        (json!([{"op": "move", "from": "/metadata/name", "path": "/metadata/n"}]), "/metadata/n", json!("p")),
        (
            json!([{"op": "copy", "from": "/spec/containers/0", "path": "/spec/containers/1"}]),
            "/spec/containers/1/name",
            json!("app"),
        ),
        (json!([{"op": "replace", "path": "", "value": {"x": 1}}]), "/x", json!(1)),
    ] {
        let out = applied(pod(), patch.clone()).unwrap_or_else(|e| panic!("{patch}: {e}"));
        assert_eq!(out.pointer(path), Some(&found), "{patch}: {out}");
    }
}

/// Law: linear cost, whatever the order of the names.
#[test]
fn many_fields_in_falling_order() {
    let add = |number: usize| json!({"op": "add", "path": format!("/metadata/~1{number:06}"), "value": number});
    let repeated = json!({"op": "add", "path": "/metadata/~1000007", "value": "last"});
    let patch: Vec<Value> = (0..100_000).rev().map(add).chain([repeated]).collect();
    let out = applied(pod(), patch.into()).unwrap();
    let metadata = out["metadata"].as_object().unwrap();
    assert_eq!((metadata.len(), &metadata["/000006"], &metadata["/000007"]), (100_001, &json!(6), &json!("last")));
    assert_eq!(metadata["name"], "p");
}

#[test]
fn adds_in_a_row_are_adds_one_by_one() {
    for (path, out) in [
        (
            "/spec/containers/",
            json!(
                "error in add for path: '/spec/containers/2': Unable to access invalid index: 2: invalid index referenced"
            ),
        ),
        ("/spec/x/", json!("add operation does not apply: doc is missing path: \"/spec/x/2\": missing value")),
        ("/", json!(20)),
    ] {
        let add = |number: usize| json!({"op": "add", "path": format!("{path}{number}"), "value": number});
        let patch: Vec<Value> = (2..20).map(add).collect();
        let applied = applied(pod(), patch.into());
        let applied = applied.map_or_else(Value::from, |out| out.as_object().unwrap().len().into());
        assert_eq!(applied, out, "{path}");
    }
}

/// The texts are those of the vectors `failure/patch-*` and `patch-semantics/*`.
#[test]
fn the_texts_of_the_apiserver() {
    for (operation, text) in [
        (
            json!({"op": "add", "path": "/metadata/labels/a", "value": "b"}),
            "add operation does not apply: doc is missing path: \"/metadata/labels/a\": missing value",
        ),
        (
            json!({"op": "remove", "path": "/metadata/labels/none"}),
            "remove operation does not apply: doc is missing path: \"/metadata/labels/none\": missing value",
        ),
        (
            json!({"op": "remove", "path": "/spec/containers/-"}),
            "error in remove for path: '/spec/containers/-': strconv.Atoi: parsing \"-\": invalid syntax",
        ),
        (
            json!({"op": "add", "path": "/spec/containers/abc", "value": 1}),
            "error in add for path: '/spec/containers/abc': value was not a proper array index: 'abc': strconv.Atoi: parsing \"abc\": invalid syntax",
        ),
        (
            json!({"op": "add", "path": "/spec/containers/5", "value": 1}),
            "error in add for path: '/spec/containers/5': Unable to access invalid index: 5: invalid index referenced",
        ),
        (
            json!({"op": "add", "path": "/spec/restartPolicy/x", "value": 1}),
            "add operation does not apply: doc is missing path: \"/spec/restartPolicy/x\": missing value",
        ),
        (json!({"op": "add", "value": "n"}), "add operation failed to decode path: missing value"),
        (
            json!({"op": "remove", "path": "/metadata/none"}),
            "error in remove for path: '/metadata/none': Unable to remove nonexistent key: none: missing value",
        ),
        (
            json!({"op": "test", "path": "/spec/restartPolicy", "value": "Never"}),
            "testing value /spec/restartPolicy failed: test failed",
        ),
        (
            json!({"op": "test", "path": "/spec/nodeName", "value": "n"}),
            "testing value /spec/nodeName failed: test failed",
        ),
        (
            json!({"op": "move", "path": "/spec/nodeName"}),
            "move operation failed to decode from: operation, missing from field: missing value",
        ),
        (json!({"op": "merge", "path": "/spec", "value": {}}), "Unexpected kind: merge"),
        (json!({"op": "ADD", "path": "/spec", "value": {}}), "Unexpected kind: ADD"),
    ] {
        assert_eq!(applied(pod(), json!([operation])), Err(text.to_owned()), "{operation}");
    }
}

#[test]
fn documents_that_are_no_patch() {
    for (text, said) in [
        ("hello", "invalid character 'h' looking for beginning of value"),
        ("{\"a\":1}", "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
        ("[1]", "json: cannot unmarshal number into Go value of type jsonpatch.Operation"),
    ] {
        assert_eq!(Patch::parse(text.as_bytes()).map_err(|e| e.to_string()), Err(said.to_owned()));
    }
    assert!(Patch::parse(b"null").is_ok_and(|p| p.is_empty()));
}

#[test]
fn copies_are_bounded() {
    let mut operations = vec![json!({"op": "add", "path": "/a", "value": "x".repeat(100_000)})];
    operations.extend((0..40).map(|n| json!({"op": "copy", "from": "/a", "path": format!("/b{n}")})));
    let said = applied(json!({}), Value::from(operations)).unwrap_err();
    assert_eq!(
        said,
        "Unable to complete the copy, the accumulated size increase of copy is 3200064, exceeding the limit 3145728"
    );
}

fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(1)), Just(json!("s")), Just(json!(true))];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ab]", inner, 0..3).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the strict crate applies, the lax dialect applies to the same result. (`move` and the root document are
    /// left out: there the dialects differ on purpose.)
    #[test]
    fn agrees_with_the_strict_crate(
        document in prop::collection::btree_map("[ab]", documents(), 1..3),
        operations in prop::collection::vec(("add|remove|replace|test|copy", "(/[ab01-]){1,3}", "(/[ab01]){1,3}", documents()), 1..4),
    ) {
        let document = Value::Object(document.into_iter().collect());
        let patch: Value = operations.into_iter().map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value})).collect();
        let strict: json_patch::Patch = crate::value::from_value(patch.clone()).unwrap();
        let mut expected = document.clone().into();
        if json_patch::patch(&mut expected, &strict).is_ok() {
            prop_assert_eq!(applied(document, patch), Ok(expected.into()));
        }
    }

    #[test]
    fn never_panics(text in prop::collection::vec(any::<u8>(), 0..64), path in ".{0,12}", op in "add|remove|replace|move|test|copy|") {
        let _ = Patch::parse(&text).map(|p| p.apply(pod()));
        let _ = applied(pod(), json!([{"op": op, "path": path, "from": path, "value": 1}]));
    }
}
