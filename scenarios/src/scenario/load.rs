//! From a file to a [`Scenario`].

use std::path::{Path, PathBuf};

use apimachinery::value::{List, Map, Value, json};
use apimachinery::yaml;
use injector::boxed::Boxed;

use super::position::Lines;
use super::reader::{At, Error, Source};
use super::{Backend, Cluster, InjectorSource, Scenario, Webhook, steps};

/// Where the files that a scenario names are found.
#[derive(Clone, Debug)]
pub enum Files {
    /// Beside the scenario, in this directory.
    Directory(PathBuf),
    /// In this program: pairs of name and text.
    Embedded(&'static [(&'static str, &'static str)]),
}

impl Files {
    fn read(&self, name: &str) -> Result<String, std::io::Error> {
        match self {
            Self::Directory(directory) => std::fs::read_to_string(directory.join(name)),
            Self::Embedded(files) => files
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, text)| (*text).to_owned())
                .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::NotFound, "no such file in the box")),
        }
    }

    fn at(&self, at: &At<'_>, name: &str) -> Result<String, Error> {
        self.read(name).map_err(|error| at.error(format!("cannot read {name}: {error}")))
    }

    /// Objects: a file of YAML documents, an object, or a list of either. Lists (`kind: List`) are taken apart.
    pub(super) fn objects(&self, at: &At<'_>) -> Result<Vec<Value>, Error> {
        let mut objects = List::new();
        for item in at.one_or_list() {
            match item.value {
                Value::String(name) => {
                    let text = self.at(&item, name)?;
                    for document in yaml::documents(&text) {
                        let document = document
                            .map_err(|error| item.error(format!("{name}:{}: {}", error.line, error.message)))?;
                        if !document.value.is_null() {
                            let line = document.line;
                            flatten(document.value, &mut objects)
                                .map_err(|message| item.error(format!("{name}:{line}: {message}")))?;
                        }
                    }
                }
                Value::Object(_) => {
                    flatten(item.value.clone(), &mut objects).map_err(|message| item.error(message))?;
                }
                _ => return Err(item.error("want an object, or the name of a file with objects")),
            }
        }
        if objects.is_empty() {
            return Err(at.error("holds no object"));
        }
        Ok(objects.into())
    }
}

fn flatten(object: Value, into: &mut List) -> Result<(), String> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    if text("kind").ends_with("List") && object.get("items").is_some_and(Value::is_array) {
        let Some(Value::Array(items)) = object.get("items").cloned() else { return Ok(()) };
        return items.into_iter().try_for_each(|item| flatten(item, into));
    }
    for key in ["apiVersion", "kind"] {
        if text(key).is_empty() {
            return Err(format!("object without {key}"));
        }
    }
    into.push(object);
    Ok(())
}

/// Reads a scenario's text. `file` is for messages.
///
/// # Errors
/// With file, line, field and remedy; see [`Error`].
pub fn load(file: &str, text: &str, files: &Files) -> Result<Scenario, Error> {
    let value = yaml::parse(text).map_err(|error| Error::Yaml {
        file: file.to_owned(),
        line: error.line,
        message: error.message,
    })?;
    let lines = Lines::of(text);
    let source = Source { file, lines: &lines };
    let root = At::root(&source, &value);
    root.map(&["scenario", "description", "seed", "cluster", "steps"])?;
    let cluster = match root.get("cluster") {
        Some(at) => cluster(&at, files)?,
        None => Cluster::default(),
    };
    let steps = root.need("steps")?;
    let steps: Vec<_> = steps.list()?.iter().map(|at| steps::read(at, files)).collect::<Result<_, _>>()?;
    check_names(&root, &cluster, &steps)?;
    Ok(Scenario {
        title: root.need("scenario")?.text()?.to_owned(),
        description: root.get("description").map(|at| at.text()).transpose()?.unwrap_or_default().to_owned(),
        file: file.to_owned(),
        seed: root.get("seed").map(|at| at.number()).transpose()?.unwrap_or(1),
        cluster,
        steps,
    })
}

/// Every webhook that a step names is one of the cluster's.
fn check_names(root: &At<'_>, cluster: &Cluster, steps: &[steps::Step]) -> Result<(), Error> {
    let known: Vec<&str> = cluster.webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
    let Some(list) = root.get("steps") else { return Ok(()) };
    for (at, step) in list.list()?.iter().zip(steps) {
        let mut named = Vec::new();
        match &step.kind {
            steps::StepKind::Fault(fault) => named.push(&fault.webhook),
            steps::StepKind::Expect(expect) => {
                named.extend(expect.calls.iter().flatten().map(|call| &call.webhook));
                named.extend(expect.not_called.iter().map(|(name, _)| name));
            }
            _ => {}
        }
        if let Some(name) = named.iter().find(|name| !known.contains(&name.as_str())) {
            let known = if known.is_empty() {
                "cluster.webhooks has none".into()
            } else {
                format!("known are {}", known.join(", "))
            };
            return Err(at.error(format!("no webhook {name:?}; {known}")));
        }
    }
    Ok(())
}

