//! What templates compute with: views of the pod, of free-form values and of the mesh configuration, and new values; and how Go prints them.

pub mod format;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::LazyLock;

use apimachinery::schema;
use apimachinery::value::{List, Map, Value as Json};

use crate::mesh::shape::{Kind as ProtoKind, Message};

/// Bytes one rendering may print; far above any pod (an apiserver refuses objects over 3 MiB).
pub const MAX_OUTPUT: usize = 4 << 20;

/// A template's value. Cloning never copies a pod.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// Go's nil interface: an absent map key, `nil`. Prints `<no value>`.
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number; all numbers of free-form values are these, as in Go.
    Float(f64),
    /// A string.
    String(Cow<'a, str>),
    /// An enumeration's value: prints its name, never equals a string, has the method `String`.
    Enum(Cow<'a, str>),
    /// A duration field in protobuf's JSON form (`45s`), if set.
    Duration(Option<&'a str>),
    /// A protobuf wrapper (`BoolValue`, `Int32Value`), if set; has the method `GetValue`.
    Wrapper(Option<&'a Json>),
    /// A free-form object or list (`map[string]interface{}`, `[]interface{}`).
    Free(&'a Json),
    /// A typed list of a struct's field.
    Typed(&'a [Json], Element),
    /// A string map (`map[string]string`): labels, annotations, proxy metadata.
    Strings(Option<&'a Map>),
    /// A typed struct; `None` is a nil pointer to one.
    Struct(Option<&'a Json>, Shape),
    /// A struct made for the template: every field it has.
    Fields(Rc<[(&'static str, Value<'a>)]>),
    /// A list made by a function.
    List(Rc<Vec<Value<'a>>>),
    /// A dictionary made by a function; shared, because sprig's `set` changes it in place.
    Map(Rc<RefCell<BTreeMap<String, Value<'a>>>>),
}

/// What a typed list holds.
#[derive(Debug, Clone, Copy)]
pub enum Element {
    /// Structs of a shape.
    Struct(Shape),
    /// Plain values.
    Plain,
}

/// Which fields a struct has.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A Kubernetes type. Go's field names are the JSON names in other letter case, with few exceptions.
    Kubernetes(&'static schema::Type),
    /// A message of Istio's mesh configuration.
    Message(&'static Message),
    /// A message whose fields are not tabled here: any field is allowed.
    Open,
}

impl<'a> Value<'a> {
    /// A borrowed string.
    pub fn text(text: &'a str) -> Self {
        Self::String(Cow::Borrowed(text))
    }

    /// A string of its own.
    pub fn owned(text: impl Into<String>) -> Self {
        Self::String(Cow::Owned(text.into()))
    }

    /// A struct with exactly these fields.
    pub fn fields(fields: Vec<(&'static str, Self)>) -> Self {
        Self::Fields(fields.into())
    }

    /// A list.
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(items))
    }

    /// A dictionary.
    pub fn map(items: BTreeMap<String, Self>) -> Self {
        Self::Map(Rc::new(RefCell::new(items)))
    }

    /// A view of a free-form JSON value: numbers become floats, as Go decodes them.
    pub fn free(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(b) => Self::Bool(*b),
            Json::Number(n) => Self::Float(n.as_f64().unwrap_or(0.0)),
            Json::String(s) => Self::text(s),
            Json::Array(_) | Json::Object(_) => Self::Free(json),
        }
    }

    /// An owned free-form JSON value, for what functions decode.
    pub fn from_json(json: Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(b) => Self::Bool(b),
            Json::Number(n) => Self::Float(n.as_f64().unwrap_or(0.0)),
            Json::String(s) => Self::owned(s),
            Json::Array(items) => Self::list(items.into_iter().map(Self::from_json).collect()),
            Json::Object(map) => Self::map(map.into_iter().map(|(k, v)| (k.into(), Self::from_json(v))).collect()),
        }
    }

    /// A plain value of a typed field: numbers stay integers.
    fn plain(json: &'a Json) -> Self {
        match json {
            Json::Number(n) => n.as_i64().map_or_else(|| Self::Float(n.as_f64().unwrap_or(0.0)), Self::Int),
            other => Self::free(other),
        }
    }

    /// A struct over an object of a Kubernetes type; `None` or null is a nil pointer.
    pub fn kubernetes(json: Option<&'a Json>, ty: &'static schema::Type) -> Self {
        Self::Struct(json.filter(|j| j.is_object()), Shape::Kubernetes(ty))
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The value behind a field or a method without arguments.
    ///
    /// # Errors
    /// A struct without that field, a nil pointer, or something that has no fields.
    pub fn field(&self, name: &str) -> Result<Self, String> {
        match self {
            Self::Nil => Ok(Self::Nil),
            Self::Free(Json::Object(map)) => Ok(map.get(name).map_or(Self::Nil, Self::free)),
            Self::Map(map) => Ok(map.borrow().get(name).cloned().unwrap_or(Self::Nil)),
            Self::Strings(map) => Ok(map.and_then(|m| m.get(name)).map_or(Self::Nil, Self::free)),
            Self::Fields(fields) => match fields.iter().find(|(n, _)| *n == name) {
                Some((_, value)) => Ok(value.clone()),
                None => Err(format!("there is no field {name}")),
            },
            Self::Enum(text) if name == "String" => Ok(Self::String(text.clone())),
            Self::Wrapper(value) if name == "GetValue" => Ok(value.map_or(Self::Bool(false), Self::plain)),
            Self::Wrapper(value) if name == "Value" => match value {
                Some(value) => Ok(Self::plain(value)),
                None => Err("nil pointer evaluating Value".to_owned()),
            },
            Self::Duration(text) if matches!(name, "GetSeconds" | "Seconds") => {
                let whole = text.and_then(|t| t.trim_end_matches('s').parse::<f64>().ok()).unwrap_or(0.0);
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "seconds of a duration, the fraction is meant to go"
                )]
                Ok(Self::Int(whole as i64))
            }
            Self::Struct(json, shape) => struct_field(*json, *shape, name),
            other => Err(format!("can't evaluate field {name} in type {}", other.type_name())),
        }
    }

    /// What `range` walks: keys (index or map key, sorted) and values.
    ///
    /// # Errors
    /// When `range` cannot iterate over it.
    pub fn items(&self) -> Result<Vec<(Self, Self)>, String> {
        fn numbered<'a>(items: impl Iterator<Item = Value<'a>>) -> Vec<(Value<'a>, Value<'a>)> {
            items.zip(0i64..).map(|(v, i)| (Value::Int(i), v)).collect()
        }
        Ok(match self {
            Self::Nil | Self::Strings(None) => Vec::new(),
            Self::Free(Json::Array(items)) => numbered(items.iter().map(Self::free)),
            Self::Free(Json::Object(map)) => map.iter().map(|(k, v)| (Self::text(k), Self::free(v))).collect(),
            Self::Strings(Some(map)) => map.iter().map(|(k, v)| (Self::text(k), Self::free(v))).collect(),
            Self::Typed(items, element) => numbered(items.iter().map(|i| element.view(i))),
            Self::List(items) => numbered(items.iter().cloned()),
            Self::Map(map) => map.borrow().iter().map(|(k, v)| (Self::owned(k), v.clone())).collect(),
            Self::Int(n) if *n <= 1_000_000 => numbered((0..*n).map(Self::Int)),
            other => return Err(format!("range can't iterate over {}", format::sprint(other))),
        })
    }

    /// Go's `len`, where there is one.
    pub fn len(&self) -> Option<usize> {
        match self {
            Self::String(s) => Some(s.len()),
            Self::Free(Json::Array(a)) => Some(a.len()),
            Self::Free(Json::Object(m)) => Some(m.len()),
            Self::Typed(items, _) => Some(items.len()),
            Self::Strings(m) => Some(m.map_or(0, Map::len)),
            Self::List(items) => Some(items.len()),
            Self::Map(map) => Some(map.borrow().len()),
            _ => None,
        }
    }

    /// Whether a list or map holds nothing, or a string is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// A list's items; `None` for anything else (nil is an empty list).
    pub fn elements(&self) -> Option<Vec<Self>> {
        match self {
            Self::Nil => Some(Vec::new()),
            Self::Free(Json::Array(items)) => Some(items.iter().map(Self::free).collect()),
            Self::Typed(items, element) => Some(items.iter().map(|i| element.view(i)).collect()),
            Self::List(items) => Some((**items).clone()),
            _ => None,
        }
    }

    /// A map's entries; `None` for anything else.
    pub fn entries(&self) -> Option<BTreeMap<String, Self>> {
        match self {
            Self::Strings(None) => Some(BTreeMap::new()),
            Self::Free(Json::Object(map)) => Some(map.iter().map(|(k, v)| (k.to_string(), Self::free(v))).collect()),
            Self::Strings(Some(map)) => Some(map.iter().map(|(k, v)| (k.to_string(), Self::free(v))).collect()),
            Self::Map(map) => Some(map.borrow().clone()),
            _ => None,
        }
    }

    /// A name for error messages, as Go would put it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::Enum(_) => "enum",
            Self::Duration(_) => "*durationpb.Duration",
            Self::Wrapper(_) => "*wrapperspb.Value",
            Self::Free(Json::Array(_)) | Self::List(_) => "[]interface {}",
            Self::Typed(..) => "[]struct",
            Self::Free(_) | Self::Map(_) => "map[string]interface {}",
            Self::Strings(_) => "map[string]string",
            Self::Struct(..) | Self::Fields(_) => "struct",
        }
    }

    /// The value as JSON, as Go's encoder writes it (known fields only, what `omitempty` drops is absent).
    pub fn to_json(&self) -> Json {
        match self {
            Self::Nil | Self::Duration(None) | Self::Wrapper(None) | Self::Struct(None, _) | Self::Strings(None) => {
                Json::Null
            }
            Self::Bool(b) => Json::Bool(*b),
            Self::Int(i) => Json::from(*i),
            Self::Float(f) => number(*f),
            Self::String(s) | Self::Enum(s) => Json::String(s.to_string().into()),
            Self::Duration(Some(s)) => Json::String((*s).to_owned().into()),
            Self::Wrapper(Some(json)) | Self::Free(json) => (*json).clone(),
            Self::Strings(Some(map)) => Json::Object((*map).clone()),
            Self::Typed(items, element) => items.iter().map(|i| element.view(i).to_json()).collect(),
            Self::Struct(Some(json), Shape::Kubernetes(ty)) => known(json, ty),
            Self::Struct(Some(json), _) => (*json).clone(),
            Self::Fields(fields) => fields.iter().map(|(k, v)| ((*k).to_owned(), v.to_json())).collect(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(map) => map.borrow().iter().map(|(k, v)| (k.clone(), v.to_json())).collect(),
        }
    }
}

impl Element {
    /// One item of a typed list.
    pub fn view(self, item: &Json) -> Value<'_> {
        match self {
            Self::Struct(shape) => Value::Struct(Some(item), shape),
            Self::Plain => Value::plain(item),
        }
    }
}

/// A JSON number that is an integer where it can be.
fn number(f: f64) -> Json {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    if f.fract() == 0.0 && f.abs() < 1e18 { Json::from(f as i64) } else { Json::from(f) }
}

/// Go's truth: false, 0, nil, empty strings, lists and maps are false; a struct never is.
pub fn truth(value: &Value<'_>) -> bool {
    match value {
        Value::Nil | Value::Duration(None) | Value::Wrapper(None) | Value::Struct(None, _) => false,
        Value::Bool(b) => *b,
        Value::Int(i) => *i != 0,
        Value::Float(f) => *f != 0.0,
        Value::Enum(_) | Value::Duration(_) | Value::Wrapper(_) | Value::Struct(..) | Value::Fields(_) => true,
        other => !other.is_empty(),
    }
}

fn struct_field<'a>(json: Option<&'a Json>, shape: Shape, name: &str) -> Result<Value<'a>, String> {
    let getter = name.strip_prefix("Get").filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
    let name = getter.unwrap_or(name);
    let nil = || format!("nil pointer evaluating {name}");
    match shape {
        Shape::Message(message) => {
            let Some(field) = message.fields.iter().find(|f| go_name_is(name, f.name)) else {
                return Err(format!("can't evaluate field {name} in type {}", message.name));
            };
            if json.is_none() && getter.is_none() {
                return Err(nil());
            }
            let value = json.and_then(|j| j.get(field.name)).filter(|v| !v.is_null());
            Ok(proto_view(value, field.kind))
        }
        Shape::Open => match json {
            Some(json) => Ok(open_view(json, name)),
            None if getter.is_some() => Ok(Value::Struct(None, Shape::Open)),
            None => Err(nil()),
        },
        Shape::Kubernetes(ty) => kubernetes_field(json, ty, name),
    }
}

/// Whether a Go field name is this JSON name: an upper-case first letter, and the same but for case.
fn go_name_is(go: &str, json: &str) -> bool {
    go.starts_with(|c: char| c.is_ascii_uppercase()) && go.eq_ignore_ascii_case(json)
}

fn proto_view(value: Option<&Json>, kind: ProtoKind) -> Value<'_> {
    match kind {
        ProtoKind::String => Value::text(value.and_then(Json::as_str).unwrap_or_default()),
        ProtoKind::Bool => Value::Bool(value.and_then(Json::as_bool).unwrap_or_default()),
        ProtoKind::Int => Value::Int(value.and_then(Json::as_i64).unwrap_or_default()),
        ProtoKind::Number => Value::Float(value.and_then(Json::as_f64).unwrap_or_default()),
        ProtoKind::Enum(zero) => Value::Enum(Cow::Borrowed(value.and_then(Json::as_str).unwrap_or(zero))),
        ProtoKind::Duration => Value::Duration(value.and_then(Json::as_str)),
        ProtoKind::Wrapper => Value::Wrapper(value),
        ProtoKind::Message(message) => Value::Struct(value, Shape::Message(message)),
        ProtoKind::Open => Value::Struct(value, Shape::Open),
        ProtoKind::Strings => Value::Strings(value.and_then(Json::as_object)),
        ProtoKind::List => Value::Typed(value.and_then(Json::as_array).map_or(&[], List::as_slice), Element::Plain),
        ProtoKind::Messages => {
            Value::Typed(value.and_then(Json::as_array).map_or(&[], List::as_slice), Element::Struct(Shape::Open))
        }
    }
}

