//! Istio's own functions, of all releases.

use std::collections::BTreeMap;

use apimachinery::value::Value as Json;
use apimachinery::yaml;

use super::budget::fits;
use super::encoding::{escape_html, go_duration, go_json, without_nulls};
use super::{Context, Function, MANY, any, empty, int, list, map, otel, string, strval};
use crate::mesh;
use crate::value::Shape;
use crate::value::{Value, format};

type Out<'a> = Result<Value<'a>, String>;

pub(super) static TABLE: &[Function] = &[
    Function::new("formatDuration", 1, 1, |_, a| match any(a, 0) {
        Value::Duration(text) => Ok(Value::owned(go_duration(text.map_or(0, mesh::nanoseconds)))),
        Value::Nil => Ok(Value::text("0s")),
        other => Err(format!("argument 1 is a {}, expected a duration", other.type_name())),
    }),
    Function::new("isset", 2, 2, |_, a| {
        let key = string(a, 1)?;
        Ok(Value::Bool(match any(a, 0) {
            Value::Strings(m) => m.is_some_and(|m| m.contains_key(key)),
            _ => map(a, 0)?.contains_key(key),
        }))
    }),
    Function::new("annotation", 3, 3, annotation),
    Function::new("valueOrDefault", 2, 2, |_, a| {
        let value = any(a, 0);
        let unset = matches!(value, Value::Nil) || value.as_str() == Some("");
        Ok(if unset { any(a, 1) } else { value })
    }),
    Function::new("excludeInboundPort", 2, 2, |_, a| {
        Ok(Value::owned(exclude_port(&strval(&any(a, 0)), string(a, 1)?)))
    }),
    Function::new("includeInboundPorts", 1, 1, |_, a| Ok(Value::owned(ports(&list(a, 0)?, false)?))),
    Function::new("applicationPorts", 1, 1, |_, a| Ok(Value::owned(ports(&list(a, 0)?, true)?))),
    Function::new("kubevirtInterfaces", 1, 1, |_, a| Ok(Value::owned(string(a, 0)?))),
    Function::new("excludeInterfaces", 1, 1, |_, a| Ok(Value::owned(string(a, 0)?))),
    Function::new("toJSON", 1, 1, json_map),
    Function::new("toJson", 1, 1, json_map),
    Function::new("structToJSON", 1, 1, |_, a| Ok(Value::owned(go_json_or_empty(&any(a, 0))))),
    Function::new("protoToJSON", 1, 1, proto_to_json),
    // A value that is not JSON counts as the *text* `{}`: ranging over it fails, and with it the injection.
    Function::new("fromJSON", 1, 1, |_, a| {
        Ok(serde_json::from_str(string(a, 0)?).map_or_else(|_| Value::text("{}"), Value::from_json))
    }),
    Function::new("toYaml", 1, 1, |_, a| Ok(Value::owned(to_yaml(&any(a, 0).to_json())))),
    Function::new("indent", 2, 2, |_, a| {
        let n = usize::try_from(int(a, 0)?).map_err(|_| "negative indentation")?.min(1000);
        let text = string(a, 1)?;
        fits(text.matches('\n').count() * n + text.len())?;
        Ok(Value::owned(text.replace('\n', &format!("\n{}", " ".repeat(n)))))
    }),
    Function::new("directory", 1, 1, |_, a| {
        let path = string(a, 0)?;
        Ok(Value::owned(path.rfind('/').and_then(|i| path.get(..=i)).unwrap_or("")))
    }),
    Function::new("contains", 2, 2, |_, a| Ok(Value::Bool(string(a, 1)?.contains(string(a, 0)?)))),
    Function::new("toLower", 1, 1, |_, a| Ok(Value::owned(string(a, 0)?.to_lowercase()))),
    Function::new("appendMultusNetwork", 2, 2, |_, a| Ok(Value::owned(append_network(string(a, 0)?, string(a, 1)?)))),
    Function::new("env", 2, 2, |c, a| {
        let key = string(a, 0)?;
        Ok(Value::owned(c.environment.get(key).map_or(string(a, 1)?, String::as_str)))
    }),
    Function::new("omit", 1, MANY, |_, a| {
        let mut out = map(a, 0)?;
        for n in 1..a.len() {
            out.remove(string(a, n)?);
        }
        Ok(Value::map(out))
    }),
    Function::new("strdict", 0, MANY, |_, a| {
        let mut out = BTreeMap::new();
        for pair in a.chunks(2) {
            let value = pair.get(1).map(strval).unwrap_or_default();
            out.insert(pair.first().map(strval).unwrap_or_default(), Value::owned(value));
        }
        Ok(Value::map(out))
    }),
    Function::new("mergeMaps", 0, MANY, |_, a| Ok(Value::map(merged(a)?))),
    Function::new("toJsonMap", 0, MANY, |_, a| Ok(Value::owned(go_json(&Value::map(merged(a)?))))),
    Function::new("omitNil", 1, 1, |_, a| Ok(without_nulls(any(a, 0).to_json()).map_or(Value::Nil, Value::from_json))),
    Function::new("otelResourceAttributes", 5, 5, otel::resource_attributes),
    Function::new("render", 1, 1, |c, a| match c.render {
        Some(render) => Ok(Value::owned(render(string(a, 0)?))),
        None => Err("only Istio 1.3 to 1.8 have it".to_owned()),
    }),
];

