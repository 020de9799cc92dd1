//! An injector's settings: the texts as they lie in ConfigMaps, what is in them, and which era of Istio they are from.

use std::collections::BTreeMap;

use apimachinery::value::{Map, Value};
use apimachinery::yaml;

use crate::template;

/// What an injector is loaded from. Texts are YAML or JSON.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The text of the ConfigMap's `config` key, or the whole ConfigMap manifest.
    pub inject_config: String,
    /// The `values`; without them those of the ConfigMap manifest, if there is one.
    pub values: Option<String>,
    /// The mesh configuration, laid over the era's built-in defaults.
    pub mesh_config: Option<String>,
    /// The revision; `None` is Istio's `default`.
    pub revision: Option<String>,
    /// A `v1` List of Node, Namespace and ProxyConfig objects that an injector would watch in a cluster.
    pub cluster_objects: Option<String>,
    /// What the process's environment says.
    pub environment: Environment,
}

/// The environment variables that steer injection. Nothing here reads the process's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `ENABLE_NATIVE_SIDECARS`.
    pub native_sidecars: NativeSidecars,
    /// `PLATFORM=openshift`.
    pub openshift: bool,
    /// `COMPLIANCE_POLICY`, such as `fips-140-3`; empty for none.
    pub compliance_policy: String,
    /// All variables, for the template function `env`.
    pub variables: BTreeMap<String, String>,
}

/// Whether the proxy becomes a native sidecar (an init container with `restartPolicy: Always`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NativeSidecars {
    /// Where the kubelets can do it.
    #[default]
    Auto,
    /// Always.
    Enabled,
    /// Never.
    Disabled,
}

impl Environment {
    /// Reads the variables that Istio's injector reads. `ENABLE_NATIVE_SIDECARS` other than `true`, `false`, `auto` counts
    /// as `false`.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables: BTreeMap<String, String> = variables.into_iter().collect();
        let get = |name: &str| variables.get(name).map_or("", String::as_str);
        Self {
            native_sidecars: match get("ENABLE_NATIVE_SIDECARS") {
                "" | "auto" => NativeSidecars::Auto,
                "true" => NativeSidecars::Enabled,
                _ => NativeSidecars::Disabled,
            },
            openshift: get("PLATFORM").eq_ignore_ascii_case("openshift"),
            compliance_policy: get("COMPLIANCE_POLICY").to_owned(),
            variables,
        }
    }
}

/// The generations of Istio's injector configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 1.0 and 1.1: `template:` with `[[ ]]`.
    SquareBrackets,
    /// 1.2 to 1.8: one `template:` with `{{ }}`.
    SingleTemplate,
    /// 1.9 to today: `templates:` by name, rendering a pod overlay.
    Modern,
}

impl Era {
    /// The releases, for people.
    pub const fn releases(self) -> &'static str {
        match self {
            Self::SquareBrackets => "Istio 1.0 to 1.1",
            Self::SingleTemplate => "Istio 1.2 to 1.8",
            Self::Modern => "Istio 1.9 and later",
        }
    }
}

/// Why settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text is not YAML.
    #[error("{part}: not YAML, line {}: {source}", source.line)]
    Yaml {
        /// Which of the settings.
        part: &'static str,
        /// Where and what.
        #[source]
        source: yaml::Error,
    },
    /// A text holds something else than it should.
    #[error("{part}: {message}")]
    Content {
        /// Which of the settings.
        part: &'static str,
        /// What is wrong, naming the key and the remedy.
        message: String,
    },
    /// A template does not parse.
    #[error("inject config: {0}")]
    Template(#[from] template::Error),
}

impl Error {
    /// Which of the settings it is about: `inject config`, `values`, `mesh config` or `cluster objects`.
    pub fn part(&self) -> &'static str {
        match self {
            Self::Yaml { part, .. } | Self::Content { part, .. } => part,
            Self::Template(_) => "inject config",
        }
    }

    pub(crate) fn content(part: &'static str, message: impl Into<String>) -> Self {
        Self::Content { part, message: message.into() }
    }
}