fn open_view<'a>(json: &'a Json, name: &str) -> Value<'a> {
    let found = json.as_object().and_then(|m| m.iter().find(|(k, _)| go_name_is(name, k)));
    match found {
        Some((_, Json::Array(items))) => Value::Typed(items, Element::Struct(Shape::Open)),
        Some((_, object @ Json::Object(_))) => Value::Struct(Some(object), Shape::Open),
        Some((_, other)) => Value::plain(other),
        None => Value::Nil,
    }
}

/// Embedded Go structs, whose fields stand beside the others in JSON.
const EMBEDDED: &[&str] =
    &["VolumeSource", "ProbeHandler", "LocalObjectReference", "EphemeralContainerCommon", "SecretProjection"];

/// Go field names that are not the JSON name in other case.
const RENAMED: &[(&str, &str)] = &[
    ("DeprecatedServiceAccount", "serviceAccount"),
    ("DataDiskURI", "diskURI"),
    ("CephMonitors", "monitors"),
    ("RBDImage", "image"),
    ("RBDPool", "pool"),
    ("RadosUser", "user"),
];

/// Fields that Go holds as a pointer, so that absent is nil and not a zero number or false.
const POINTERS: &[&str] = &[
    "activeDeadlineSeconds",
    "allowPrivilegeEscalation",
    "automountServiceAccountToken",
    "controller",
    "blockOwnerDeletion",
    "defaultMode",
    "deletionGracePeriodSeconds",
    "enableServiceLinks",
    "expirationSeconds",
    "fsGroup",
    "hostUsers",
    "mode",
    "optional",
    "preemptionPolicy",
    "priority",
    "privileged",
    "procMount",
    "readOnlyRootFilesystem",
    "restartPolicy",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "runtimeClassName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "terminationGracePeriodSeconds",
    "tolerationSeconds",
];

