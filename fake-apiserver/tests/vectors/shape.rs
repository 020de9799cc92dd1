//! Objects without what differs from run to run; see [`Side::text`] for texts.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use apimachinery::value::{List, Map, Value, json};
use regex::Regex;

use crate::text::{Side, walk};

/// Kinds whose status in replies to writes races with their controllers.
pub(crate) const CONTROLLED: [&str; 9] = [
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "ReplicationController",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
];

static AGE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(<invalid>|\d+(ms|[smhdy])(\d+[smhd])?)$").unwrap());
static AGO: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\(\d+[smhdy]\S* ago\)").unwrap());

fn is_address(text: &str) -> bool {
    text.parse::<std::net::Ipv4Addr>().is_ok()
}

impl Side {
    /// A JSON value or a text. `volatile`: leave out what controllers write in the meantime.
    pub(crate) fn object(&self, value: &Value, volatile: bool) -> Value {
        match value {
            Value::Null => Value::Null,
            Value::String(text) => self.text(text).into(),
            value => match serde_json::from_str(&self.text(&value.to_string())) {
                Ok(value) => self.shape(value, volatile),
                Err(error) => panic!("what the rules for texts left is no JSON any more: {error}: {value}"),
            },
        }
    }

    fn shape(&self, value: Value, volatile: bool) -> Value {
        match value {
            Value::Array(list) => list.into_iter().map(|value| self.shape(value, volatile)).collect(),
            Value::Object(map) => {
                let mut map = map.into_iter().map(|(key, value)| (key, self.shape(value, volatile))).collect();
                self.fields(&mut map);
                self.by_kind(&mut map, volatile);
                Value::Object(map)
            }
            other => other,
        }
    }

    fn fields(&self, map: &mut Map) {
        let literal = |text: &str| self.literals.contains(text);
        let mut mask = |key: &str, is: &dyn Fn(&str) -> bool, by: &str| {
            if map.get(key).and_then(Value::as_str).is_some_and(is) {
                map.insert(key.to_owned(), by.into());
            }
        };
        let is_revision =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && !literal(text) && text != "0";
        mask("resourceVersion", &is_revision, "<rv>");
        mask("continue", &|text| text.len() > 20, "<continue>");
        mask("clusterIP", &|text| is_address(text) && !literal(text), "<ip>");
        if let Some(addresses) = map.get_mut("clusterIPs").and_then(Value::as_array_mut) {
            for address in addresses {
                if address.as_str().is_some_and(|text| is_address(text) && !literal(text)) {
                    *address = "<ip>".into();
                }
            }
        }
        if map.get("nodePort").is_some_and(Value::is_number) {
            map.insert("nodePort".to_owned(), "<nodeport>".into());
        }
        if map.get("targetPort") == Some(&json!(16443)) {
            map.insert("targetPort".to_owned(), "<server port>".into());
        }
        if let Some(entries) = map.get_mut("managedFields").and_then(Value::as_array_mut) {
            entries.sort_by_key(|entry| {
                json!([entry["operation"], entry["manager"], entry["subresource"], entry]).to_string()
            });
        }
        if map.contains_key("gitVersion") && map.contains_key("gitCommit") {
            for key in ["gitCommit", "buildDate", "goVersion", "platform", "compiler", "gitTreeState"] {
                if let Some(value) = map.get_mut(key) {
                    *value = "<build>".into();
                }
            }
        }
    }

    fn by_kind(&self, map: &mut Map, volatile: bool) {
        let kind = map.get("kind").and_then(Value::as_str).map(str::to_owned);
        if map.contains_key("involvedObject") && kind.as_deref().is_none_or(|kind| kind == "Event") {
            map.remove("count");
            map.remove("series");
            for entry in
                map.get_mut("metadata").and_then(|meta| meta["managedFields"].as_array_mut()).into_iter().flatten()
            {
                if let Some(fields) = entry.get_mut("fieldsV1").and_then(Value::as_object_mut) {
                    fields.remove("f:series");
                }
            }
        }
        let Some(kind) = kind else { return };
        if volatile && CONTROLLED.contains(&kind.as_str()) {
            controlled(map);
        }
        if kind.ends_with("List")
            && let Some(items) = map.get_mut("items").and_then(Value::as_array_mut)
        {
            list(&kind, items);
        }
        if kind == "Table" {
            self.table(map);
        }
    }