/// The settings, parsed.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) era: Era,
    /// The `config` document's keys.
    pub(crate) config: Map,
    /// The values; an empty object if there are none.
    pub(crate) values: Value,
    /// The user's mesh configuration alone; an empty object if there is none.
    pub(crate) mesh: Value,
    /// As given.
    pub(crate) revision: Option<String>,
    /// The items of the cluster objects' List.
    pub(crate) objects: Vec<Value>,
    pub(crate) environment: Environment,
}

impl Parts {
    pub(crate) fn read(settings: Settings) -> Result<Self, Error> {
        let mut values_text = settings.values;
        let mut config = document("inject config", &settings.inject_config)?;
        if config.get("kind").and_then(Value::as_str) == Some("ConfigMap") {
            let data = config.get("data").and_then(Value::as_object);
            let key = |name: &str| data.and_then(|d| d.get(name)).and_then(Value::as_str).map(str::to_owned);
            values_text = values_text.or_else(|| key("values"));
            let Some(text) = key("config") else {
                return Err(Error::content("inject config", "the ConfigMap has no key `config` in its data"));
            };
            config = document("inject config", &text)?;
        }
        let values = object("values", values_text.as_deref())?;
        let mesh = object("mesh config", settings.mesh_config.as_deref())?;
        let era = era(&config)?;
        let objects = cluster_objects(settings.cluster_objects.as_deref())?;
        let environment = settings.environment;
        Ok(Self { era, config, values, mesh, revision: settings.revision, objects, environment })
    }
}

/// One YAML mapping.
fn document(part: &'static str, text: &str) -> Result<Map, Error> {
    match yaml::parse(text).map_err(|source| Error::Yaml { part, source })? {
        Value::Object(map) => Ok(map),
        Value::Null => Err(Error::content(part, "it is empty")),
        _ => Err(Error::content(part, "it is not a mapping of keys to values")),
    }
}

/// An optional YAML mapping; absent and empty are an empty object.
fn object(part: &'static str, text: Option<&str>) -> Result<Value, Error> {
    let parsed = text.map(yaml::parse).transpose().map_err(|source| Error::Yaml { part, source })?;
    match parsed {
        None | Some(Value::Null) => Ok(Value::Object(Map::new())),
        Some(map @ Value::Object(_)) => Ok(map),
        Some(_) => Err(Error::content(part, "it is not a mapping of keys to values")),
    }
}

fn era(config: &Map) -> Result<Era, Error> {
    if config.get("templates").is_some_and(|t| !t.is_null()) {
        return Ok(Era::Modern);
    }
    match config.get("template") {
        None | Some(Value::Null) => Err(Error::content(
            "inject config",
            "it has neither `templates` (Istio 1.9 and later) nor `template` (1.0 to 1.8); is it the text of the ConfigMap's key `config`?",
        )),
        Some(Value::String(text)) if text.contains("[[") => Ok(Era::SquareBrackets),
        Some(Value::String(_)) => Ok(Era::SingleTemplate),
        Some(_) => Err(Error::content("inject config", "`template` is not a text")),
    }
}

fn cluster_objects(text: Option<&str>) -> Result<Vec<Value>, Error> {
    let part = "cluster objects";
    let mut objects = Vec::new();
    for document in text.into_iter().flat_map(yaml::documents) {
        match document.map_err(|source| Error::Yaml { part, source })?.value {
            Value::Null => {}
            Value::Object(mut map) => match map.remove("items") {
                Some(Value::Array(items)) => objects.extend(items),
                Some(_) => return Err(Error::content(part, "`items` is not a list")),
                None => objects.push(Value::Object(map)),
            },
            _ => return Err(Error::content(part, "a document is not an object")),
        }
    }
    Ok(objects)
}
