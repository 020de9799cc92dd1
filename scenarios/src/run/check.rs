//! Whether an expectation holds; if not, what was expected and what was found.

use apimachinery::value::{List, Map, Value, json};
use apimachinery::yaml;
use fake_apiserver::admission::{Entry, Outcome};
use similar::{ChangeTag, TextDiff};

use super::matching::{holds, overlap, project, text_holds};
use super::steps::Last;
use crate::hook::Called;
use crate::scenario::{Call, Count, Expect};

/// Collects what does not hold.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<String>);

impl Findings {
    fn differs(&mut self, what: &str, expected: &str, found: &str) {
        self.0.push(format!("{what}\n  expected: {expected}\n  found:    {found}"));
    }
}

/// What the last request returned, and what it cost.
pub(super) fn request(expect: &Expect, last: Option<&Last>, findings: &mut Findings) {
    let asks = expect.status.is_some() || expect.message.is_some() || expect.reason.is_some();
    let Some(last) = last else {
        if asks || expect.warnings.is_some() || expect.took.is_some() {
            findings.0.push("no request was made before this step".to_owned());
        }
        return;
    };
    let answer = &last.answer;
    if let Some(status) = expect.status
        && status != answer.status
    {
        let message = answer.message();
        let found = if message.is_empty() { answer.status.to_string() } else { format!("{} {message}", answer.status) };
        findings.differs(&format!("status of {}", last.what), &status.to_string(), &found);
    }
    if let Some(part) = &expect.message
        && !text_holds(part, &answer.message())
    {
        let found = if answer.is_success() { format!("{} (no refusal)", answer.status) } else { answer.message() };
        findings.differs(&format!("message of {}", last.what), part, &found);
    }
    if let Some(reason) = &expect.reason
        && answer.body["reason"].as_str() != Some(reason)
    {
        findings.differs(&format!("reason of {}", last.what), reason, &shown(&answer.body["reason"]));
    }
    for warning in expect.warnings.iter().flatten() {
        if !answer.warnings.iter().any(|found| text_holds(warning, found)) {
            findings.differs(&format!("warnings of {}", last.what), warning, &list(&answer.warnings));
        }
    }
    if expect.warnings.as_ref().is_some_and(Vec::is_empty) && !answer.warnings.is_empty() {
        findings.differs(&format!("warnings of {}", last.what), "none", &list(&answer.warnings));
    }
    if let Some(took) = expect.took
        && took.abs_diff(last.took) > std::time::Duration::from_millis(50)
    {
        findings.differs(&format!("time that {} took", last.what), &format!("{took:?}"), &format!("{:?}", last.took));
    }
}

/// What an object holds.
pub(super) fn object(expect: &Expect, name: &str, object: &Value, findings: &mut Findings) {
    if let Some(expected) = &expect.matches
        && !holds(expected, object)
    {
        findings.0.push(format!("{name} does not match\n{}", difference(expected, &project(expected, object))));
    }
    if let Some(unwanted) = &expect.lacks {
        let mut places = Vec::new();
        overlap(unwanted, object, "", &mut places);
        if !places.is_empty() {
            let places: Vec<_> = places.iter().map(|place| place.trim_start_matches('.').to_owned()).collect();
            findings.differs(name, &format!("without {}", list(&places)), "it is there");
        }
    }
    let pod = template(object);
    let mut all = Vec::new();
    for (field, wanted) in
        [("containers", &expect.containers), ("initContainers", &expect.init_containers), ("volumes", &expect.volumes)]
    {
        let names = names(&pod["spec"][field]);
        for wanted in wanted {
            if !names.contains(wanted) {
                findings.differs(&format!("{field} of {name}"), wanted, &list(&names));
            }
        }
        all.extend(names);
    }
    for unwanted in &expect.without {
        if all.contains(unwanted) {
            findings.differs(&format!("containers and volumes of {name}"), &format!("no {unwanted}"), &list(&all));
        }
    }
    for (path, wanted) in &expect.lengths {
        let found = path.split('.').fold(object, |value, key| &value[key]);
        let length = found.as_array().map_or(0, List::len);
        if wanted.as_u64() != Some(length as u64) {
            findings.differs(&format!("length of {path} of {name}"), &wanted.to_string(), &length.to_string());
        }
    }
    for (field, wanted) in [("annotations", &expect.annotations), ("labels", &expect.labels)] {
        for (key, wanted) in wanted {
            let found = &object["metadata"][field][key];
            if !holds(wanted, found) {
                let expected = if wanted.is_null() { "absent".to_owned() } else { shown(wanted) };
                findings.differs(&format!("{} {key} of {name}", field.trim_end_matches('s')), &expected, &shown(found));
            }
        }
    }
}

