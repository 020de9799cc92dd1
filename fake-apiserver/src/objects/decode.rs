//! From the bytes of a request to an object: the right kind, only known fields, values as the apiserver writes them.

mod gojson;
#[cfg(test)]
mod tests;
mod tidy;
mod times;
mod typed;

use apimachinery::go_json::kind_of;
use apimachinery::value::{Map, Value, json};
use serde::de::DeserializeSeed as _;

use super::types::{self, Type};
use super::{Target, get};
use typed::{Findings, Struct};

/// What happens to fields that the kind does not have, and to fields that come twice (`?fieldValidation=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(crate) enum FieldValidation {
    /// They are dropped.
    Ignore,
    /// They are dropped, with a warning for each; the default.
    #[default]
    Warn,
    /// The request fails.
    Strict,
}

impl FieldValidation {
    /// The value of the query parameter; empty is the default, `None` is none that the apiserver knows.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "Warn" => Some(Self::Warn),
            "Ignore" => Some(Self::Ignore),
            "Strict" => Some(Self::Strict),
            _ => None,
        }
    }
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
}

/// An object and what there is to say about how it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decoded {
    /// The object, complete with `apiVersion` and `kind`.
    pub(crate) object: Value,
    /// Texts for `Warning` headers.
    pub(crate) warnings: Vec<String>,
}

/// Reads the body of a create or an update of a kind.
///
/// A body without `kind` or `apiVersion` is of the kind that the URL names. The error is the `Status` to answer with (400).
pub(crate) fn decode(
    target: Target<'_>,
    body: &[u8],
    format: Format,
    validation: FieldValidation,
) -> Result<Decoded, Value> {
    let sent = body;
    let unrecognized = |problem: &str| {
        bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {problem} ({})",
            target.kind,
            summary(sent)
        ))
    };
    let converted;
    let body = match format {
        Format::Json => body,
        Format::Yaml => {
            let text = String::from_utf8_lossy(body);
            let value = apimachinery::yaml::parse(&text).map_err(|error| unrecognized(&error.to_string()))?;
            converted = value.to_string();
            converted.as_bytes()
        }
    };
    // To Go nothing is as good as an object without fields.
    let body: &[u8] = if body.trim_ascii() == b"null" { b"{}" } else { body };
    let mut findings = Findings::default();
    // Nearly every body is well formed and of the kind that is wanted: then one reading is enough.
    if let Ok(object) = read(target, body, &mut findings)
        && says(&object, "kind", target.kind)
        && says(&object, "apiVersion", &target.api_version())
    {
        return decoded(target, object, findings, validation);
    }
    let head: Head = match serde_json::from_slice(body) {
        Ok(head) => head,
        Err(error) => {
            let problem = gojson::syntax_error(body).unwrap_or_else(|| head_error(body, &error));
            return Err(unrecognized(&format!("couldn't get version/kind; json parse error: {problem}")));
        }
    };
    let kind = head.kind.as_deref().filter(|kind| !kind.is_empty()).unwrap_or(target.kind);
    let own = target.api_version();
    let api_version = head.api_version.as_deref().filter(|version| !version.is_empty()).unwrap_or(&own);
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if (group, version, kind) != (target.group, target.version, target.kind) {
        return Err(other_kind(target, Target { group, version, kind }));
    }
    let mut findings = Findings::default();
    match read(target, body, &mut findings) {
        Ok(object) => decoded(target, object, findings, validation),
        Err(error) => Err(cannot(target, target, &findings.error.unwrap_or(error))),
    }
}

/// Whether an object says that it is of this kind or version, or says nothing.
fn says(object: &Value, field: &str, wanted: &str) -> bool {
    object.get(field).is_none_or(|said| said.as_str().is_some_and(|said| said.is_empty() || said == wanted))
}

fn decoded(
    target: Target<'_>,
    object: Value,
    findings: Findings,
    validation: FieldValidation,
) -> Result<Decoded, Value> {
    let warnings = match validation {
        FieldValidation::Ignore => Vec::new(),
        FieldValidation::Warn => findings.strict,
        FieldValidation::Strict if findings.strict.is_empty() => Vec::new(),
        FieldValidation::Strict => {
            return Err(cannot(target, target, &format!("strict decoding error: {}", findings.strict.join(", "))));
        }
    };
    Ok(Decoded { object: finish(target, object), warnings })
}

/// Reads an object that is JSON already: what a patch or a webhook made of one. The error is the decoder's text
/// (`json: cannot unmarshal …`); the warnings name unknown fields.
pub(crate) fn normalize(target: Target<'_>, object: Value) -> Result<Decoded, String> {
    let mut object = object;
    // Most of what a patch leaves is as it should be: then nothing is built anew.
    if let Some(ty) = types::lookup(target)
        && tidy::tidy(&mut object, ty).is_ok()
    {
        return Ok(Decoded { object: finish(target, object), warnings: Vec::new() });
    }
    reread(target, object)
}

