//! The injector of Istio 1.9 and later: named templates that render an overlay for the pod.

mod flow;
mod path;

use std::borrow::Cow;
use std::collections::BTreeMap;

use apimachinery::value::{Map, Value};

use crate::config::{self, Environment, Parts};
use crate::data::cluster::Cluster;
use crate::decide::Decision;
use crate::decide::rules::{Rules, Subject, Verdict};
use crate::engine::{Engine, Error, Injected, Offline, Owner, PodRequest};
use crate::mesh;
use crate::mesh::resources::ProxyConfigs;
use crate::patch::diff::diff;
use crate::pod;
use crate::template::Template;
use flow::{Identity, Pass};

/// Everything that the configuration says, parsed.
#[derive(Debug)]
pub(crate) struct Modern {
    templates: BTreeMap<String, Template>,
    default_templates: Vec<String>,
    aliases: BTreeMap<String, Vec<String>>,
    injected_annotations: Map,
    rules: Rules,
    file_rules: Rules,
    values: Value,
    mesh: Value,
    proxy_configs: ProxyConfigs,
    cluster: Cluster,
    environment: Environment,
    /// `None`: not given; Istio's webhook then calls itself `default`.
    revision: Option<String>,
}

const PART: &str = "inject config";

impl Modern {
    pub(crate) fn load(parts: &Parts) -> Result<Self, config::Error> {
        let config = &parts.config;
        let mut templates = BTreeMap::new();
        match config.get("templates") {
            None | Some(Value::Null) => {}
            Some(Value::Object(map)) => {
                for (name, text) in map {
                    let text = match text {
                        Value::String(text) => text.as_str(),
                        Value::Null => "",
                        _ => return Err(config::Error::content(PART, format!("templates.{name} is not a text"))),
                    };
                    templates.insert(name.to_string(), Template::parse(name, text, ("{{", "}}"))?);
                }
            }
            Some(_) => return Err(config::Error::content(PART, "`templates` is not a mapping of names to texts")),
        }
        let mut default_templates = names(config.get("defaultTemplates"), "defaultTemplates")?;
        if default_templates.is_empty() {
            default_templates.push("sidecar".to_owned());
        }
        let mut aliases = BTreeMap::new();
        for (name, list) in config.get("aliases").and_then(Value::as_object).into_iter().flatten() {
            aliases.insert(name.to_string(), names(Some(list), "aliases")?);
        }
        let injected_annotations = match config.get("injectedAnnotations") {
            Some(Value::Object(map)) if map.values().all(Value::is_string) => map.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(_) => return Err(config::Error::content(PART, "`injectedAnnotations` is not a map of strings")),
        };
        let mesh = mesh::effective(&parts.mesh).map_err(|e| config::Error::content("mesh config", e))?;
        Ok(Self {
            templates,
            default_templates,
            aliases,
            injected_annotations,
            rules: Rules::new(config),
            file_rules: Rules::enabled(config),
            values: parts.values.clone(),
            mesh,
            proxy_configs: ProxyConfigs::new(&parts.objects),
            cluster: Cluster::new(&parts.objects),
            environment: parts.environment.clone(),
            revision: parts.revision.clone(),
        })
    }

    fn decide(&self, rules: &Rules, object: &Value, namespace: &str) -> Verdict {
        rules.decide(&Subject {
            host_network: object.pointer("/spec/hostNetwork").and_then(Value::as_bool).unwrap_or(false),
            namespace,
            labels: pod::strings(object, "labels"),
            annotations: pod::strings(object, "annotations"),
        })
    }

    /// The templates that a pod asks for, aliases expanded once.
    fn templates_of(&self, annotations: &Map) -> Result<Vec<&Template>, Error> {
        let asked: Vec<&str> = match pod::text(annotations, "inject.istio.io/templates") {
            Some(text) => text.split(',').map(str::trim).collect(),
            None => self.default_templates.iter().map(String::as_str).collect(),
        };
        let mut out = Vec::new();
        for name in asked {
            match self.aliases.get(name) {
                Some(names) => {
                    for name in names {
                        out.push(self.template(name)?);
                    }
                }
                None => out.push(self.template(name)?),
            }
        }
        Ok(out)
    }

    fn template(&self, name: &str) -> Result<&Template, Error> {
        self.templates.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.templates.keys().map(String::as_str).collect();
            Error::UnknownTemplate { name: name.to_owned(), known: known.join(", ") }
        })
    }
}

/// A list of names.
fn names(value: Option<&Value>, key: &str) -> Result<Vec<String>, config::Error> {
    let wrong = || config::Error::content(PART, format!("`{key}` is not a list of names"));
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(|i| i.as_str().map(str::to_owned).ok_or_else(wrong)).collect(),
        Some(_) => Err(wrong()),
    }
}

impl Engine for Modern {
    fn decide(&self, request: &PodRequest<'_>) -> Decision {
        let own = request.object.pointer("/metadata/namespace").and_then(Value::as_str).filter(|n| !n.is_empty());
        self.decide(&self.rules, request.object, own.unwrap_or(request.namespace)).decision
    }

    fn admit(&self, request: &PodRequest<'_>) -> Result<Injected, Error> {
        let object = request.object;
        pod::check(object).map_err(|e| Error::no_pod(object, e))?;
        let own = object.pointer("/metadata/namespace").and_then(Value::as_str).filter(|n| !n.is_empty());
        let namespace = own.unwrap_or(request.namespace);
        let Verdict { decision, mut warnings } = self.decide(&self.rules, object, namespace);
        if !decision.inject {
            return Ok(Injected { patch: Vec::new(), decision, warnings });
        }
        let revision = self.revision.as_deref().unwrap_or("default");
        let variables = path::variables(request.path, &mut warnings);
        let pass = Pass { object, namespace, identity: Identity::Pod, revision, variables, printed: request.printed };
        let injected = self.inject(pass, &mut warnings)?;
        let patch = diff(object, injected, apimachinery::schema::pod());
        Ok(Injected { patch, decision, warnings })
    }

    fn offline(&self, mut pod: Value, owner: &Owner<'_>) -> Result<Offline, Error> {
        pod::check(&pod).map_err(|e| Error::no_pod(&pod, e))?;
        let of_owner = |k: &str| owner.metadata.get(k).and_then(Value::as_str).filter(|n| !n.is_empty());
        let namespace = of_owner("namespace").unwrap_or_default().to_owned();
        let Verdict { decision, mut warnings } = self.decide(&self.file_rules, &pod, &namespace);
        if !decision.inject {
            return Ok(Offline { pod, decision, warnings });
        }
        // Templates see a pod of the owner's namespace; the file itself keeps its form.
        let given = pod.pointer("/metadata/namespace").is_some();
        if !given
            && !namespace.is_empty()
            && let Some(metadata) = pod::object_mut(&mut pod, "metadata")
        {
            metadata.insert("namespace".to_owned(), namespace.clone().into());
        }
        let identity = if owner.kind == "Pod" {
            Identity::Pod
        } else {
            Identity::Owner {
                kind: Cow::Borrowed(owner.kind),
                api_version: Cow::Borrowed(owner.api_version),
                name: Cow::Borrowed(of_owner("name").unwrap_or_default()),
                namespace: Cow::Borrowed(&namespace),
            }
        };
        let revision = self.revision.as_deref().unwrap_or_default();
        let pass =
            Pass { object: &pod, namespace: &namespace, identity, revision, variables: Vec::new(), printed: None };
        let mut injected = self.inject(pass, &mut warnings)?;
        if !given && let Some(metadata) = injected.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("namespace");
        }
        Ok(Offline { pod: injected, decision, warnings })
    }
}
