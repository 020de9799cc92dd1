//! What templates of Istio 1.9 and later see beside the pod: owner, images, ids, the effective ProxyConfig.

pub(crate) mod cluster;
pub(crate) mod image;
pub(crate) mod owner;

use std::borrow::Cow;

use apimachinery::schema;
use apimachinery::value::{Map, Value as Json};

use crate::mesh;
use crate::mesh::resources::ProxyConfigs;
use crate::value::{Shape, Value};

/// Everything that one rendering needs, borrowed from the pod and from the injector.
#[derive(Debug)]
pub(crate) struct TemplateData<'a> {
    pub(crate) owner: owner::Identity<'a>,
    /// The pod's namespace, or that of the workload around it in a file.
    pub(crate) deployment_namespace: &'a str,
    pub(crate) metadata: &'a Json,
    pub(crate) spec: &'a Json,
    pub(crate) proxy_config: &'a Json,
    pub(crate) mesh_config: &'a Json,
    pub(crate) values: &'a Json,
    pub(crate) revision: &'a str,
    pub(crate) native_sidecars: bool,
    pub(crate) proxy_image: String,
    pub(crate) proxy_init_image: String,
    pub(crate) ids: Ids,
    pub(crate) compliance_policy: &'a str,
}

/// The user and group that the proxy runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) user: i64,
    pub(crate) group: i64,
}

impl Default for Ids {
    fn default() -> Self {
        Self { user: 1337, group: 1337 }
    }
}

impl<'a> TemplateData<'a> {
    /// The root of the template's data.
    pub(crate) fn root(&'a self) -> Value<'a> {
        let pod = schema::pod();
        let of = |field: &str| pod.field(field).and_then(schema::Field::object).unwrap_or(pod);
        let deployment = vec![
            ("Name", Value::text(&self.owner.name)),
            ("Namespace", Value::text(self.deployment_namespace)),
            ("Annotations", Value::Strings(None)),
            ("Labels", Value::Strings(None)),
        ];
        let localhost =
            self.mesh_config.pointer("/inboundTrafficPolicy/mode").and_then(Json::as_str) == Some("LOCALHOST");
        Value::fields(vec![
            (
                "TypeMeta",
                Value::fields(vec![
                    ("Kind", Value::text(&self.owner.kind)),
                    ("APIVersion", Value::text(&self.owner.api_version)),
                ]),
            ),
            ("DeploymentMeta", Value::fields(deployment)),
            ("ObjectMeta", Value::kubernetes(Some(self.metadata), of("metadata"))),
            ("Spec", Value::kubernetes(Some(self.spec), of("spec"))),
            ("ProxyConfig", Value::Struct(Some(self.proxy_config), Shape::Message(&mesh::shape::PROXY_CONFIG))),
            ("MeshConfig", Value::Struct(Some(self.mesh_config), Shape::Message(&mesh::shape::MESH_CONFIG))),
            ("Values", Value::free(self.values)),
            ("Revision", Value::text(self.revision)),
            ("NativeSidecars", Value::Bool(self.native_sidecars)),
            ("ProxyImage", Value::text(&self.proxy_image)),
            ("ProxyInitImage", Value::text(&self.proxy_init_image)),
            ("ProxyUID", Value::Int(self.ids.user)),
            ("ProxyGID", Value::Int(self.ids.group)),
            ("InboundTrafficPolicyMode", Value::text(if localhost { "localhost" } else { "passthrough" })),
            ("CompliancePolicy", Value::text(self.compliance_policy)),
        ])
    }
}

/// The annotation with a pod's own ProxyConfig.
pub(crate) const PROXY_CONFIG: &str = "proxy.istio.io/config";

/// The ProxyConfig of a pod, low to high: the mesh's, the resource of the root namespace, that of the pod's namespace, the
/// annotation, the resource whose selector matches.
pub(crate) fn proxy_config<'m>(
    mesh: &'m Json,
    resources: &ProxyConfigs,
    namespace: &str,
    labels: &Map,
    annotation: Option<&str>,
) -> Result<Cow<'m, Json>, String> {
    let base = mesh.get("defaultConfig").unwrap_or(&Json::Null);
    if annotation.is_none() && resources.is_empty() {
        return Ok(Cow::Borrowed(base));
    }
    let root = mesh.get("rootNamespace").and_then(Json::as_str).unwrap_or_default();
    let mut config = base.clone();
    if let Some(fields) = resources.of_namespace(root) {
        mesh::lay_over(&mut config, fields.clone());
    }
    if namespace != root
        && let Some(fields) = resources.of_namespace(namespace)
    {
        mesh::lay_over(&mut config, fields.clone());
    }
    if let Some(text) = annotation {
        mesh::lay_over(&mut config, annotated_config(text)?);
    }
    if let Some(fields) = resources.of_labels(namespace, labels) {
        mesh::lay_over(&mut config, fields.clone());
    }
    Ok(Cow::Owned(config))
}

/// The annotation's YAML as a ProxyConfig; unknown fields are ignored, as Istio does.
pub(crate) fn annotated_config(text: &str) -> Result<Json, String> {
    match apimachinery::yaml::parse(text).map_err(|e| crate::golang::yaml(&e))? {
        Json::Null => Ok(Json::Object(Map::new())),
        config => mesh::canonical(&config, &mesh::shape::PROXY_CONFIG),
    }
}
