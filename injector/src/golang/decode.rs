//! What `encoding/json` says about a value that does not fit the Kubernetes type that it is decoded into.
//!
//! Mismatches are noted and decoding goes on, so the first one is reported at the end; a quantity or a port that cannot be
//! read ends it at once, and is reported whatever was noted before. Keys are looked at in alphabetical order: what is
//! decoded was encoded by Go before.

use apimachinery::go_json;
use apimachinery::schema::{Kind, Type};
use apimachinery::value::Value;

/// Go's types of strings, by JSON field; others are plain strings.
const STRINGS: [(&str, &str); 12] = [
    ("dnsPolicy", "v1.DNSPolicy"),
    ("fsGroupChangePolicy", "v1.PodFSGroupChangePolicy"),
    ("imagePullPolicy", "v1.PullPolicy"),
    ("medium", "v1.StorageMedium"),
    ("mountPropagation", "v1.MountPropagationMode"),
    ("phase", "v1.PodPhase"),
    ("preemptionPolicy", "v1.PreemptionPolicy"),
    ("procMount", "v1.ProcMountType"),
    ("protocol", "v1.Protocol"),
    ("restartPolicy", "v1.RestartPolicy"),
    ("scheme", "v1.URIScheme"),
    ("terminationMessagePolicy", "v1.TerminationMessagePolicy"),
];

/// Decodes an object of the Go type `owner` with these fields and forgets it; an error is Go's.
pub(crate) fn strict<'k>(
    value: &Value,
    owner: &'static str,
    kind_of: impl Fn(&str) -> Option<&'k Kind>,
) -> Result<(), String> {
    fields(value, owner, kind_of, false)
}

/// The same as `ghodss/yaml` decodes: a number or a boolean where a string is wanted is one.
pub(crate) fn lenient<'k>(
    value: &Value,
    owner: &'static str,
    kind_of: impl Fn(&str) -> Option<&'k Kind>,
) -> Result<(), String> {
    fields(value, owner, kind_of, true)
}

fn fields<'k>(
    value: &Value,
    owner: &'static str,
    kind_of: impl Fn(&str) -> Option<&'k Kind>,
    lenient: bool,
) -> Result<(), String> {
    let Some(object) = value.as_object() else {
        return Err(format!("json: cannot unmarshal {} into Go value of type {owner}", go_json::kind_of(value)));
    };
    let short = owner.rsplit('.').next().unwrap_or(owner);
    let mut decoder = Decoder { owner: Some(short), path: Vec::new(), noted: None, lenient };
    decoder.fields(object, kind_of)?;
    decoder.noted.map_or(Ok(()), Err)
}

struct Decoder<'v> {
    /// The innermost struct.
    owner: Option<&'static str>,
    /// Fields from the root; lists and maps have no part in it.
    path: Vec<&'v str>,
    noted: Option<String>,
    lenient: bool,
}

impl<'v> Decoder<'v> {
    fn value(&mut self, value: &'v Value, kind: &Kind) -> Result<(), String> {
        match (kind, value) {
            (_, Value::Null) | (Kind::Any, _) => {}
            (Kind::String, Value::Number(_) | Value::Bool(_)) if self.lenient => {}
            (Kind::Quantity, Value::String(text)) => {
                if let Some(why) = super::quantity(text.trim()) {
                    return Err(why.to_owned());
                }
            }
            (Kind::Quantity, Value::Number(_)) => {}
            (Kind::Quantity, _) => return Err(super::NO_QUANTITY.to_owned()),
            (Kind::IntOrString, Value::String(_)) => {}
            (Kind::IntOrString, Value::Number(n)) if n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {}
            (Kind::IntOrString, value) => return Err(self.mismatch(&number(value), "int32")),
            (Kind::String | Kind::Time | Kind::MicroTime | Kind::Bytes, Value::String(_))
            | (Kind::Number, Value::Number(_))
            | (Kind::Boolean, Value::Bool(_)) => {}
            (Kind::Int32, Value::Number(n)) if n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {}
            (Kind::Int64, Value::Number(n)) if n.is_i64() => {}
            (Kind::Int32 | Kind::Int64, value) => self.note(&number(value), kind),
            (Kind::List(item), Value::Array(items)) => {
                for value in items {
                    self.value(value, item)?;
                }
            }
            (Kind::Map(item), Value::Object(map)) => {
                let mut keys: Vec<_> = map.iter().collect();
                keys.sort_by_key(|(key, _)| *key);
                for (_, value) in keys {
                    self.value(value, item)?;
                }
            }
            (Kind::Object(ty), Value::Object(map)) => {
                let ty: &'static Type = ty.get();
                let outer = self.owner.replace(ty.short_name());
                self.fields(map, |key| ty.field(key).map(|field| &field.kind))?;
                self.owner = outer;
            }
            (kind, value) => self.note(go_json::kind_of(value), kind),
        }
        Ok(())
    }

