//! Priority: the priority class's value and preemption policy.

use apimachinery::value::{Map, Value};

use super::super::attributes::{Attributes, Operation};
use super::super::cluster::Cluster;
use super::super::rejection::Rejection;
use super::pod;

const GROUP: &str = "scheduling.k8s.io";
const LOWEST_SYSTEM: i64 = 2_000_000_000;

pub(crate) fn mutate(cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    if attributes.is_for("", "pods") && attributes.operation == Operation::Update {
        keep_old(attributes);
        return Ok(());
    }
    let Some(object) = pod::creating(attributes) else { return Ok(()) };
    let spec = &object["spec"];
    let forbid = |why: &str| Err(Rejection::forbidden("", "pods", &attributes.name, why));
    let named = spec["priorityClassName"].as_str().unwrap_or_default().to_owned();
    let (class_name, value, policy) = if named.is_empty() {
        match default_class(cluster) {
            Some(class) => (class.0, class.1, class.2),
            None => (String::new(), 0, "PreemptLowerPriority".to_owned()),
        }
    } else {
        match cluster.get(GROUP, "priorityclasses", "", &named) {
            Some(class) => read(&class),
            None => return forbid(&format!("no PriorityClass with name {named} was found")),
        }
    };
    if let Some(given) = spec["priority"].as_i64().filter(|given| *given != value) {
        return forbid(&format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name"
        ));
    }
    if let Some(given) = spec["preemptionPolicy"].as_str().filter(|given| *given != policy) {
        return forbid(&format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        ));
    }
    let Some(spec) = pod::created(attributes) else { return Ok(()) };
    if named.is_empty() && !class_name.is_empty() {
        spec.insert("priorityClassName".to_owned(), class_name.into());
    }
    // What is there is right: it was looked at above.
    if spec.get("priority").is_none_or(Value::is_null) {
        spec.insert("priority".to_owned(), value.into());
    }
    if spec.get("preemptionPolicy").is_none_or(Value::is_null) {
        spec.insert("preemptionPolicy".to_owned(), policy.into());
    }
    Ok(())
}

/// An update that leaves priority and policy out keeps what is stored.
fn keep_old(attributes: &mut Attributes) {
    let old: Map = ["priority", "preemptionPolicy"]
        .into_iter()
        .filter_map(|key| {
            let value = attributes.old_object.as_ref()?.get("spec")?.get(key)?;
            Some((key.to_owned(), value.clone()))
        })
        .collect();
    let spec = attributes.object.as_mut().and_then(|object| object.get_mut("spec")).and_then(Value::as_object_mut);
    if let Some(spec) = spec {
        for (key, value) in old {
            let slot = spec.entry(key).or_insert(Value::Null);
            if slot.is_null() {
                *slot = value;
            }
        }
    }
}

fn read(class: &Value) -> (String, i64, String) {
    (
        class["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
        class["value"].as_i64().unwrap_or_default(),
        class["preemptionPolicy"].as_str().unwrap_or("PreemptLowerPriority").to_owned(),
    )
}

/// The global default with the lowest value.
fn default_class(cluster: &dyn Cluster) -> Option<(String, i64, String)> {
    let classes = cluster.list(GROUP, "priorityclasses", None);
    classes.iter().filter(|class| class["globalDefault"] == true).map(|class| read(class)).min_by_key(|class| class.1)
}

/// Priority classes themselves: at most one global default; the values above are reserved to `system-` classes, which
/// the schema validation checks.
pub(crate) fn validate(cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    let written = matches!(attributes.operation, Operation::Create | Operation::Update);
    if !attributes.is_for(GROUP, "priorityclasses") || !written {
        return Ok(());
    }
    let Some(class) = &attributes.object else { return Ok(()) };
    let (name, value, _) = read(class);
    if class["globalDefault"] != true || value >= LOWEST_SYSTEM {
        return Ok(());
    }
    match default_class(cluster).filter(|default| default.0 != name) {
        None => Ok(()),
        Some((default, ..)) => Err(Rejection::forbidden(
            GROUP,
            "priorityclasses",
            &name,
            &format!("PriorityClass {default} is already marked as default. Only one default can exist"),
        )),
    }
}
