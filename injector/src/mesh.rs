//! Istio's mesh configuration: built-in defaults, what users lay over them, ProxyConfig resources and annotations.

pub(crate) mod resources;
pub mod shape;
pub(crate) mod validate;

use std::sync::LazyLock;

use apimachinery::value::{Map, Value, json};

use shape::{Kind, Message};

/// The ProxyConfig that an empty mesh configuration has.
static DEFAULT_PROXY_CONFIG: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "configPath": "./etc/istio/proxy",
        "binaryPath": "/usr/local/bin/envoy",
        "serviceCluster": "istio-proxy",
        "drainDuration": "45s",
        "terminationDrainDuration": "5s",
        "proxyAdminPort": 15000,
        "controlPlaneAuthPolicy": "MUTUAL_TLS",
        "discoveryAddress": "istiod.istio-system.svc:15012",
        "statNameLength": 189,
        "statusPort": 15020,
    })
});

/// The fields of the mesh configuration that templates or the injector read and that have a default.
fn default_mesh() -> Value {
    json!({
        "proxyListenPort": 15001,
        "proxyInboundListenPort": 15006,
        "connectTimeout": "10s",
        "ingressClass": "istio",
        "ingressService": "istio-ingressgateway",
        "ingressControllerMode": "STRICT",
        "ingressSelector": "ingressgateway",
        "enableTracing": true,
        "accessLogFile": "",
        "accessLogEncoding": "TEXT",
        "dnsRefreshRate": "60s",
        "rootNamespace": "istio-system",
        "trustDomain": "cluster.local",
        "enableAutoMtls": true,
        "enablePrometheusMerge": true,
        "outboundTrafficPolicy": { "mode": "ALLOW_ANY" },
        "defaultConfig": *DEFAULT_PROXY_CONFIG,
    })
}

/// The effective mesh configuration: the user's over the defaults.
pub(crate) fn effective(user: &Value) -> Result<Value, String> {
    let user = canonical(user, &shape::MESH_CONFIG)?;
    let mut mesh = default_mesh();
    let (Value::Object(base), Value::Object(user)) = (&mut mesh, user) else { return Ok(mesh) };
    for (key, value) in user {
        if key == "defaultConfig" {
            if let Some(config) = base.get_mut("defaultConfig") {
                lay_over(config, value);
            }
        } else {
            base.insert(key, value);
        }
    }
    Ok(mesh)
}

/// Lays one ProxyConfig over another: `proxyMetadata` key by key, everything else replaced.
pub(crate) fn lay_over(base: &mut Value, over: Value) {
    let (Value::Object(base), Value::Object(over)) = (base, over) else { return };
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (_, Value::Null) => {}
            (Some(Value::Object(old)), Value::Object(new)) if key == "proxyMetadata" => old.extend(new),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// A ProxyConfig without the fields that equal the built-in defaults.
pub(crate) fn without_defaults(config: &Value) -> Value {
    let fields = config.as_object().into_iter().flatten();
    let kept: Map = fields
        .filter(|(key, value)| {
            let zero = match value {
                Value::Null => true,
                Value::String(s) => s.is_empty() || key.as_str() == "interceptionMode" && s == "REDIRECT",
                Value::Object(m) => m.is_empty() && key.as_str() == "proxyMetadata",
                Value::Array(a) => a.is_empty(),
                _ => false,
            };
            !zero && DEFAULT_PROXY_CONFIG.get(key.as_str()) != Some(*value)
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Value::Object(kept)
}

/// A message's JSON with canonical names (`proxy_metadata` is `proxyMetadata`), unknown fields left out, types checked.
pub(crate) fn canonical(json: &Value, message: &Message) -> Result<Value, String> {
    let Value::Object(object) = json else {
        return Err(format!("{} is not a mapping", message.name));
    };
    let mut out = Map::new();
    for (key, value) in object {
        let camel = camel_case(key);
        let Some(field) = message.fields.iter().find(|f| f.name == key || f.name == camel) else { continue };
        if value.is_null() {
            continue;
        }
        let value = check(value, field.kind).map_err(|e| format!("{}: {e}", field.name))?;
        out.insert(field.name.to_owned(), value);
    }
    Ok(Value::Object(out))
}

fn check(value: &Value, kind: Kind) -> Result<Value, String> {
    let fine = match kind {
        Kind::String | Kind::Enum(_) => value.is_string(),
        Kind::Bool => value.is_boolean(),
        // Protobuf's JSON takes numbers as text too.
        Kind::Int => match value.as_str().map(str::parse::<i64>) {
            Some(Ok(n)) => return Ok(n.into()),
            Some(Err(_)) => false,
            None => value.as_f64().is_some_and(|f| f.fract() == 0.0),
        },
        Kind::Number => value.is_number(),
        Kind::Duration => value.as_str().is_some_and(|s| parse_duration(s).is_some()),
        Kind::Wrapper => value.is_number() || value.is_boolean() || value.is_string(),
        Kind::Message(message) => return canonical(value, message),
        Kind::Open => value.is_object(),
        Kind::Strings => match value {
            Value::Object(map) if map.values().all(Value::is_string) => true,
            Value::Object(_) => return Err("the values have to be strings".to_owned()),
            _ => false,
        },
        Kind::List | Kind::Messages => value.is_array(),
    };
    if fine { Ok(value.clone()) } else { Err(format!("{value} is of the wrong type")) }
}

fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                out.extend(c.to_uppercase());
                upper = false;
            }
            c => out.push(c),
        }
    }
    out
}

/// A protobuf duration (`1.5s`) in nanoseconds.
fn parse_duration(text: &str) -> Option<i128> {
    let number = text.strip_suffix('s')?;
    let (sign, number) = number.strip_prefix('-').map_or((1, number), |n| (-1, n));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 || whole.is_empty() || whole.len() > 12 {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let nanos: i128 = if fraction.is_empty() { 0 } else { format!("{fraction:0<9}").parse().ok()? };
    Some(sign * (whole * 1_000_000_000 + nanos))
}

/// A duration field in nanoseconds; nonsense counts as 0.
pub(crate) fn nanoseconds(text: &str) -> i128 {
    parse_duration(text).unwrap_or(0)
}