fn kubernetes_field<'a>(json: Option<&'a Json>, ty: &'static schema::Type, name: &str) -> Result<Value<'a>, String> {
    if EMBEDDED.contains(&name) {
        return Ok(Value::Struct(json, Shape::Kubernetes(ty)));
    }
    let renamed = RENAMED.iter().find(|(go, _)| *go == name).map(|(_, json)| *json);
    let found = ty.fields().iter().find(|f| renamed.is_some_and(|r| r == f.name) || go_name_is(name, f.name));
    let Some(field) = found else {
        return Err(format!("can't evaluate field {name} in type {}", ty.go_name()));
    };
    let Some(object) = json else {
        return Err(format!("nil pointer evaluating {}.{name}", ty.go_name()));
    };
    let value = object.get(field.name).filter(|v| !v.is_null());
    let pointer = POINTERS.contains(&field.name);
    Ok(match (&field.kind, value) {
        (schema::Kind::Object(inner), None) if field.name == "resources" => {
            Value::Struct(Some(&EMPTY), Shape::Kubernetes(inner.get()))
        }
        (schema::Kind::Object(inner), value) => Value::Struct(value, Shape::Kubernetes(inner.get())),
        (schema::Kind::List(item), value) => {
            let items = value.and_then(Json::as_array).map_or(&[][..], List::as_slice);
            match &**item {
                schema::Kind::Object(inner) => Value::Typed(items, Element::Struct(Shape::Kubernetes(inner.get()))),
                _ => Value::Typed(items, Element::Plain),
            }
        }
        (schema::Kind::Map(_), value) => Value::Strings(value.and_then(Json::as_object)),
        (_, Some(value)) => Value::plain(value),
        (_, None) if pointer => Value::Nil,
        (schema::Kind::Boolean, None) => Value::Bool(false),
        (schema::Kind::Int32 | schema::Kind::Int64 | schema::Kind::Number, None) => Value::Int(0),
        (schema::Kind::String | schema::Kind::Bytes, None) => Value::text(""),
        (_, None) => Value::Nil,
    })
}

