use super::*;

const POD: Target<'static> = Target::new("", "v1", "Pod");

fn pod(body: &str, validation: FieldValidation) -> Result<Decoded, String> {
    decode(POD, body.as_bytes(), Format::Json, validation)
        .map_err(|status| status["message"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn go_completes_what_is_absent_and_drops_what_is_zero() {
    let decoded = pod(
        r#"{"metadata":{"name":"p","labels":{},"creationTimestamp":null},"spec":{"hostNetwork":false,
            "automountServiceAccountToken":false,"containers":[{"name":"a","command":[],"stdin":false,"workingDir":"",
            "resources":{"limits":{"cpu":"1000m"}}}],"volumes":[{"name":"v","emptyDir":{}}]}}"#,
        FieldValidation::Strict,
    );
    assert_eq!(
        decoded.map(|decoded| decoded.object),
        Ok(json!({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"status":{},
            "spec":{"automountServiceAccountToken":false,"volumes":[{"name":"v","emptyDir":{}}],
            "containers":[{"name":"a","resources":{"limits":{"cpu":"1"}}}]}}))
    );
}

#[test]
fn unknown_and_duplicate_fields() {
    let body = r#"{"spec":{"containers":[{"name":"a","imagez":1,"image":"x","image":"y"}],"Foo":2},"x":3}"#;
    let warnings = [
        "unknown field \"spec.containers[0].imagez\"",
        "duplicate field \"spec.containers[0].image\"",
        "unknown field \"spec.Foo\"",
        "unknown field \"x\"",
    ];
    let decoded = pod(body, FieldValidation::Warn).expect("decodes");
    assert_eq!(decoded.warnings, warnings);
    assert_eq!(decoded.object["spec"]["containers"][0]["image"], "y");
    assert!(pod(body, FieldValidation::Ignore).expect("decodes").warnings.is_empty());
    assert_eq!(
        pod(body, FieldValidation::Strict),
        Err(format!(
            "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: {}",
            warnings.join(", ")
        ))
    );
}

#[test]
fn values_of_a_wrong_type() {
    for (spec, error) in [
        (
            r#"{"containers":{"name":"a"}}"#,
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            r#"{"containers":[{"ports":[{"containerPort":"80"}]}]}"#,
            "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            r#"{"terminationGracePeriodSeconds":"x"}"#,
            "json: cannot unmarshal string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64",
        ),
        (
            r#"{"containers":[{"ports":[{"containerPort":1.5}]}]}"#,
            "json: cannot unmarshal number 1.5 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            r#"{"restartPolicy":5}"#,
            "json: cannot unmarshal number into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy",
        ),
        (
            r#"{"nodeSelector":{"a":true}}"#,
            "json: cannot unmarshal bool into Go struct field PodSpec.spec.nodeSelector of type string",
        ),
        (r#"{"containers":[{"resources":{"requests":{"cpu":"abc"}}}]}"#, super::typed::FORMAT_ERROR),
        (
            r#"{"containers":[{"command":"x"}]}"#,
            "json: cannot unmarshal string into Go struct field Container.spec.containers.command of type []string",
        ),
    ] {
        let message = pod(&format!("{{\"spec\":{spec}}}"), FieldValidation::Warn);
        assert_eq!(message, Err(format!("Pod in version \"v1\" cannot be handled as a Pod: {error}")));
    }
}

#[test]
fn bodies_that_are_no_objects() {
    let start =
        "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: ";
    for (body, error) in [
        ("", "unexpected end of JSON input (<empty>)"),
        (
            "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",",
            "unexpected end of JSON input ({\"apiVersion\":\"v1\",\"kind\":\"Pod ...)",
        ),
        // What does not look like an object is quoted in hexadecimal digits.
        ("x", "invalid character 'x' looking for beginning of value (78)"),
        ("{\"kind\":5}", "json: cannot unmarshal number into Go struct field .kind of type string ({\"kind\":5})"),
    ] {
        assert_eq!(pod(body, FieldValidation::Warn), Err(format!("{start}{error}")), "{body}");
    }
    assert!(pod("null", FieldValidation::Warn).is_ok_and(|decoded| decoded.object["kind"] == "Pod"));
    let other = r#"{"apiVersion":"v1","kind":"ConfigMap"}"#;
    assert_eq!(
        pod(other, FieldValidation::Warn),
        Err("ConfigMap in version \"v1\" cannot be handled as a Pod: converting (v1.ConfigMap) to (core.Pod): unknown conversion".to_owned())
    );
}

#[test]
fn yaml_is_read_too() {
    let text =
        b"apiVersion: v1\nkind: Pod\nmetadata: {name: p1}\nspec:\n  containers:\n  - name: app\n    image: nginx\n";
    let decoded = decode(POD, text, Format::Yaml, FieldValidation::Strict).expect("decodes");
    assert_eq!(decoded.object["spec"]["containers"][0], json!({"name":"app","image":"nginx","resources":{}}));
}

/// A pod in which every kind of field is.
fn rich() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "p", "labels": {"a": "1", "b": "2"}, "annotations": {"c": "3"}, "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": "a", "uid": "u", "controller": true}],
            "managedFields": [{"manager": "m", "operation": "Update", "fieldsV1": {"f:a": {}, "f:b": null}}],
        },
        "spec": {
            "hostNetwork": true, "terminationGracePeriodSeconds": 30, "restartPolicy": "Always", "priority": 0,
            "volumes": [{"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "p", "mode": 1}]}}],
            "containers": [{
                "name": "a", "image": "i", "command": ["x", "y"], "stdin": true,
                "env": [{"name": "X", "value": "1"}, {"name": "Y", "valueFrom": {"resourceFieldRef": {"resource": "r", "divisor": "1"}}}],
                "ports": [{"containerPort": 80, "protocol": "TCP", "hostPort": 1}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
                "livenessProbe": {"httpGet": {"path": "/", "port": 80, "httpHeaders": [{"name": "h", "value": "v"}]}, "periodSeconds": 3},
            }],
        },
        "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    })
}

fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| pointers(value, &format!("{at}/{}", key.replace('/', "~1")), out));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| pointers(value, &format!("{at}/{index}"), out));
        }
        _ => {}
    }
}

proptest::proptest! {
    /// An object tidied where it stands is the object read again, and so are the words for what is wrong with it.
    #[test]
    fn tidying_is_reading_again(changes in proptest::collection::vec((0..1000usize, 0..22usize), 0..4)) {
        let values = [
            json!(null), json!(""), json!(0), json!(false), json!([]), json!({}), json!("text"), json!(1), json!(-1), json!(1.5),
            json!(true), json!(3_000_000_000u64), json!(18_446_744_073_709_551_615u64), json!("1000m"), json!(" 1 "),
            json!("2026-01-01T02:00:00+02:00"), json!([null]), json!({"a": null}), json!({"unknown": 1}), json!(["a", null]),
            json!([{"name": "n"}]), json!({"name": "n", "image": ""}),
        ];
        let mut object = rich();
        for (place, value) in changes {
            let mut places = Vec::new();
            pointers(&object, "", &mut places);
            if let Some(slot) = object.pointer_mut(&places[place % places.len()]) {
                *slot = values[value % values.len()].clone();
            }
        }
        proptest::prop_assert_eq!(normalize(POD, object.clone()), reread(POD, object));
    }
}
