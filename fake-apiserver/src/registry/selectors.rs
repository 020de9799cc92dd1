//! Label and field selectors of lists and watches.

use apimachinery::go::quote;
use apimachinery::labels::Selector;
use apimachinery::value::Value;

use super::{Call, Resource};
use crate::admission::Rejection;
use crate::store::Object;

/// What a list or watch is narrowed to.
#[derive(Clone)]
pub(crate) struct Filter {
    labels: Option<Selector>,
    fields: Vec<FieldRequirement>,
}

#[derive(Clone)]
struct FieldRequirement {
    field: String,
    equals: bool,
    value: String,
}

impl Filter {
    /// From the `labelSelector` and `fieldSelector` of a query.
    pub(crate) fn parse(call: &Call) -> Result<Filter, Rejection> {
        let labels = match call.query.get("labelSelector") {
            "" => None,
            text => Some(Selector::parse(text).map_err(|error| Rejection::bad_request(&error.to_string()))?),
        };
        let mut fields = parse_fields(call.query.get("fieldSelector"))?;
        for requirement in &fields {
            check_field(&call.resource, &requirement.field).map_err(|text| Rejection::bad_request(&text))?;
        }
        if !call.name.is_empty() {
            fields.push(FieldRequirement { field: "metadata.name".into(), equals: true, value: call.name.clone() });
        }
        Ok(Filter { labels, fields })
    }

    /// Whether it lets everything pass.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_none() && self.fields.is_empty()
    }

    /// Whether the object is selected.
    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.labels.as_ref().is_none_or(|labels| labels.matches(object.labels()))
            && self.fields.iter().all(|wanted| (field(object.value(), &wanted.field) == wanted.value) == wanted.equals)
    }
}

fn parse_fields(text: &str) -> Result<Vec<FieldRequirement>, Rejection> {
    let mut requirements = Vec::new();
    for part in split_unescaped(text) {
        if part.is_empty() {
            continue;
        }
        let split = ["!=", "==", "="].into_iter().filter_map(|operator| part.find(operator).map(|at| (at, operator)));
        let Some((at, operator)) = split.min_by_key(|(at, operator)| (*at, std::cmp::Reverse(operator.len()))) else {
            return Err(Rejection::bad_request(&format!("invalid selector: '{text}'; can't understand '{part}'")));
        };
        let value = unescape(&part[at + operator.len()..]).map_err(|text| Rejection::bad_request(&text))?;
        // The name that very old clients have for it.
        let field = if &part[..at] == "spec.host" { "spec.nodeName" } else { &part[..at] };
        requirements.push(FieldRequirement { field: field.to_owned(), equals: operator != "!=", value });
    }
    Ok(requirements)
}

/// Splits at commas that no backslash stands before.
fn split_unescaped(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for letter in text.chars() {
        match letter {
            ',' if !escaped => parts.push(String::new()),
            _ => {
                if let Some(part) = parts.last_mut() {
                    part.push(letter);
                }
            }
        }
        escaped = letter == '\\' && !escaped;
    }
    parts
}

/// The value behind an operator, in which commas, equals signs and backslashes stand behind backslashes.
fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(next @ ('\\' | ',' | '=')) => out.push(next),
                next => {
                    let next = next.map_or_else(String::new, |next| next.to_string());
                    return Err(format!("invalid field selector: invalid escape sequence: \\{next}"));
                }
            },
            // The letter is printed as its number.
            ',' | '=' => {
                return Err(format!("invalid field selector: unescaped character in value: {}", u32::from(letter)));
            }
            _ => out.push(letter),
        }
    }
    Ok(out)
}

/// The fields that each kind can be selected by, besides its name and namespace.
fn selectable(table: &str) -> &'static [&'static str] {
    match table {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reportingController",
        ],
        "namespaces" => &["status.phase"],
        "nodes" => &["spec.unschedulable"],
        "secrets" => &["type"],
        "services" => &["spec.clusterIP", "spec.type"],
        "replicationcontrollers" => &["status.replicas"],
        "jobs.batch" => &["status.successful"],
        "certificatesigningrequests.certificates.k8s.io" => &["spec.signerName"],
        _ => &[],
    }
}

/// Whether a kind can be selected by a field. Kinds without fields of their own have other words for it than those with some.
fn check_field(resource: &Resource, field: &str) -> Result<(), String> {
    let own = selectable(&resource.table);
    let words_of_own = !own.is_empty() || resource.is_custom();
    match field {
        "metadata.name" => Ok(()),
        "metadata.namespace" if resource.namespaced || !words_of_own => Ok(()),
        _ if own.contains(&field) => Ok(()),
        _ if words_of_own => Err(format!("field label not supported: {field}")),
        _ => Err(format!(
            "{} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            quote(field)
        )),
    }
}

/// The text that a selectable field has.
fn field(object: &Value, path: &str) -> String {
    // events.k8s.io names of fields that are stored under their core names.
    let stored = match path.strip_prefix("regarding.") {
        Some(rest) => format!("involvedObject.{rest}"),
        None if path == "reportingController" => "reportingComponent".to_owned(),
        None if path == "source" => "source.component".to_owned(),
        None if path == "status.successful" => "status.succeeded".to_owned(),
        None => path.to_owned(),
    };
    let mut at = object;
    for part in stored.split('.') {
        match at.get(part) {
            Some(next) => at = next,
            None => return absent(&stored),
        }
    }
    match at {
        Value::String(text) => text.clone().into(),
        Value::Null => absent(&stored),
        other => other.to_string(),
    }
}

/// What a field that is not there compares as: booleans and counts have Go's zero value.
fn absent(path: &str) -> String {
    match path {
        "spec.unschedulable" | "spec.hostNetwork" => "false",
        "status.replicas" | "status.succeeded" => "0",
        _ => "",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_selectors_are_split_and_unescaped() {
        let fields = parse_fields("metadata.name=a,spec.nodeName!=b\\,c,status.phase==Running").unwrap();
        let texts: Vec<_> = fields.iter().map(|f| (f.field.as_str(), f.equals, f.value.as_str())).collect();
        assert_eq!(
            texts,
            [("metadata.name", true, "a"), ("spec.nodeName", false, "b,c"), ("status.phase", true, "Running")]
        );
        for (text, error) in [
            ("a=b=c", "invalid field selector: unescaped character in value: 61"),
            ("a=\\b", "invalid field selector: invalid escape sequence: \\b"),
            ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
        ] {
            assert_eq!(parse_fields(text).err().unwrap().message(), error);
        }
        let error = parse_fields("nonsense").err().unwrap();
        assert_eq!(error.message(), "invalid selector: 'nonsense'; can't understand 'nonsense'");
    }
}