fn cluster(at: &At<'_>, files: &Files) -> Result<Cluster, Error> {
    at.map(&["namespaces", "webhooks", "objects"])?;
    let mut cluster = Cluster::default();
    if let Some(namespaces) = at.get("namespaces") {
        if namespaces.value.is_array() {
            cluster.namespaces = namespaces.texts()?.into_iter().map(|name| (name, Map::new())).collect();
        } else {
            for (name, labels) in namespaces.any_map()? {
                let at = namespaces.child(name, labels);
                let labels = if labels.is_null() { Map::new() } else { at.any_map()?.clone() };
                if let Some((key, _)) = labels.iter().find(|(_, label)| !label.is_string()) {
                    return Err(at.error(format!("label {key:?} has to be a string: quote it")));
                }
                cluster.namespaces.push((name.clone().into(), labels));
            }
        }
    }
    if let Some(webhooks) = at.get("webhooks") {
        for (index, at) in webhooks.list()?.iter().enumerate() {
            let webhook = webhook(at, index, files)?;
            if cluster.webhooks.iter().any(|other| other.name == webhook.name) {
                return Err(at.error(format!("a second webhook named {:?}: give it another name", webhook.name)));
            }
            cluster.webhooks.push(webhook);
        }
    }
    if let Some(objects) = at.get("objects") {
        cluster.objects = files.objects(&objects)?;
    }
    Ok(cluster)
}

/// Fields of a webhook's entry that are passed on as they are.
const ENTRY: [&str; 9] = [
    "failurePolicy",
    "timeoutSeconds",
    "reinvocationPolicy",
    "namespaceSelector",
    "objectSelector",
    "matchConditions",
    "matchPolicy",
    "rules",
    "admissionReviewVersions",
];

fn webhook(at: &At<'_>, index: usize, files: &Files) -> Result<Webhook, Error> {
    let own = [
        "name",
        "injector",
        "values",
        "meshConfig",
        "reply",
        "url",
        "ca",
        "service",
        "path",
        "register",
        "validating",
        "sideEffects",
    ];
    let known: Vec<&str> = own.into_iter().chain(ENTRY).collect();
    let map = at.map(&known)?;
    let kinds: Vec<&str> = ["injector", "reply", "url"].into_iter().filter(|kind| at.get(kind).is_some()).collect();
    let backend = match kinds[..] {
        ["injector"] => Backend::Injector(Box::new(injector(at, files)?)),
        ["reply"] => {
            let reply = at.need("reply")?;
            reply.map(&["allowed", "status", "patch", "warnings", "auditAnnotations"])?;
            Backend::Reply(reply.value.clone())
        }
        ["url"] => {
            let ca = at.need("ca")?.text()?;
            let ca = match files {
                Files::Directory(directory) => directory.join(ca),
                Files::Embedded(_) => PathBuf::from(ca),
            };
            Backend::Url { url: at.need("url")?.text()?.to_owned(), ca }
        }
        _ => return Err(at.error("one of injector, reply and url is needed")),
    };
    let default = if index == 0 { kinds[0].to_owned() } else { format!("{}-{}", kinds[0], index + 1) };
    let name = at.get("name").map(|at| at.text().map(str::to_owned)).transpose()?.unwrap_or(default);
    let service = match at.get("service") {
        None => ("istio-system".to_owned(), format!("towtank-{name}"), 443),
        Some(at) => service(at.text()?)
            .ok_or_else(|| at.error("want namespace/name or namespace/name:port, such as istio-system/istiod:443"))?,
    };
    let mut fields: Map =
        map.iter().filter(|(key, _)| ENTRY.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    let side_effects = at.get("sideEffects").map_or_else(|| json!("None"), |at| at.value.clone());
    fields.insert("sideEffects".to_owned(), side_effects);
    let path = at.get("path").map(|at| at.text()).transpose()?.unwrap_or("/inject").to_owned();
    Ok(Webhook {
        name,
        backend,
        service,
        path,
        register: at.get("register").map(|at| at.boolean()).transpose()?.unwrap_or(true),
        validating: at.get("validating").map(|at| at.boolean()).transpose()?.unwrap_or(false),
        fields,
    })
}

fn injector(at: &At<'_>, files: &Files) -> Result<InjectorSource, Error> {
    let source = at.need("injector")?;
    let text = |at: At<'_>| match at.value {
        Value::String(name) => files.at(&at, name),
        value => Ok(yaml::to_string(value)),
    };
    if let Some(map) = source.get("configMap") {
        source.map(&["configMap"])?;
        let (namespace, name) = map
            .text()?
            .split_once('/')
            .ok_or_else(|| map.error("want namespace/name, such as istio-system/istio-sidecar-injector"))?;
        return Ok(InjectorSource::ConfigMap(namespace.to_owned(), name.to_owned()));
    }
    let (values, mesh) = (at.get("values").map(text).transpose()?, at.get("meshConfig").map(text).transpose()?);
    // `modern` and `1.0` are in the box; a file of that name has an ending.
    if let Some(boxed) = source.value.as_str().and_then(Boxed::named) {
        let mesh = mesh.or_else(|| Some(boxed.mesh.to_owned()));
        return Ok(InjectorSource::Texts { config: boxed.config_map.to_owned(), values, mesh });
    }
    Ok(InjectorSource::Texts { config: text(source)?, values, mesh })
}

fn service(text: &str) -> Option<(String, String, u16)> {
    let (namespace, name) = text.split_once('/')?;
    let (name, port) = match name.split_once(':') {
        Some((name, port)) => (name, port.parse().ok()?),
        None => (name, 443),
    };
    (!namespace.is_empty() && !name.is_empty()).then(|| (namespace.to_owned(), name.to_owned(), port))
}

impl Scenario {
    /// Reads a scenario file; files that it names are looked for beside it.
    ///
    /// # Errors
    /// As [`load`].
    pub fn from_path(path: &Path) -> Result<Self, Error> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read { file: file.clone(), source })?;
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        load(&file, &text, &Files::Directory(directory))
    }
}