static EMPTY: LazyLock<Json> = LazyLock::new(|| Json::Object(Map::new()));

/// A typed object's JSON as Go encodes it: unknown fields and zero values gone.
fn known(json: &Json, ty: &'static schema::Type) -> Json {
    let Some(object) = json.as_object() else { return json.clone() };
    let mut out = Map::new();
    for (key, value) in object {
        let Some(field) = ty.field(key) else { continue };
        let zero = match value {
            Json::Null => true,
            Json::Bool(b) => !b && !POINTERS.contains(&field.name),
            Json::Number(n) => n.as_i64() == Some(0) && !POINTERS.contains(&field.name) && !field.required,
            Json::String(s) => s.is_empty() && !field.required,
            Json::Array(a) => a.is_empty(),
            Json::Object(m) => m.is_empty() && !matches!(field.kind, schema::Kind::Object(_)),
        };
        if !zero {
            out.insert(key.clone(), known_kind(value, &field.kind));
        }
    }
    Json::Object(out)
}

fn known_kind(value: &Json, kind: &schema::Kind) -> Json {
    match (kind, value) {
        (schema::Kind::Object(inner), _) => known(value, inner.get()),
        (schema::Kind::List(item), Json::Array(items)) => items.iter().map(|i| known_kind(i, item)).collect(),
        _ => value.clone(),
    }
}