/// Whether an expectation says anything about objects.
pub(super) fn is_about_objects(expect: &Expect) -> bool {
    expect.matches.is_some()
        || expect.lacks.is_some()
        || !(expect.containers.is_empty()
            && expect.init_containers.is_empty()
            && expect.volumes.is_empty()
            && expect.without.is_empty()
            && expect.lengths.is_empty()
            && expect.annotations.is_empty()
            && expect.labels.is_empty())
}

/// Whether a pod's Ready condition is true.
pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Which webhooks were called.
pub(super) fn calls(expected: &[Call], calls: &[(String, Called)], findings: &mut Findings) {
    if expected.is_empty() && !calls.is_empty() {
        findings.differs("calls of webhooks", "none", &list(&calls.iter().map(told).collect::<Vec<_>>()));
    }
    for call in expected {
        let mut wanted = Map::new();
        wanted.insert("path", call.path.clone().into());
        wanted.insert("query", call.query.clone().into());
        wanted.insert("request", call.request.clone().unwrap_or_default());
        wanted.retain(|_, value| !value.is_null());
        let wanted = Value::Object(wanted);
        let of_webhook: Vec<_> = calls.iter().filter(|(name, _)| *name == call.webhook).collect();
        let count = of_webhook.iter().filter(|(_, called)| holds(&wanted, &json_of(called))).count();
        let (fits, number) = match call.count {
            Count::Some => (count > 0, "a call".to_owned()),
            Count::Exactly(0) => (count == 0, "no call".to_owned()),
            Count::Exactly(number) => (count as u64 == number, format!("calls: {number}")),
        };
        if fits {
            continue;
        }
        let fields = wanted.as_object().into_iter().flatten();
        let with: String = fields.map(|(key, value)| format!(", {key} {}", shown(value))).collect();
        let found: Vec<_> = of_webhook.into_iter().map(told).collect();
        findings.differs(&format!("calls of webhook {}", call.webhook), &format!("{number}{with}"), &list(&found));
    }
}

/// Which webhooks were considered and not called, and why.
pub(super) fn not_called(expected: &[(String, String)], entries: &[Entry], findings: &mut Findings) {
    for (webhook, why) in expected {
        let entry = entries.iter().find(|entry| entry.webhook == *webhook || entry.configuration == *webhook);
        match entry.map(|entry| &entry.outcome) {
            Some(Outcome::Skipped(reason)) if text_holds(why, reason) => {}
            Some(Outcome::Skipped(reason)) => {
                findings.differs(&format!("why {webhook} was not called"), why, reason);
            }
            Some(_) => findings.differs(webhook, "not called", &entry.map(ToString::to_string).unwrap_or_default()),
            None => findings.differs(webhook, "considered and not called", "not considered by the last request"),
        }
    }
}

/// Whether the cluster's events hold the expected ones.
pub(super) fn events(expected: &[Map], events: &[Value], findings: &mut Findings) {
    for wanted in expected {
        let fits = |event: &Value| {
            wanted.iter().all(|(key, wanted)| {
                let (wanted, found) = (wanted.as_str().unwrap_or_default(), event[key].as_str().unwrap_or_default());
                text_holds(wanted, found)
            })
        };
        if !events.iter().any(fits) {
            let found: Vec<_> =
                events.iter().map(|event| format!("{}: {}", text(&event["reason"]), text(&event["message"]))).collect();
            findings.differs("events", &shown(&Value::Object(wanted.clone())), &list(&found));
        }
    }
}

/// The pod in an object: itself, or a workload's template.
fn template(object: &Value) -> &Value {
    let template = &object["spec"]["template"];
    if template.is_object() { template } else { object }
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|item| text(&item["name"]).to_owned()).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn json_of(called: &Called) -> Value {
    json!({ "path": called.path, "query": called.query, "request": called.request })
}

fn told((name, called): &(String, Called)) -> String {
    format!("{name} {}?{} {}", called.path, called.query, text(&called.request["operation"]))
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "absent".to_owned(),
        Value::String(text) => text.clone().into(),
        value => value.to_string(),
    }
}

/// Both as YAML, line by line: `-` is expected, `+` found.
fn difference(expected: &Value, found: &Value) -> String {
    let (expected, found) = (yaml::to_string(expected), yaml::to_string(found));
    let mut lines = String::from("  - expected\n  + found\n");
    for change in TextDiff::from_lines(&expected, &found).iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => "-",
            ChangeTag::Insert => "+",
            ChangeTag::Equal => " ",
        };
        lines.push_str(&format!("  {sign} {}\n", change.value().trim_end_matches('\n')));
    }
    lines.truncate(lines.trim_end().len());
    lines
}
