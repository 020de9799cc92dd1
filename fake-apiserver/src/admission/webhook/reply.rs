//! What a webhook answered: decoding with Go's error texts, and the checks of the protocol.

use std::borrow::Cow;
use std::collections::BTreeMap;

use apimachinery::value::{Map, Value};
use bytes::Bytes;

use super::super::golang;

const SCHEME: &str = "k8s.io/apiserver/pkg/util/webhook/client.go:71";
const KIND_STRUCT: &str =
    r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;

/// An AdmissionReview as received.
#[derive(Debug, Default)]
pub(crate) struct Review {
    api_version: String,
    kind: String,
    response: Option<Response>,
}

#[derive(Debug, Default)]
struct Response {
    uid: String,
    allowed: bool,
    status: Option<Map>,
    patch: Bytes,
    patch_type: Option<String>,
    annotations: BTreeMap<String, String>,
    warnings: Vec<String>,
}

/// A reply that keeps to the protocol.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    /// metav1.Status fields, known ones only.
    pub(crate) status: Option<Map>,
    pub(crate) patch: Bytes,
    pub(crate) patch_type: String,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) warnings: Vec<String>,
}

/// The body as a JSON value: JSON when it starts with `{`, else YAML, of which everything else is a case.
///
/// # Errors
/// Go's text.
fn value_of(body: &[u8]) -> Result<Value, String> {
    let start = body.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(body.len());
    let text = std::str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed);
    if body.get(start) == Some(&b'{') {
        return serde_json::from_str(&text).map_err(|error| {
            let error = golang::check_json(body).err().unwrap_or_else(|| error.to_string());
            format!("couldn't get version/kind; json parse error: {error}")
        });
    }
    apimachinery::yaml::parse(&text).map_err(|error| error.to_string())
}

/// Decodes a webhook's body as an AdmissionReview of the version it was asked in.
///
/// # Errors
/// The text after `failed to call webhook: ` (vectors `failure/*`).
pub(crate) fn decode(body: &[u8], v1beta1: bool) -> Result<Review, String> {
    let value = value_of(body)?;
    let asked = if v1beta1 { "v1beta1" } else { "v1" };
    let fields = match value {
        Value::Null => Map::new(),
        Value::Object(fields) => fields,
        other => {
            let kind = golang::kind_of(&other);
            return Err(format!(
                "couldn't get version/kind; json parse error: json: cannot unmarshal {kind} into Go value of type {KIND_STRUCT}"
            ));
        }
    };
    let (api_version, kind) = type_of(&fields)?;
    let (group, version) = match api_version.split_once('/') {
        Some((group, version)) => (group.to_owned(), version.to_owned()),
        None => (String::new(), api_version.clone()),
    };
    // What is left out is taken from what was expected.
    let group_or = if version.is_empty() && group.is_empty() { "admission.k8s.io" } else { &group };
    let version_or = if version.is_empty() { asked } else { &version };
    let kind_or = if kind.is_empty() { "AdmissionReview" } else { &kind };
    match registered(group_or, version_or, kind_or) {
        Registered::Review(got) if got == asked => {}
        Registered::Review(got) => {
            return Err(format!("converting ({got}.AdmissionReview) to ({asked}.AdmissionReview): unknown conversion"));
        }
        Registered::Other => {
            return Err(format!("converting (v1.{kind_or}) to ({asked}.AdmissionReview): unknown conversion"));
        }
        Registered::No => {
            let full = if group_or.is_empty() { version_or.to_owned() } else { format!("{group_or}/{version_or}") };
            return Err(format!(
                "no kind {} is registered for version {} in scheme {}",
                golang::quote(kind_or),
                golang::quote(&full),
                golang::quote(SCHEME)
            ));
        }
    }
    let mut typed = Typed::default();
    let response = match fields.get("response") {
        None | Some(Value::Null) => None,
        Some(Value::Object(response)) => Some(typed.response(response, asked)),
        Some(other) => {
            typed.mismatch(other, "AdmissionReview.response", &format!("{asked}.AdmissionResponse"));
            None
        }
    };
    if let Some(request) = fields.get("request").filter(|request| !request.is_object() && !request.is_null()) {
        typed.mismatch(request, "AdmissionReview.request", &format!("{asked}.AdmissionRequest"));
    }
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    match typed.error {
        Some(error) => Err(error),
        None => Ok(Review { api_version: text("apiVersion"), kind: text("kind"), response }),
    }
}

/// apiVersion and kind; their names are found in any case, as encoding/json does.
fn type_of(fields: &Map) -> Result<(String, String), String> {
    let find = |name: &str| -> Result<String, String> {
        let exact = fields.get(name);
        let value =
            exact.or_else(|| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value));
        match value {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone().into()),
            Some(other) => Err(format!(
                "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go struct field .{name} of type string",
                golang::kind_of(other)
            )),
        }
    };
    Ok((find("apiVersion")?, find("kind")?))
}

