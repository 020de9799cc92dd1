//! What counts as the same Kubernetes object: equal after typed encoding has dropped what it drops.

use apimachinery::value::{Map, Value};

/// Fields that the typed encoding leaves out when they hold the zero value.
const ZERO_OMITTED: &[&str] = &[
    "value",
    "subPath",
    "medium",
    "readOnly",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "stdin",
    "stdinOnce",
    "tty",
    "hostPort",
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
];
const EMPTY_MAP_OMITTED: &[&str] = &[
    "resources",
    "status",
    "labels",
    "annotations",
    "nodeSelector",
    "limits",
    "requests",
    "matchLabels",
    "overhead",
    "strategy",
    "updateStrategy",
];

/// The object in the form in which equal means equal.
pub(crate) fn normal(value: &Value) -> Value {
    object(value, "")
}

fn object(value: &Value, key: &str) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|i| object(i, "")).collect(),
        Value::Object(map) => {
            let mut out = Map::new();
            for (k, v) in map {
                let v = match key {
                    "annotations" => json_text(v),
                    "labels" | "matchLabels" | "nodeSelector" => v.clone(),
                    "limits" | "requests" | "overhead" => quantity(v),
                    _ if k == "divisor" || k == "sizeLimit" => quantity(v),
                    _ if k == "value" && map.contains_key("name") => json_text(v),
                    _ => object(v, k),
                };
                let dropped = match &v {
                    Value::Null => true,
                    Value::Array(a) => a.is_empty() && key != "annotations",
                    Value::Object(m) => m.is_empty() && EMPTY_MAP_OMITTED.contains(&k.as_str()),
                    Value::String(s) => s.is_empty() && ZERO_OMITTED.contains(&k.as_str()),
                    Value::Bool(b) => !b && ZERO_OMITTED.contains(&k.as_str()),
                    Value::Number(n) => n.as_i64() == Some(0) && ZERO_OMITTED.contains(&k.as_str()),
                };
                if !dropped {
                    out.insert(k.clone(), v);
                }
            }
            Value::Object(out)
        }
        other => other.clone(),
    }
}

/// JSON kept in a string is compared by value, the version in a status left out.
fn json_text(value: &Value) -> Value {
    match value {
        Value::String(s) if s.trim_start().starts_with(['{', '[']) => match serde_json::from_str::<Value>(s) {
            Ok(mut parsed) => {
                if let Some(map) = parsed.as_object_mut() {
                    map.remove("version");
                }
                apimachinery::value::json!({ "(JSON)": parsed.to_string() })
            }
            Err(_) => value.clone(),
        },
        other => other.clone(),
    }
}

/// A quantity's value as text: `0.1` and `100m` are one.
fn quantity(value: &Value) -> Value {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let factor = match suffix {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return value.clone(),
    };
    number.parse::<f64>().map_or_else(|_| value.clone(), |n| format!("{:.6}", n * factor).into())
}

/// The differing places, for people; empty if equal.
pub(crate) fn differences(want: &Value, got: &Value) -> Vec<String> {
    let mut out = Vec::new();
    walk(&normal(want), &normal(got), "", &mut out);
    out
}

fn walk(want: &Value, got: &Value, path: &str, out: &mut Vec<String>) {
    match (want, got) {
        (Value::Object(w), Value::Object(g)) => {
            for key in w.keys().chain(g.keys().filter(|k| !w.contains_key(k))) {
                walk(
                    w.get(key).unwrap_or(&Value::Null),
                    g.get(key).unwrap_or(&Value::Null),
                    &format!("{path}/{key}"),
                    out,
                );
            }
        }
        (Value::Array(w), Value::Array(g)) => {
            for i in 0..w.len().max(g.len()) {
                walk(w.get(i).unwrap_or(&Value::Null), g.get(i).unwrap_or(&Value::Null), &format!("{path}/{i}"), out);
            }
        }
        _ if want == got => {}
        _ => {
            let short = |v: &Value| v.to_string().chars().take(160).collect::<String>();
            out.push(format!("{path}: want {}, got {}", short(want), short(got)));
        }
    }
}
