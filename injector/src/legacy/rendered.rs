//! What a template printed, read as the typed objects that it stands for.
//!
//! These templates rely on a leniency of Istio's reader: a number or boolean where the API has a string becomes its text
//! (`args: [-p, 15001]`). Unknown keys are left out, other mismatches are errors.

use apimachinery::quantity::Quantity;
use apimachinery::schema::{self, Kind, Type};
use apimachinery::value::{Map, Value};

use crate::golang::{self, decode};

/// A template's output.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rendered {
    pub(crate) init_containers: Vec<Value>,
    pub(crate) containers: Vec<Value>,
    pub(crate) volumes: Vec<Value>,
    pub(crate) image_pull_secrets: Vec<Value>,
    pub(crate) dns_config: Option<Value>,
    pub(crate) annotations: Map,
    pub(crate) rewrite_probes: bool,
    /// The pod's security context, from 1.6 on.
    pub(crate) security_context: Option<Value>,
    /// The sidecar goes before the application, from 1.7 on.
    pub(crate) proxy_first: bool,
}

/// Why a template's output cannot be used.
#[derive(Debug, PartialEq)]
pub(crate) struct Unusable {
    /// What is wrong, and where.
    pub(crate) message: String,
    /// What Istio says.
    pub(crate) said: String,
}

/// Reads the output of a template; the error names the place, and has Istio's words.
pub(crate) fn read(text: &str) -> Result<Rendered, Unusable> {
    let document = apimachinery::yaml::parse(text).map_err(|e| Unusable {
        said: format!("error converting YAML to JSON: {}", golang::yaml(&e)),
        message: format!("no YAML, line {}: {e}", e.line),
    })?;
    typed(&document).map_err(|message| {
        let decoded =
            pod_spec().map(|spec| decode::lenient(&document, "inject.SidecarInjectionSpec", |key| kind_of(spec, key)));
        let said = match decoded {
            Ok(Err(why)) => format!("error unmarshaling JSON: {why}"),
            _ => format!("the template printed {message}"),
        };
        Unusable { said, message }
    })
}

/// The type of a key of the output.
fn kind_of<'k>(spec: &'k Type, key: &str) -> Option<&'k Kind> {
    static FLAG: Kind = Kind::Boolean;
    match key {
        "rewriteAppHTTPProbe" | "holdApplicationUntilProxyStarts" => Some(&FLAG),
        "initContainers" | "containers" | "volumes" | "imagePullSecrets" | "dnsConfig" | "securityContext" => {
            spec.field(key).map(|field| &field.kind)
        }
        _ => None,
    }
}

fn typed(document: &Value) -> Result<Rendered, String> {
    let spec = pod_spec()?;
    let none = Map::new();
    let document = match document {
        Value::Null => &none,
        Value::Object(map) => map,
        _ => return Err("something else than a mapping of keys to values".to_owned()),
    };
    let list = |key: &str| -> Result<Vec<Value>, String> {
        let (Some(value), Some(field)) = (document.get(key), spec.field(key)) else { return Ok(Vec::new()) };
        match coerce(value, &field.kind).map_err(|e| format!("{key}{e}"))? {
            Some(Value::Array(items)) => Ok(items.into()),
            _ => Ok(Vec::new()),
        }
    };
    let mut rendered = Rendered {
        init_containers: list("initContainers")?,
        containers: list("containers")?,
        volumes: list("volumes")?,
        image_pull_secrets: list("imagePullSecrets")?,
        ..Rendered::default()
    };
    for container in rendered.init_containers.iter_mut().chain(&mut rendered.containers) {
        // These templates carry a `restartPolicy` from a time when containers had none; today it would make an init
        // container a native sidecar.
        if let Some(container) = container.as_object_mut() {
            container.remove("restartPolicy");
        }
    }
    for (key, items) in [
        ("initContainers", &rendered.init_containers),
        ("containers", &rendered.containers),
        ("volumes", &rendered.volumes),
        ("imagePullSecrets", &rendered.image_pull_secrets),
    ] {
        if let Some(at) = items.iter().position(|item| super::name(item).is_empty()) {
            return Err(format!("{key}[{at}] has no name"));
        }
    }
    if let (Some(value), Some(field)) = (document.get("dnsConfig"), spec.field("dnsConfig")) {
        rendered.dns_config = coerce(value, &field.kind).map_err(|e| format!("dnsConfig{e}"))?;
    }
    if let Some(value) = document.get("podRedirectAnnot") {
        let strings = Kind::Map(Box::new(Kind::String));
        if let Some(Value::Object(map)) = coerce(value, &strings).map_err(|e| format!("podRedirectAnnot{e}"))? {
            rendered.annotations = map;
        }
    }
    if let (Some(value), Some(field)) = (document.get("securityContext"), spec.field("securityContext")) {
        rendered.security_context = coerce(value, &field.kind).map_err(|e| format!("securityContext{e}"))?;
    }
    let flag = |key: &str| match document.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(yes)) => Ok(*yes),
        Some(other) => Err(format!("{key}: {other} is not a boolean")),
    };
    rendered.rewrite_probes = flag("rewriteAppHTTPProbe")?;
    rendered.proxy_first = flag("holdApplicationUntilProxyStarts")?;
    Ok(rendered)
}

/// What Go makes of null in a list: an argument that a template printed as nothing is an empty string.
fn zero(kind: &Kind) -> Value {
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Number => Value::from(0),
        Kind::Boolean => Value::Bool(false),
        Kind::Map(_) | Kind::Object(_) => Value::Object(Map::new()),
        Kind::List(_) | Kind::Any => Value::Null,
        _ => Value::from(String::new()),
    }
}