fn reread(target: Target<'_>, object: Value) -> Result<Decoded, String> {
    let mut findings = Findings::default();
    let seed = types::lookup(target).map(|ty| Struct { findings: &mut findings, ty });
    let object = match seed {
        Some(seed) => match seed.deserialize(object) {
            Ok(object) => object,
            Err(error) => return Err(findings.error.unwrap_or_else(|| error.to_string())),
        },
        None => custom(object)?,
    };
    Ok(Decoded { object: finish(target, object), warnings: findings.strict })
}

fn read(target: Target<'_>, body: &[u8], findings: &mut Findings) -> Result<Value, String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let object = match types::lookup(target) {
        Some(ty) => Struct { findings, ty }.deserialize(&mut json).map_err(|error| error.to_string())?,
        None => {
            let object: Value = serde::Deserialize::deserialize(&mut json).map_err(|error| error.to_string())?;
            custom(object)?
        }
    };
    json.end().map_err(|error| error.to_string())?;
    Ok(object)
}

/// An object whose type is not known here (a custom resource): only its metadata are.
fn custom(mut object: Value) -> Result<Value, String> {
    let Some(metadata) = get::remove(&mut object, "metadata").filter(|metadata| !metadata.is_null()) else {
        get::set(&mut object, "metadata", Value::Object(Map::new()));
        return Ok(object);
    };
    let mut findings = Findings::default();
    let Some(ty) = metadata_type() else { return Ok(object) };
    match (Struct { findings: &mut findings, ty }).deserialize(metadata) {
        Ok(metadata) => get::set(&mut object, "metadata", metadata),
        Err(error) => return Err(findings.error.unwrap_or_else(|| error.to_string())),
    }
    Ok(object)
}

fn metadata_type() -> Option<&'static Type> {
    types::lookup(Target::new("", "v1", "ConfigMap"))?.field("metadata")?.inner()
}

fn finish(target: Target<'_>, mut object: Value) -> Value {
    get::set(&mut object, "kind", target.kind);
    get::set(&mut object, "apiVersion", target.api_version());
    object
}

/// What comes first of a body: which kind it says it is.
#[derive(serde::Deserialize)]
struct Head {
    #[serde(rename = "apiVersion")]
    api_version: Option<String>,
    kind: Option<String>,
}

/// Go's words for a well-formed body in which `kind` or `apiVersion` cannot be read.
fn head_error(body: &[u8], error: &serde_json::Error) -> String {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(_) => return error.to_string(),
    };
    for field in ["apiVersion", "kind"] {
        if let Some(wrong) = value.get(field).filter(|value| !value.is_string() && !value.is_null()) {
            return format!("json: cannot unmarshal {} into Go struct field .{field} of type string", kind_of(wrong));
        }
    }
    if value.is_object() {
        return error.to_string();
    }
    format!(
        "json: cannot unmarshal {} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
        kind_of(&value)
    )
}

/// A body that says what it is, and cannot be read as what the URL names.
fn cannot(target: Target<'_>, found: Target<'_>, problem: &str) -> Value {
    let Target { version, kind, .. } = found;
    bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {}: {problem}", target.kind))
}

/// A body of a kind that is not the one of the URL.
fn other_kind(target: Target<'_>, found: Target<'_>) -> Value {
    let cannot = |problem: String| cannot(target, found, &problem);
    if types::lookup(found).is_none() {
        return cannot(format!(
            "no kind \"{}\" is registered for version \"{}\" in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
            found.kind,
            found.api_version()
        ));
    }
    if (found.group, found.kind) == (target.group, target.kind) {
        return bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            found.api_version(),
            target.api_version()
        ));
    }
    cannot(format!(
        "converting ({}.{}) to ({}.{}): unknown conversion",
        found.version,
        found.kind,
        internal_package(target.group),
        target.kind
    ))
}

fn internal_package(group: &str) -> &str {
    if group.is_empty() { "core" } else { group.split('.').next().unwrap_or(group) }
}

/// The beginning of a body, as error texts quote it: in hexadecimal digits unless it looks like an object.
fn summary(body: &[u8]) -> String {
    let beginning = body.get(..30).unwrap_or(body);
    let mut shown = match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(beginning).into_owned(),
        Some(_) => beginning.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    if body.len() > beginning.len() {
        shown.push_str(" ...");
    }
    shown
}

/// A `Status` of 400.
pub(crate) fn bad_request(message: String) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": "BadRequest", "code": 400,
    })
}

/// An object of a kind in which nothing is set: only what is always there. `None` for unknown kinds.
pub(crate) fn zero(target: Target<'_>) -> Option<&'static Value> {
    types::lookup(target).map(|ty| ty.zero(|| typed::zero_struct(ty)))
}

/// What is wrong with a JSON text, in the apiserver's words; `None` when it is well formed.
pub(crate) fn syntax_error(text: &[u8]) -> Option<String> {
    gojson::syntax_error(text)
}
