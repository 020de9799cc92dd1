//! Which URL an object has: learnt from the apiserver's discovery.

use apimachinery::value::Value;
use http::Method;

use super::{Answer, Api, Ask};

/// A resource of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `v1`, `apps/v1`.
    pub api_version: String,
    /// Plural name, as in URLs.
    pub plural: String,
    /// Kind.
    pub kind: String,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// Other names: the singular and the short ones.
    names: Vec<String>,
}

/// A kind that the apiserver does not serve.
#[derive(Debug, thiserror::Error)]
#[error("the apiserver serves no {0}")]
pub struct Unknown(pub String);

impl Resource {
    /// The URL of all objects (in a namespace), or of one of them.
    #[must_use]
    pub fn path(&self, namespace: &str, name: &str) -> String {
        let root = if self.api_version.contains('/') { "apis" } else { "api" };
        let mut path = format!("/{root}/{}", self.api_version);
        if self.namespaced && !namespace.is_empty() {
            path.push_str(&format!("/namespaces/{namespace}"));
        }
        path.push_str(&format!("/{}", self.plural));
        if !name.is_empty() {
            path.push_str(&format!("/{name}"));
        }
        path
    }
}

/// The resources of an apiserver.
#[derive(Clone, Debug, Default)]
pub struct Kinds(Vec<Resource>);

impl Kinds {
    /// Asks for every group's preferred version, and for further versions after those.
    pub async fn discover(api: &dyn Api) -> Self {
        let mut kinds = Self::default();
        kinds.add("v1", &api.ask(Ask::new(Method::GET, "/api/v1")).await);
        let groups = api.ask(Ask::new(Method::GET, "/apis")).await;
        let (mut preferred, mut others) = (Vec::new(), Vec::new());
        for group in groups.body["groups"].as_array().into_iter().flatten() {
            let first = group["preferredVersion"]["groupVersion"].as_str().unwrap_or_default();
            for version in group["versions"].as_array().into_iter().flatten() {
                let Some(version) = version["groupVersion"].as_str() else { continue };
                if version == first { preferred.push(version) } else { others.push(version) }
            }
        }
        for version in preferred.into_iter().chain(others) {
            kinds.add(version, &api.ask(Ask::new(Method::GET, format!("/apis/{version}"))).await);
        }
        kinds
    }

    fn add(&mut self, api_version: &str, answer: &Answer) {
        for resource in answer.body["resources"].as_array().into_iter().flatten() {
            let text = |key: &str| resource[key].as_str().unwrap_or_default();
            let plural = text("name");
            if plural.is_empty() || plural.contains('/') {
                continue;
            }
            let short = resource["shortNames"].as_array().into_iter().flatten().filter_map(Value::as_str);
            self.0.push(Resource {
                api_version: api_version.to_owned(),
                plural: plural.to_owned(),
                kind: text("kind").to_owned(),
                namespaced: resource["namespaced"] == Value::Bool(true),
                names: short.chain([text("singularName")]).map(str::to_owned).collect(),
            });
        }
    }

    /// The resource that an object belongs to, by its `apiVersion` and `kind`.
    ///
    /// # Errors
    /// [`Unknown`].
    pub fn of(&self, object: &Value) -> Result<&Resource, Unknown> {
        let text = |key: &str| object[key].as_str().unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let found = self.0.iter().find(|resource| resource.api_version == version && resource.kind == kind);
        found.ok_or_else(|| Unknown(format!("{kind} of {version}")))
    }

    /// The resource that a word means: kind, plural, singular or short name in any case, or `plural.group`.
    ///
    /// # Errors
    /// [`Unknown`].
    pub fn named(&self, word: &str) -> Result<&Resource, Unknown> {
        let word = word.to_lowercase();
        let (name, group) = word.split_once('.').unwrap_or((&word, ""));
        let found = self.0.iter().find(|resource| {
            let of_group = resource.api_version.split_once('/').map_or("", |(group, _)| group);
            (group.is_empty() || group == of_group)
                && (resource.plural == name
                    || resource.kind.to_lowercase() == name
                    || resource.names.iter().any(|other| other == name))
        });
        found.ok_or_else(|| Unknown(format!("{word:?}")))
    }
}