fn pod_spec() -> Result<&'static Type, String> {
    schema::pod()
        .field("spec")
        .and_then(schema::Field::object)
        .ok_or_else(|| "no pod: the schema has no PodSpec".to_owned())
}

/// The value as the API has it; `None` for null. An error begins with the path below.
fn coerce(value: &Value, kind: &Kind) -> Result<Option<Value>, String> {
    let wrong = |wanted: &str| Err(format!(": {value} is not {wanted}"));
    Ok(Some(match (kind, value) {
        (_, Value::Null) => return Ok(None),
        (Kind::String | Kind::Time | Kind::MicroTime | Kind::Bytes, Value::String(_)) => value.clone(),
        (Kind::String, Value::Bool(_) | Value::Number(_)) => Value::from(value.to_string()),
        (Kind::String | Kind::Time | Kind::MicroTime | Kind::Bytes, _) => return wrong("a string"),
        (Kind::Int32 | Kind::Int64, Value::Number(n)) if n.is_i64() => value.clone(),
        (Kind::Int32 | Kind::Int64, _) => return wrong("a whole number"),
        (Kind::Number, Value::Number(_)) | (Kind::Boolean, Value::Bool(_)) => value.clone(),
        (Kind::Number, _) => return wrong("a number"),
        (Kind::Boolean, _) => return wrong("a boolean"),
        (Kind::Quantity, Value::String(text)) if Quantity::parse(text).is_some() => value.clone(),
        (Kind::Quantity, Value::Number(_)) => Value::from(value.to_string()),
        (Kind::Quantity, _) => return wrong("a quantity such as 100m or 128Mi"),
        (Kind::IntOrString, Value::String(_) | Value::Number(_)) => value.clone(),
        (Kind::IntOrString, _) => return wrong("a number or a name"),
        (Kind::Map(inner), Value::Object(map)) => object(map, |_| Some(inner))?,
        (Kind::Object(ty), Value::Object(map)) => object(map, |key| ty.get().field(key).map(|field| &field.kind))?,
        (Kind::Map(_) | Kind::Object(_), _) => return wrong("a mapping of keys to values"),
        (Kind::List(inner), Value::Array(items)) => {
            let mut out = Vec::with_capacity(items.len());
            for (at, item) in items.iter().enumerate() {
                out.push(coerce(item, inner).map_err(|e| format!("[{at}]{e}"))?.unwrap_or_else(|| zero(inner)));
            }
            Value::from(out)
        }
        (Kind::List(_), _) => return wrong("a list"),
        (Kind::Any, _) => value.clone(),
    }))
}

fn object<'k>(map: &Map, kind_of: impl Fn(&str) -> Option<&'k Kind>) -> Result<Value, String> {
    let mut out = Map::new();
    for (key, value) in map {
        let Some(kind) = kind_of(key) else { continue };
        if let Some(value) = coerce(value, kind).map_err(|e| format!(".{key}{e}"))? {
            out.insert(key.clone(), value);
        }
    }
    Ok(Value::Object(out))
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::*;

    #[test]
    fn scalars_become_strings_and_unknown_keys_go() {
        let rendered = read(
            "containers:\n- name: istio-proxy\n  args: [-p, 15001, true, 0644]\n  restartPolicy: Always\n  nonsense: 1\n  \
             env: [{name: SDS, value: false}]\nvolumes:\nrestartPolicy: Never\n",
        )
        .unwrap();
        let args = json!(["-p", "15001", "true", "420"]);
        let env = json!([{"name": "SDS", "value": "false"}]);
        assert_eq!(rendered.containers, [json!({"name": "istio-proxy", "args": args, "env": env})]);
        assert_eq!(rendered.volumes, Vec::<Value>::new());
    }

    #[test]
    fn what_is_no_pod_is_refused_with_its_place() {
        for (text, says) in [
            ("containers:\n- name: a\n  ports:\n  - containerPort: \"80\"\n", "containers[0].ports[0].containerPort"),
            (
                "containers:\n- name: a\n  resources: {requests: {memory: \"\"}}\n",
                "containers[0].resources.requests.memory",
            ),
            ("volumes: {}\n", "volumes"),
            ("volumes:\n- emptyDir: {}\n", "volumes[0] has no name"),
            ("- a\n", "mapping"),
            ("a: [\n", "line"),
            ("rewriteAppHTTPProbe: maybe\n", "rewriteAppHTTPProbe"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message.contains(says), "{text:?}: {error:?}");
        }
    }

    #[test]
    fn what_is_no_pod_is_refused_in_istios_words() {
        for (text, says) in [
            (
                "containers:\n- name: a\n  args: [1]\n  resources: {requests: {memory: \"\"}}\n",
                "error unmarshaling JSON: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            ),
            (
                "containers:\n- name: a\n  ports:\n  - containerPort: \"80\"\n",
                "error unmarshaling JSON: json: cannot unmarshal string into Go struct field ContainerPort.containers.ports.containerPort of type int32",
            ),
            (
                "volumes: {}\n",
                "error unmarshaling JSON: json: cannot unmarshal object into Go struct field SidecarInjectionSpec.volumes of type []v1.Volume",
            ),
            (
                "rewriteAppHTTPProbe: maybe\n",
                "error unmarshaling JSON: json: cannot unmarshal string into Go struct field SidecarInjectionSpec.rewriteAppHTTPProbe of type bool",
            ),
            (
                "- a\n",
                "error unmarshaling JSON: json: cannot unmarshal array into Go value of type inject.SidecarInjectionSpec",
            ),
            ("a: [\n", "error converting YAML to JSON: yaml: line 1: did not find expected node content"),
        ] {
            assert_eq!(read(text).unwrap_err().said, says);
        }
    }

    #[test]
    fn nothing_printed_is_nothing_to_inject() {
        assert_eq!(read("").unwrap(), Rendered::default());
    }
}
