//! A review to hold the laws against, and the reviews that are made from it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use admission::capture::Record;
use apimachinery::value::{Value, json};

/// A captured review.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) path: String,
    /// With a `timeout`, as an apiserver sends it.
    pub(super) query: String,
    pub(super) review: Value,
}

/// A webhook's timeout where neither the request nor its configuration says another.
const TIMEOUT: Duration = Duration::from_secs(10);

static UIDS: AtomicU64 = AtomicU64::new(1);

impl Case {
    /// The review in a record; none if there is none in it.
    pub(super) fn of(record: &Record) -> Option<Self> {
        record.review().ok()?;
        let review: Value = serde_json::from_str(&record.body).ok()?;
        let query = if record.query.split('&').any(|pair| pair.starts_with("timeout=")) {
            record.query.clone()
        } else if record.query.is_empty() {
            "timeout=10s".to_owned()
        } else {
            format!("{}&timeout=10s", record.query)
        };
        Some(Self { path: record.path.clone(), query, review })
    }

    /// Namespace and name of the object: `shop/web`, with `…` for what the apiserver will add to a `generateName`.
    pub(super) fn name(&self) -> String {
        let request = &self.review["request"];
        let object = if request["object"].is_null() { &request["oldObject"] } else { &request["object"] };
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let name = text(&request["name"])
            .or_else(|| text(&object["metadata"]["name"]))
            .or_else(|| text(&object["metadata"]["generateName"]).map(|name| name + "…"))
            .unwrap_or_else(|| "-".to_owned());
        match text(&request["namespace"]) {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        }
    }

    /// A CREATE of an object: what a mutating webhook is mostly there for.
    pub(super) fn creates(&self) -> bool {
        let request = &self.review["request"];
        request["operation"] == "CREATE"
            && request["object"].is_object()
            && request["subResource"].as_str().unwrap_or_default().is_empty()
    }

    /// The object; null if there is none.
    pub(super) fn object(&self) -> &Value {
        &self.review["request"]["object"]
    }

    /// The same with another object, and a uid of its own.
    pub(super) fn with_object(&self, object: Value) -> Self {
        let mut case = self.clone();
        case.review = self.again();
        case.review["request"]["object"] = object;
        case
    }

    /// The same review with a uid of its own, as an apiserver gives to each call.
    pub(super) fn again(&self) -> Value {
        let mut review = self.review.clone();
        review["request"]["uid"] =
            format!("70777461-6e6b-4000-8000-{:012x}", UIDS.fetch_add(1, Ordering::Relaxed)).into();
        review
    }

    /// As another operation on the same object would be asked: `UPDATE`, `DELETE`, or else `CONNECT`.
    pub(super) fn operation(&self, operation: &str) -> Value {
        let mut review = self.again();
        let mut object = self.object().clone();
        if let Some(metadata) = object["metadata"].as_object_mut()
            && !metadata.contains_key("name")
        {
            let prefix = metadata.get("generateName").and_then(Value::as_str).unwrap_or("towtank-");
            let name = format!("{prefix}x2k7d");
            metadata.insert("name".to_owned(), name.into());
        }
        let name = object["metadata"]["name"].clone();
        let request = &mut review["request"];
        request["operation"] = operation.into();
        request["name"] = name;
        match operation {
            "UPDATE" => {
                request["oldObject"] = object.clone();
                request["object"] = object;
                request["options"] = json!({ "kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1" });
            }
            "DELETE" => {
                request["oldObject"] = object;
                request["object"] = Value::Null;
                request["options"] = json!({ "kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1" });
            }
            _ => {
                let kind = json!({ "group": "", "version": "v1", "kind": "PodExecOptions" });
                (request["kind"], request["requestKind"]) = (kind.clone(), kind);
                (request["subResource"], request["requestSubResource"]) = ("exec".into(), "exec".into());
                request["object"] =
                    json!({ "kind": "PodExecOptions", "apiVersion": "v1", "stdout": true, "command": ["ls"] });
                (request["oldObject"], request["options"]) = (Value::Null, Value::Null);
            }
        }
        review
    }

    /// How long the apiserver waits for the answer.
    pub(super) fn timeout(&self) -> Duration {
        let text = self.query.split('&').find_map(|pair| pair.strip_prefix("timeout="));
        text.and_then(seconds).unwrap_or(TIMEOUT)
    }

    /// The set of the object's fields, as one number: objects of one shape differ in values only.
    pub(super) fn shape(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut paths = HashSet::new();
        fields(&self.review["request"], 0, &mut paths);
        let mut paths: Vec<u64> = paths.into_iter().collect();
        paths.sort_unstable();
        let mut hasher = DefaultHasher::new();
        paths.hash(&mut hasher);
        return hasher.finish();

        fn fields(value: &Value, path: u64, out: &mut HashSet<u64>) {
            match value {
                Value::Object(map) => {
                    for (key, value) in map.iter().filter(|(key, _)| *key != "managedFields") {
                        let mut hasher = DefaultHasher::new();
                        (path, key).hash(&mut hasher);
                        out.insert(hasher.finish());
                        fields(value, hasher.finish(), out);
                    }
                }
                Value::Array(items) => items.iter().for_each(|item| fields(item, path.rotate_left(7), out)),
                _ => {}
            }
        }
    }
}

/// Go's duration text, of the forms that an apiserver writes: `10s`, `1m30s`, `500ms`.
fn seconds(text: &str) -> Option<Duration> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        total += number
            * match &rest[digits..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Duration::try_from_secs_f64(total).ok().filter(|timeout| !timeout.is_zero())
}