    fn table(&self, map: &mut Map) {
        let columns: Vec<String> = map
            .get("columnDefinitions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|column| column["name"].as_str().unwrap_or_default().to_owned())
            .collect();
        let Some(rows) = map.get_mut("rows").and_then(Value::as_array_mut) else { return };
        for row in rows.iter_mut() {
            for (index, cell) in row["cells"].as_array_mut().into_iter().flatten().enumerate() {
                self.cell(columns.get(index).map_or("?", String::as_str), cell);
            }
        }
        if columns.iter().any(|column| column == "Last Seen") || Value::from(rows.clone()).to_string().contains("*****")
        {
            rows.sort_by_key(Value::to_string);
        }
    }

    fn cell(&self, column: &str, cell: &mut Value) {
        let new = match cell.as_str() {
            None if column == "Count" => "<n>".to_owned(),
            None => return,
            Some(text)
                if ["Age", "Last Seen", "First Seen", "Duration", "?"].contains(&column) && AGE.is_match(text) =>
            {
                "<age>".to_owned()
            }
            Some(text)
                if column.eq_ignore_ascii_case("cluster-ip") && is_address(text) && !self.literals.contains(text) =>
            {
                "<ip>".to_owned()
            }
            Some(text) => AGO.replace_all(text, "(<age> ago)").into_owned(),
        };
        *cell = new.into();
    }
}

/// Leaves out what the controller of an object writes.
fn controlled(map: &mut Map) {
    map.remove("status");
    let Some(meta) = map.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if let Some(entries) = meta.get_mut("managedFields").and_then(Value::as_array_mut) {
        entries.retain(|entry| entry["manager"] != "kube-controller-manager");
    }
    if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove("deployment.kubernetes.io/revision");
        if annotations.is_empty() {
            meta.remove("annotations");
        }
    }
}

/// Lists of things with generated names are in no order; an Event may be there once or several times.
fn list(kind: &str, items: &mut List) {
    let text = Value::from(items.clone()).to_string();
    if kind == "EventList" || items.iter().any(|item| item.get("involvedObject").is_some()) {
        let unique: BTreeMap<String, Value> =
            std::mem::take(items).into_iter().map(|item| (item.to_string(), item)).collect();
        items.extend(unique.into_values());
    } else if text.contains("*****") || text.contains("<hash>") {
        items.sort_by_key(Value::to_string);
    }
}

/// The keys of an AdmissionReview in the order in which they stand, each with its depth: what the order of bytes comes down
/// to. Objects within are left out: theirs is the order of JSON maps here.
pub(crate) fn outline(json: &str) -> Vec<String> {
    let bytes = json.as_bytes();
    let mut keys = Vec::new();
    let (mut depth, mut at, mut in_object) = (0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let start = at + 1;
                at = start;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                let key = json.get(start..at).unwrap_or_default();
                in_object |= depth == 2 && key == "object";
                if bytes.get(at + 1) == Some(&b':') && (depth <= 2 || !in_object) {
                    keys.push(format!("{depth}{key}"));
                }
            }
            _ => {}
        }
        at += 1;
    }
    keys
}

/// Whether a kind is anywhere in a value whose fields a controller writes in the meantime.
pub(crate) fn is_controlled(value: &Value) -> bool {
    let mut found = false;
    walk(value, &mut |map| {
        found |= map.get("kind").and_then(Value::as_str).is_some_and(|kind| CONTROLLED.contains(&kind));
    });
    found
}
