//! What templates of these eras see.

use std::borrow::Cow;
use std::sync::LazyLock;

use apimachinery::schema::{self, Type};
use apimachinery::value::{Value as Json, json};

use super::{Generation, Legacy, annotations_of, list, shape};
use crate::engine::{Error, Owner};
use crate::funcs::{Budget, Context};
use crate::golang;
use crate::mesh::{canonical, lay_over};
use crate::template::{self, Template};
use crate::value::{Shape, Value};

/// The owner of a pod as the templates know it: `.TypeMeta` and `.DeploymentMeta`.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    kind: String,
    api_version: String,
    meta: Json,
}

impl Workload {
    /// Of a pod in a webhook request: the Deployment behind its ReplicaSet, another controller, or the pod itself.
    pub(crate) fn of_pod(pod: &Json, request_namespace: &str) -> Self {
        let meta = &pod["metadata"];
        let text = |v: &Json| v.as_str().unwrap_or_default().to_owned();
        let namespace = meta["namespace"].as_str().filter(|n| !n.is_empty()).unwrap_or(request_namespace);
        let owner = meta["ownerReferences"].as_array().into_iter().flatten().find(|o| o["controller"] == true);
        let generated = meta["generateName"].as_str().is_some_and(|g| !g.is_empty());
        let (mut kind, mut api_version, mut name) = ("Pod".to_owned(), "v1".to_owned(), text(&meta["name"]));
        if let Some(owner) = owner.filter(|_| generated) {
            (kind, api_version, name) = (text(&owner["kind"]), text(&owner["apiVersion"]), text(&owner["name"]));
            let hash = meta["labels"]["pod-template-hash"].as_str().unwrap_or_default();
            if kind == "ReplicaSet"
                && let Some(deployment) = name.strip_suffix(&format!("-{hash}"))
            {
                (kind, name) = ("Deployment".to_owned(), deployment.to_owned());
            }
        }
        Self { kind, api_version, meta: json!({"name": name, "namespace": namespace}) }
    }

    /// Of a pod template in a file: the object around it.
    pub(crate) fn of_file(owner: &Owner<'_>) -> Self {
        Self { kind: owner.kind.to_owned(), api_version: owner.api_version.to_owned(), meta: owner.metadata.clone() }
    }
}

static EMPTY: LazyLock<Json> = LazyLock::new(|| json!({}));

/// Renders the template for a pod.
pub(super) fn render(legacy: &Legacy, pod: &Json, workload: &Workload) -> Result<String, Error> {
    let part = |key: &str| {
        let ty: Option<&'static Type> = schema::pod().field(key).and_then(schema::Field::object);
        ty.ok_or_else(|| Error::Object(format!("the schema has no {key}")))
    };
    let pod = match legacy.generation {
        Generation::V1_0 => without_protocols(pod),
        Generation::V1_1 | Generation::V1_2 => Cow::Borrowed(pod),
    };
    let proxy_config = &proxy_config(legacy, &pod)?;
    let dot = Dot { legacy, pod: &pod, workload, proxy_config, metadata: part("metadata")?, spec: part("spec")? };
    Ok(dot.run(&legacy.template, NESTED, &Budget::default())?)
}

/// The mesh's ProxyConfig, and over it the pod's own of the annotation `proxy.istio.io/config` (1.7 and 1.8).
fn proxy_config<'a>(legacy: &'a Legacy, pod: &Json) -> Result<Cow<'a, Json>, Error> {
    const KEY: &str = "proxy.istio.io/config";
    let mesh = &legacy.mesh["defaultConfig"];
    let text = annotations_of(pod).and_then(|a| a.get(KEY)).and_then(Json::as_str);
    let (Generation::V1_2, Some(text)) = (legacy.generation, text) else { return Ok(Cow::Borrowed(mesh)) };
    let wrong = |why: String| Error::Annotations(format!("invalid value '{text}' for annotation '{KEY}': {why}"));
    let own = apimachinery::yaml::parse(text).map_err(|e| wrong(golang::yaml(&e)))?;
    if own.is_null() {
        return Ok(Cow::Borrowed(mesh));
    }
    let mut config = mesh.clone();
    lay_over(&mut config, canonical(&own, &shape::PROXY_CONFIG).map_err(wrong)?);
    Ok(Cow::Owned(config))
}

/// 1.0 counts container ports of all protocols where later releases leave UDP and SCTP out: its templates get to see
/// ports without a protocol.
fn without_protocols(pod: &Json) -> Cow<'_, Json> {
    let has_others = |c: &Json| {
        let mut ports = c["ports"].as_array().into_iter().flatten();
        ports.any(|p| matches!(p["protocol"].as_str(), Some("UDP" | "SCTP")))
    };
    if !list(pod, "containers").iter().any(has_others) {
        return Cow::Borrowed(pod);
    }
    let mut pod = pod.clone();
    for container in pod["spec"]["containers"].as_array_mut().into_iter().flatten() {
        let ports = container.get_mut("ports").and_then(Json::as_array_mut);
        for port in ports.into_iter().flatten().filter_map(Json::as_object_mut) {
            port.remove("protocol");
        }
    }
    Cow::Owned(pod)
}

/// How deep the function `render` may render what it was called from.
const NESTED: usize = 4;

/// What a template's dot is made from.
#[derive(Clone, Copy)]
struct Dot<'a> {
    legacy: &'a Legacy,
    pod: &'a Json,
    workload: &'a Workload,
    proxy_config: &'a Json,
    metadata: &'static Type,
    spec: &'static Type,
}

impl<'a> Dot<'a> {
    fn value(self) -> Value<'a> {
        let Self { legacy, pod, workload, .. } = self;
        let owner = vec![("Kind", Value::text(&workload.kind)), ("APIVersion", Value::text(&workload.api_version))];
        Value::fields(vec![
            ("TypeMeta", Value::fields(owner)),
            ("DeploymentMeta", object(&workload.meta, self.metadata)),
            ("ObjectMeta", object(&pod["metadata"], self.metadata)),
            ("Spec", object(&pod["spec"], self.spec)),
            ("ProxyConfig", Value::Struct(Some(self.proxy_config), Shape::Message(legacy.proxy_shape))),
            ("MeshConfig", Value::Struct(Some(&legacy.mesh), Shape::Message(&shape::MESH_CONFIG))),
            ("Values", Value::free(&legacy.values)),
        ])
    }

    fn run(self, template: &Template, depth: usize, budget: &Budget) -> Result<String, template::Error> {
        // As in Istio, what cannot be rendered prints nothing.
        let nested = |text: &str| {
            let Some(depth) = depth.checked_sub(1) else { return String::new() };
            let Ok(template) = Template::parse("render", text, self.legacy.delimiters) else { return String::new() };
            self.run(&template, depth, budget).unwrap_or_default()
        };
        let context = Context { environment: &self.legacy.environment, render: Some(&nested), budget };
        // The dot is made anew for each template: it lives no longer than the template does.
        let dot = self.value();
        template.render(&dot, &context)
    }
}

/// A typed object; what is absent is an empty one, as in Go.
fn object<'a>(json: &'a Json, ty: &'static Type) -> Value<'a> {
    Value::kubernetes(Some(if json.is_object() { json } else { &EMPTY }), ty)
}
