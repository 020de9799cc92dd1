//! The annotation `sidecar.istio.io/status`: what an injection put into a pod; and what a pod looked like before one.

use std::borrow::Cow;

use apimachinery::schema;
use apimachinery::value::{List, Value};
use serde::Deserialize;

use crate::golang;
use crate::pod;

/// The annotation's name.
pub(crate) const STATUS: &str = "sidecar.istio.io/status";
/// The annotation that keeps the user's own version of injected containers.
pub(crate) const OVERRIDES: &str = "proxy.istio.io/overrides";

/// The names that an earlier injection put in.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    init_containers: Option<Vec<String>>,
    containers: Option<Vec<String>>,
}

impl Status {
    /// The status of a pod; `None` if there is none that can be read.
    pub(crate) fn of(pod: &Value) -> Option<Self> {
        let value: Value = serde_json::from_str(pod::text(pod::strings(pod, "annotations"), STATUS)?).ok()?;
        match value {
            Value::Null => Some(Self::default()),
            Value::Object(_) => apimachinery::value::from_value(value).ok(),
            _ => None,
        }
    }

    /// Whether an earlier injection put this container into that list (`containers` or `initContainers`).
    pub(crate) fn names(&self, list: &str, container: &str) -> bool {
        let names = if list == "containers" { &self.containers } else { &self.init_containers };
        names.iter().flatten().any(|n| n == container)
    }
}

/// The user's own version of injected containers.
#[derive(Debug, Default, Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Overrides {
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub(crate) containers: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub(crate) init_containers: Vec<Value>,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Value>, D::Error> {
    Ok(Option::<Vec<Value>>::deserialize(deserializer)?.unwrap_or_default())
}

impl Overrides {
    /// Those recorded in a pod's annotation; empty if there is none.
    ///
    /// # Errors
    /// Go's, for a text that is no JSON or does not hold containers.
    pub(crate) fn of(pod: &Value) -> Result<Self, String> {
        let Some(text) = pod::text(pod::strings(pod, "annotations"), OVERRIDES) else { return Ok(Self::default()) };
        let value: Value = serde_json::from_str(text).map_err(|e| golang::json(text, &e))?;
        if value.is_null() {
            return Ok(Self::default());
        }
        let spec = schema::pod().field("spec").and_then(schema::Field::object);
        let kind = |key: &str| match key {
            "containers" | "initContainers" => spec.and_then(|spec| spec.field(key)).map(|field| &field.kind),
            _ => None,
        };
        golang::decode::strict(&value, "inject.podOverrides", kind)?;
        apimachinery::value::from_value(value).map_err(|e| e.to_string())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.init_containers.is_empty()
    }

    /// The user's version of a container.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.containers.iter().chain(&self.init_containers).find(|c| pod::name(c) == name)
    }
}

/// The status annotation's text: names in the order of the rendered pod, absent lists as null.
pub(crate) fn annotation(template_pod: &Value, revision: &str) -> String {
    let names = |key: &str| {
        let list = pod::list(template_pod, key);
        if list.is_empty() { Value::Null } else { list.iter().map(|i| Value::from(pod::name(i))).collect() }
    };
    format!(
        r#"{{"initContainers":{},"containers":{},"volumes":{},"imagePullSecrets":{},"revision":{}}}"#,
        names("initContainers"),
        names("containers"),
        names("volumes"),
        names("imagePullSecrets"),
        Value::from(revision),
    )
}

/// The pod as a template should see it: without what an earlier injection put in.
///
/// A container that the user had under an injected name is there in the user's version and place.
pub(crate) fn before_injection<'a>(
    pod: &'a Value,
    status: Option<&Status>,
    overrides: &Overrides,
    agent_port: &str,
) -> Cow<'a, Value> {
    if status.is_none() && overrides.is_empty() {
        return Cow::Borrowed(pod);
    }
    let mut view = pod.clone();
    if let Some(status) = status {
        for key in ["containers", "initContainers"] {
            let own = if key == "containers" { &overrides.containers } else { &overrides.init_containers };
            let Some(list) = pod::list_mut(&mut view, key) else { continue };
            list.retain_mut(|container| {
                let name = pod::name(container).to_owned();
                if !status.names(key, &name) {
                    return true;
                }
                match own.iter().find(|c| pod::name(c) == name) {
                    Some(user) if home(key, user) == key => {
                        *container = user.clone();
                        true
                    }
                    _ => false,
                }
            });
        }
        if let Some(annotations) = view.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            if pod::text(annotations, "prometheus.io/port") == Some(agent_port) {
                for key in ["prometheus.io/port", "prometheus.io/scrape", "prometheus.io/path"] {
                    annotations.remove(key);
                }
            }
            annotations.remove(STATUS);
        }
    }
    for (key, own) in [("containers", &overrides.containers), ("initContainers", &overrides.init_containers)] {
        for user in own {
            let present = |k: &str| pod::list(&view, k).iter().any(|c| pod::name(c) == pod::name(user));
            if present("containers") || present("initContainers") {
                continue;
            }
            if let Some(spec) = pod::object_mut(&mut view, "spec") {
                let slot = spec.entry(home(key, user)).or_insert_with(|| Value::Array(List::new()));
                if slot.is_null() {
                    *slot = Value::Array(List::new());
                }
                if let Some(list) = slot.as_array_mut() {
                    list.push(user.clone());
                }
            }
        }
    }
    Cow::Owned(view)
}

/// The list that the user had a container in, from the list of the overrides that records it.
///
/// A proxy that became a native sidecar is recorded among the init containers, wherever the user had it; only one that
/// restarts can have been there from the start.
fn home(recorded: &'static str, user: &Value) -> &'static str {
    let restarts = user.get("restartPolicy").and_then(Value::as_str) == Some("Always");
    if pod::name(user) == pod::PROXY && !restarts { "containers" } else { recorded }
}