enum Registered {
    Review(&'static str),
    Other,
    No,
}

/// What the scheme of the webhook client knows.
fn registered(group: &str, version: &str, kind: &str) -> Registered {
    let options =
        ["ListOptions", "GetOptions", "DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "WatchEvent"];
    let unversioned = ["Status", "APIVersions", "APIGroupList", "APIGroup", "APIResourceList"];
    match (group, version, kind) {
        ("admission.k8s.io", "v1", "AdmissionReview") => Registered::Review("v1"),
        ("admission.k8s.io", "v1beta1", "AdmissionReview") => Registered::Review("v1beta1"),
        ("admission.k8s.io", "v1" | "v1beta1", kind) if options.contains(&kind) => Registered::Other,
        ("", "v1", kind) if unversioned.contains(&kind) || options.contains(&kind) => Registered::Other,
        _ => Registered::No,
    }
}

/// Checks the review against what was asked.
///
/// # Errors
/// The text after `received invalid webhook response: `.
pub(crate) fn verify(review: Review, uid: &str, mutating: bool, v1beta1: bool) -> Result<Verdict, String> {
    let Some(response) = review.response else {
        return Err("webhook response was absent".to_owned());
    };
    let mut patch_type = response.patch_type.clone().unwrap_or_default();
    if v1beta1 {
        // v1beta1 looked at neither kind nor uid nor patchType.
        patch_type = if response.patch.is_empty() { String::new() } else { "JSONPatch".to_owned() };
    } else {
        if response.uid != uid {
            return Err(format!("expected response.uid={}, got {}", golang::quote(uid), golang::quote(&response.uid)));
        }
        if review.kind != "AdmissionReview" || review.api_version != "admission.k8s.io/v1" {
            return Err(format!(
                "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {}, Kind={}",
                if review.api_version.contains('/') {
                    review.api_version.clone()
                } else {
                    format!("/{}", review.api_version)
                },
                review.kind
            ));
        }
        let has_patch = !response.patch.is_empty();
        match (mutating, has_patch, &response.patch_type) {
            (true, true, None) => return Err("webhook returned response.patch but not response.patchType".to_owned()),
            (true, false, Some(_)) => {
                return Err("webhook returned response.patchType but not response.patch".to_owned());
            }
            (true, true, Some(kind)) if kind.is_empty() => {
                return Err("webhook returned invalid response.patchType of \"\"".to_owned());
            }
            (false, true, _) => return Err("validating webhook may not return response.patch".to_owned()),
            (false, false, Some(_)) => return Err("validating webhook may not return response.patchType".to_owned()),
            _ => {}
        }
    }
    Ok(Verdict {
        allowed: response.allowed,
        status: response.status,
        patch: if mutating { response.patch } else { Bytes::new() },
        patch_type,
        annotations: response.annotations,
        warnings: response.warnings,
    })
}

/// A typed decode as Go does it: it goes on after a mismatch and reports the first one.
#[derive(Default)]
struct Typed {
    error: Option<String>,
}

impl Typed {
    fn mismatch(&mut self, value: &Value, path: &str, wanted: &str) {
        let mut kind = golang::kind_of(value).to_owned();
        if let (Value::Number(number), true) = (value, wanted.starts_with("int") || wanted.starts_with("uint")) {
            kind = format!("number {number}");
        }
        self.fail(format!("json: cannot unmarshal {kind} into Go struct field {path} of type {wanted}"));
    }

    fn fail(&mut self, error: String) {
        self.error.get_or_insert(error);
    }

    fn text(&mut self, fields: &Map, key: &str, path: &str, wanted: &str) -> Option<String> {
        match fields.get(key)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone().into()),
            other => {
                self.mismatch(other, &format!("{path}.{key}"), wanted);
                None
            }
        }
    }