/// `annotation meta name default`: the annotation if it is there, even empty; else the default as text.
fn annotation<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    let name = string(a, 1)?;
    let annotations = any(a, 0).field("Annotations")?;
    let found = match &annotations {
        Value::Strings(map) => map.and_then(|m| m.get(name)).map(Value::free),
        other => other.entries().and_then(|mut m| m.remove(name)),
    };
    Ok(match found {
        Some(value) => value,
        None => match any(a, 2) {
            text @ Value::String(_) => text,
            other => Value::owned(format::sprint(&other)),
        },
    })
}

fn exclude_port(port: &str, list: &str) -> String {
    let port = port.trim();
    if port.is_empty() || port == "0" {
        return list.to_owned();
    }
    let mut items: Vec<&str> = list.split(',').map(str::trim).filter(|s| !s.is_empty()).collect();
    if items.contains(&port) {
        return list.to_owned();
    }
    items.push(port);
    items.join(",")
}

/// The containers' ports as a comma list; UDP and SCTP are not the proxy's business.
fn ports(containers: &[Value<'_>], without_proxy: bool) -> Result<String, String> {
    let mut out = Vec::new();
    for container in containers {
        if without_proxy && container.field("Name")?.as_str() == Some("istio-proxy") {
            continue;
        }
        for (_, port) in container.field("Ports")?.items()? {
            let protocol = port.field("Protocol")?;
            if !matches!(protocol.as_str(), Some("UDP" | "SCTP")) {
                out.push(strval(&port.field("ContainerPort")?));
            }
        }
    }
    Ok(out.join(","))
}

/// JSON of a string map; `{}` for nil.
fn json_map<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    Ok(Value::owned(go_json_or_empty(&any(a, 0))))
}

fn go_json_or_empty(value: &Value<'_>) -> String {
    if matches!(value, Value::Nil | Value::Strings(None) | Value::Struct(None, _)) {
        return "{}".to_owned();
    }
    go_json(value)
}

/// A ProxyConfig without the fields that equal the built-in defaults.
fn proto_to_json<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    let value = any(a, 0);
    let json = match &value {
        Value::Struct(Some(json), Shape::Message(message))
            if std::ptr::eq(*message, &raw const mesh::shape::PROXY_CONFIG) =>
        {
            mesh::without_defaults(json)
        }
        Value::Struct(..) => value.to_json(),
        Value::Nil => return Ok(Value::text("{}")),
        other => return Err(format!("argument 1 is a {}, expected a message", other.type_name())),
    };
    Ok(Value::owned(if json.is_null() { "{}".to_owned() } else { escape_html(&json.to_string()) }))
}

pub(super) fn to_yaml(json: &Json) -> String {
    let text = yaml::to_string(json);
    if text.ends_with('\n') { text } else { text + "\n" }
}

/// Adds a Multus network to an annotation that is a comma list or a JSON list.
fn append_network(existing: &str, network: &str) -> String {
    if existing.is_empty() {
        return network.to_owned();
    }
    if let Some(end) = existing.rfind(']') {
        let (namespace, name) = network.split_once('/').unwrap_or(("", network));
        let Ok(Json::Array(items)) = serde_json::from_str::<Json>(existing) else { return existing.to_owned() };
        let is_it = |item: &Json| {
            let get = |k: &str| item.get(k).and_then(Json::as_str).unwrap_or_default();
            get("name") == name && get("namespace") == namespace
        };
        if items.iter().any(is_it) {
            return existing.to_owned();
        }
        let (head, tail) = existing.split_at(end);
        let comma = if items.is_empty() { "" } else { ", " };
        let added = apimachinery::value::json!({ "name": name, "namespace": namespace });
        return format!("{head}{comma}{added}{tail}");
    }
    if existing.split(',').any(|n| n.trim() == network) {
        return existing.to_owned();
    }
    format!("{existing}, {network}")
}

fn merged<'a>(a: &[Value<'a>]) -> Result<BTreeMap<String, Value<'a>>, String> {
    let mut out = BTreeMap::new();
    for n in 0..a.len() {
        out.extend(map(a, n)?);
    }
    Ok(out)
}

/// Whether a value is worth printing, for the attributes of OpenTelemetry.
pub(super) fn text_of(value: &Value<'_>) -> Option<String> {
    (!empty(value)).then(|| strval(value))
}
