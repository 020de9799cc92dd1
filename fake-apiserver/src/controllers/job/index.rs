//! Completion indexes: which are done, which are missing, and how a pod carries its own.

use std::collections::BTreeSet;

use apimachinery::value::{Value, json};

use crate::controllers::view::{annotation, items, map_mut, name, set_annotation, set_label};

pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
const ENVIRONMENT: &str = "JOB_COMPLETION_INDEX";

/// The index of a pod, if it has one.
pub(super) fn of(pod: &Value) -> Option<i64> {
    annotation(pod, INDEX)?.parse().ok()
}

/// Indexes as `0-2,5`.
pub(super) fn print(indexes: &BTreeSet<i64>) -> String {
    let mut parts: Vec<(i64, i64)> = Vec::new();
    for index in indexes {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => parts.push((*index, *index)),
        }
    }
    let texts: Vec<_> = parts
        .into_iter()
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}-{last}"),
        })
        .collect();
    texts.join(",")
}

/// Reads `0-2,5`; what is not below `completions` is left out.
pub(super) fn parse(text: &str, completions: i64) -> BTreeSet<i64> {
    let mut indexes = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.parse::<i64>(), last.parse::<i64>()) else { continue };
        indexes.extend(first.max(0)..=last.min(completions - 1));
    }
    indexes
}

/// Writes an index into a pod: annotation, label, host name, environment of every container, and its generated name.
pub(super) fn assign(pod: &mut Value, job: &Value, index: i64) {
    let text = index.to_string();
    if let Some(metadata) = pod.get_mut("metadata") {
        map_mut(metadata, "annotations");
    }
    set_annotation(pod, INDEX, &text);
    set_label(pod, INDEX, &text);
    pod["metadata"]["generateName"] = format!("{}-{index}-", name(job)).into();
    pod["spec"]["hostname"] = format!("{}-{index}", name(job)).into();
    let source = json!({ "fieldRef": { "fieldPath": format!("metadata.labels['{INDEX}']") } });
    for list in ["initContainers", "containers"] {
        let containers = pod.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            if items(container, "/env").iter().any(|variable| variable["name"] == ENVIRONMENT) {
                continue;
            }
            let variable = json!({ "name": ENVIRONMENT, "valueFrom": source });
            match container.get_mut("env").and_then(Value::as_array_mut) {
                Some(env) => env.push(variable),
                None => container["env"] = json!([variable]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_there_and_back() {
        let indexes: BTreeSet<_> = [0, 1, 2, 4, 5, 9].into();
        assert_eq!(print(&indexes), "0-2,4,5,9");
        assert_eq!(parse("0-2,4,5,9", 10), indexes);
        assert_eq!(parse("0-2,9,x,3-99999999999", 3), [0, 1, 2].into());
        assert_eq!(print(&BTreeSet::new()), "");
    }

    #[test]
    fn a_pod_carries_its_index() {
        // pod-create/via-job-indexed
        let mut pod = json!({ "metadata": {}, "spec": {
            "containers": [{ "name": "app" }, { "name": "own", "env": [{ "name": "JOB_COMPLETION_INDEX" }] }],
        }});
        assign(&mut pod, &json!({ "metadata": { "name": "web" } }), 1);
        assert_eq!(of(&pod), Some(1));
        assert_eq!(pod["metadata"]["generateName"], "web-1-");
        assert_eq!(pod["spec"]["hostname"], "web-1");
        assert_eq!(
            pod["spec"]["containers"][0]["env"][0]["valueFrom"]["fieldRef"]["fieldPath"],
            "metadata.labels['batch.kubernetes.io/job-completion-index']"
        );
        assert_eq!(items(&pod, "/spec/containers/1/env").len(), 1);
    }
}