    fn response(&mut self, fields: &Map, version: &str) -> Response {
        let path = "AdmissionResponse.response";
        let mut response = Response {
            uid: self.text(fields, "uid", path, "types.UID").unwrap_or_default(),
            patch_type: self.text(fields, "patchType", path, &format!("{version}.PatchType")),
            ..Response::default()
        };
        match fields.get("allowed") {
            None | Some(Value::Null) => {}
            Some(Value::Bool(allowed)) => response.allowed = *allowed,
            Some(other) => self.mismatch(other, "AdmissionResponse.response.allowed", "bool"),
        }
        match fields.get("patch") {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => match golang::decode_base64(text) {
                Ok(patch) => response.patch = patch.into(),
                Err(error) => self.fail(error),
            },
            Some(Value::Array(bytes)) => {
                let mut patch = Vec::with_capacity(bytes.len());
                for byte in bytes {
                    match byte.as_u64().and_then(|byte| u8::try_from(byte).ok()) {
                        Some(byte) => patch.push(byte),
                        None => self.mismatch(byte, "AdmissionResponse.response.patch", "uint8"),
                    }
                }
                response.patch = patch.into();
            }
            Some(other) => self.mismatch(other, "AdmissionResponse.response.patch", "[]uint8"),
        }
        match fields.get("auditAnnotations") {
            None | Some(Value::Null) => {}
            Some(Value::Object(annotations)) => {
                for (key, value) in annotations {
                    match value {
                        Value::String(text) => drop(response.annotations.insert(key.to_string(), text.to_string())),
                        Value::Null => drop(response.annotations.insert(key.clone().into(), String::new())),
                        other => self.mismatch(other, "AdmissionResponse.response.auditAnnotations", "string"),
                    }
                }
            }
            Some(other) => self.mismatch(other, "AdmissionResponse.response.auditAnnotations", "map[string]string"),
        }
        match fields.get("warnings") {
            None | Some(Value::Null) => {}
            Some(Value::Array(warnings)) => {
                for warning in warnings {
                    match warning {
                        Value::String(text) => response.warnings.push(text.clone().into()),
                        Value::Null => response.warnings.push(String::new()),
                        other => self.mismatch(other, "AdmissionResponse.response.warnings", "string"),
                    }
                }
            }
            Some(other) => self.mismatch(other, "AdmissionResponse.response.warnings", "[]string"),
        }
        match fields.get("status") {
            None | Some(Value::Null) => {}
            Some(Value::Object(status)) => response.status = Some(self.status(status)),
            Some(other) => self.mismatch(other, "AdmissionResponse.response.status", "v1.Status"),
        }
        response
    }

    /// metav1.Status with its known fields; empty ones are left out, as when it is written again.
    fn status(&mut self, fields: &Map) -> Map {
        let mut status = Map::new();
        let path = "Status.response.status";
        for (key, wanted) in [("status", "string"), ("message", "string"), ("reason", "v1.StatusReason")] {
            if let Some(text) = self.text(fields, key, path, wanted).filter(|text| !text.is_empty()) {
                status.insert(key.to_owned(), text.into());
            }
        }
        if let Some(code) = self.int32(fields, "code", path) {
            status.insert("code".to_owned(), code.into());
        }
        match fields.get("metadata") {
            None | Some(Value::Null) => {}
            Some(Value::Object(metadata)) => {
                let mut known = Map::new();
                for key in ["selfLink", "resourceVersion", "continue"] {
                    let text = self.text(metadata, key, "ListMeta.response.status.metadata", "string");
                    if let Some(text) = text.filter(|text| !text.is_empty()) {
                        known.insert(key.to_owned(), text.into());
                    }
                }
                if let Some(count) = metadata.get("remainingItemCount").filter(|count| count.is_i64()) {
                    known.insert("remainingItemCount".to_owned(), count.clone());
                }
                status.insert("metadata".to_owned(), Value::Object(known));
            }
            Some(other) => self.mismatch(other, "Status.response.status.metadata", "v1.ListMeta"),
        }
        match fields.get("details") {
            None | Some(Value::Null) => {}
            Some(Value::Object(details)) => {
                let details = self.details(details);
                status.insert("details".to_owned(), Value::Object(details));
            }
            Some(other) => self.mismatch(other, "Status.response.status.details", "v1.StatusDetails"),
        }
        status
    }

    fn details(&mut self, fields: &Map) -> Map {
        let path = "StatusDetails.response.status.details";
        let mut details = Map::new();
        for (key, wanted) in [("name", "string"), ("group", "string"), ("kind", "string"), ("uid", "types.UID")] {
            if let Some(text) = self.text(fields, key, path, wanted).filter(|text| !text.is_empty()) {
                details.insert(key.to_owned(), text.into());
            }
        }
        if let Some(seconds) = self.int32(fields, "retryAfterSeconds", path).filter(|seconds| *seconds != 0) {
            details.insert("retryAfterSeconds".to_owned(), seconds.into());
        }
        match fields.get("causes") {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                let mut causes = Vec::with_capacity(list.len());
                for cause in list {
                    let mut known = Map::new();
                    if let Value::Object(cause) = cause {
                        let path = "StatusCause.response.status.details.causes";
                        for (key, wanted) in [("reason", "v1.CauseType"), ("message", "string"), ("field", "string")] {
                            if let Some(text) = self.text(cause, key, path, wanted).filter(|text| !text.is_empty()) {
                                known.insert(key.to_owned(), text.into());
                            }
                        }
                    } else if !cause.is_null() {
                        self.mismatch(cause, "StatusDetails.response.status.details.causes", "v1.StatusCause");
                    }
                    causes.push(Value::Object(known));
                }
                if !causes.is_empty() {
                    details.insert("causes".to_owned(), causes.into());
                }
            }
            Some(other) => self.mismatch(other, "StatusDetails.response.status.details.causes", "[]v1.StatusCause"),
        }
        details
    }

    fn int32(&mut self, fields: &Map, key: &str, path: &str) -> Option<i32> {
        match fields.get(key)? {
            Value::Null => None,
            value => {
                let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
                if number.is_none() {
                    self.mismatch(value, &format!("{path}.{key}"), "int32");
                }
                number
            }
        }
    }
}
