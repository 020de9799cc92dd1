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
        (r#"{"containers":[{"resources":{"requests":{"cpu":"abc"}}}]}"#, crate::objects::quantity::FORMAT_ERROR),
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
        ("x", "invalid character 'x' looking for beginning of value (x)"),
        ("{\"kind\":5}", "json: cannot unmarshal number into Go struct field .kind of type string ({\"kind\":5})"),
    ] {
        assert_eq!(pod(body, FieldValidation::Warn), Err(format!("{start}{error}")), "{body}");
    }
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
