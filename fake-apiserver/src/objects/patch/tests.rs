use apimachinery::value::{Value, json};

use super::*;

const DEPLOYMENT: Target<'static> = Target::new("apps", "v1", "Deployment");

fn live() -> Value {
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "a"}, {"name": "b", "image": "b"}]}}}});
    decode::normalize(DEPLOYMENT, body).expect("decodes").object
}

fn patched(kind: PatchType, body: &str) -> Result<Value, (u64, String)> {
    patch(DEPLOYMENT, kind, &live(), body.as_bytes(), FieldValidation::Warn).map(|decoded| decoded.object).map_err(
        |status| (status["code"].as_u64().unwrap_or(0), status["message"].as_str().unwrap_or_default().to_owned()),
    )
}

#[test]
fn the_three_kinds() {
    let containers = |object: Value| {
        let list = object["spec"]["template"]["spec"]["containers"].as_array().cloned().unwrap_or_default();
        list.iter()
            .map(|container| format!("{}={}", text(container, "name"), text(container, "image")))
            .collect::<Vec<_>>()
    };
    let template = |containers: &str| format!(r#"{{"spec":{{"template":{{"spec":{{"containers":{containers}}}}}}}}}"#);
    let b = template(r#"[{"name":"b","image":"b2"}]"#);
    let both = vec!["a=a".to_owned(), "b=b2".to_owned()];
    assert_eq!(patched(PatchType::Strategic, &b).map(containers), Ok(both));
    assert_eq!(patched(PatchType::Merge, &b).map(containers), Ok(vec!["b=b2".to_owned()]));
    let json = r#"[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"z"}]"#;
    assert_eq!(patched(PatchType::Json, json).map(containers), Ok(vec!["a=z".to_owned(), "b=b".to_owned()]));
}

#[test]
fn malformed_patches_as_recorded() {
    // api-basics/patch-malformed, strategic-merge-pod, operations/patch-json-*
    let unprocessable = "the server rejected our request due to an error in our request";
    for (kind, body, code, message) in [
        (PatchType::Merge, "{", 400, "error decoding patch: unexpected end of JSON input"),
        (
            PatchType::Merge,
            "[]",
            400,
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            PatchType::Json,
            "{}",
            400,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ),
        (
            PatchType::Strategic,
            "\"x\"",
            400,
            "json: cannot unmarshal string into Go value of type map[string]interface {}",
        ),
        (PatchType::Json, r#"[{"op":"bogus","path":"/data"}]"#, 422, unprocessable),
        (PatchType::Json, r#"[{"op":"test","path":"/metadata/name","value":"x"}]"#, 422, unprocessable),
        (
            PatchType::Strategic,
            r#"{"spec":{"template":{"spec":{"containers":[{"image":"noname"}]}}}}"#,
            500,
            "map: map[image:noname] does not contain declared merge key: name",
        ),
    ] {
        assert_eq!(patched(kind, body), Err((code, message.to_owned())), "{body}");
    }
}

#[test]
fn a_result_that_does_not_decode() {
    let (code, message) = patched(PatchType::Merge, r#"{"spec":{"replicas":"x"}}"#).expect_err("refused");
    assert_eq!(code, 422);
    assert!(
        message.starts_with(" \"\" is invalid: patch: Invalid value: \"{\\\"apiVersion\\\":\\\"apps/v1\\\""),
        "{message}"
    );
    let end = "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32";
    assert!(message.ends_with(end), "{message}");
}

#[test]
fn apply_looks_at_the_kind_first() {
    let writer = Writer { manager: "x", subresource: "", time: "T" };
    let refused = |body: &str| {
        let status = apply(DEPLOYMENT, None, body.as_bytes(), &writer, false).expect_err("refused");
        status["message"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(refused("kind: Deployment"), "invalid object type: /, Kind=Deployment");
    assert_eq!(refused("{apiVersion: v1, kind: Secret}"), "invalid object type: /v1, Kind=Secret");
}
