//! DefaultStorageClass: a claim that names no class gets the default one.

use apimachinery::value::Value;

use super::super::attributes::{Attributes, Operation};
use super::super::cluster::Cluster;
use super::super::rejection::Rejection;

const MARKS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

pub(crate) fn mutate(cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    if !attributes.is_for("", "persistentvolumeclaims") || attributes.operation != Operation::Create {
        return Ok(());
    }
    let Some(claim) = attributes.object.as_mut() else { return Ok(()) };
    let annotated = claim["metadata"]["annotations"].get("volume.beta.kubernetes.io/storage-class").is_some();
    let Some(spec) = claim.get_mut("spec").and_then(Value::as_object_mut) else { return Ok(()) };
    if annotated || spec.get("storageClassName").is_some_and(|name| !name.is_null()) {
        return Ok(());
    }
    let classes = cluster.list("storage.k8s.io", "storageclasses", None);
    // The newest default wins; of equally old ones the first by name.
    let made = |class: &Value| class["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
    let name = |class: &Value| class["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let is_default = |class: &Value| MARKS.iter().any(|mark| class["metadata"]["annotations"][mark] == "true");
    let chosen = classes
        .iter()
        .filter(|class| is_default(class))
        .max_by(|a, b| made(a).cmp(&made(b)).then_with(|| name(b).cmp(&name(a))));
    if let Some(class) = chosen {
        spec.insert("storageClassName".to_owned(), name(class).into());
    }
    Ok(())
}