    fn fields<'k>(
        &mut self,
        map: &'v apimachinery::value::Map,
        kind_of: impl Fn(&str) -> Option<&'k Kind>,
    ) -> Result<(), String> {
        let mut keys: Vec<_> = map.iter().collect();
        keys.sort_by_key(|(key, _)| *key);
        for (key, value) in keys {
            if let Some(kind) = kind_of(key) {
                self.path.push(key);
                self.value(value, kind)?;
                self.path.pop();
            }
        }
        Ok(())
    }

    fn note(&mut self, found: &str, kind: &Kind) {
        if self.noted.is_none() {
            let ty = self.type_name(kind);
            self.noted = Some(self.mismatch(found, &ty));
        }
    }

    fn mismatch(&self, found: &str, ty: &str) -> String {
        match self.owner {
            Some(owner) if !self.path.is_empty() => {
                let path = self.path.join(".");
                format!("json: cannot unmarshal {found} into Go struct field {owner}.{path} of type {ty}")
            }
            _ => format!("json: cannot unmarshal {found} into Go value of type {ty}"),
        }
    }

    fn type_name(&self, kind: &Kind) -> String {
        match (kind, self.path.last()) {
            (Kind::Map(inner), _) if matches!(**inner, Kind::Quantity) => "v1.ResourceList".to_owned(),
            (Kind::String, Some(&"restartPolicy")) if self.owner == Some("Container") => {
                "v1.ContainerRestartPolicy".to_owned()
            }
            (Kind::String, Some(field)) => {
                STRINGS.iter().find(|(name, _)| name == field).map_or("string", |(_, ty)| ty).to_owned()
            }
            _ => kind.go_name(),
        }
    }
}

/// The same where a number is wanted: one that does not fit is shown.
fn number(value: &Value) -> String {
    match value {
        Value::Number(n) => format!("number {n}"),
        other => go_json::kind_of(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use apimachinery::schema;
    use apimachinery::value::json;

    use super::*;

    #[test]
    fn mismatches_are_named_as_go_names_them() {
        let spec = schema::pod().field("spec").and_then(schema::Field::object).unwrap();
        let check = |value: &Value| strict(value, "v1.PodSpec", |key| spec.field(key).map(|f| &f.kind));
        for (value, says) in [
            (json!({"containers": [{"name": "a", "unknown": 1}]}), None),
            (json!({"containers": "x"}), Some("string into Go struct field PodSpec.containers of type []v1.Container")),
            (
                json!({"containers": [{"ports": [{"containerPort": "80"}], "args": [1]}]}),
                Some("number into Go struct field Container.containers.args of type string"),
            ),
            (
                json!({"containers": [{"ports": [{"containerPort": 1.5}]}]}),
                Some("number 1.5 into Go struct field ContainerPort.containers.ports.containerPort of type int32"),
            ),
            (
                json!({"containers": [{"livenessProbe": {"httpGet": {"port": true}}}]}),
                Some("bool into Go struct field HTTPGetAction.containers.livenessProbe.httpGet.port of type int32"),
            ),
            (
                json!({"containers": [{"imagePullPolicy": {}}]}),
                Some("object into Go struct field Container.containers.imagePullPolicy of type v1.PullPolicy"),
            ),
            (
                json!({"containers": [{"resources": {"limits": []}}]}),
                Some(
                    "array into Go struct field ResourceRequirements.containers.resources.limits of type v1.ResourceList",
                ),
            ),
        ] {
            let says = says.map(|says| format!("json: cannot unmarshal {says}"));
            assert_eq!(check(&value).err(), says, "{value}");
        }
        // A quantity ends the decoding, whatever was wrong before it.
        let value = json!({"containers": [{"args": [1], "resources": {"requests": {"memory": ""}}}]});
        assert_eq!(check(&value).unwrap_err(), super::super::NO_QUANTITY);
    }
}
