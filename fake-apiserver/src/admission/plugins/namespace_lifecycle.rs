//! NamespaceLifecycle: nothing is made in a namespace that is missing or going away, and three namespaces stay.

use apimachinery::value::{Value, json};

use super::super::attributes::{Attributes, Operation};
use super::super::cluster::Cluster;
use super::super::rejection::Rejection;

const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

pub(crate) fn admit(cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    let of_namespace = attributes.resource.group.is_empty() && attributes.resource.resource == "namespaces";
    if of_namespace {
        let immortal = IMMORTAL.contains(&attributes.name.as_str());
        if attributes.operation == Operation::Delete && attributes.subresource.is_empty() && immortal {
            return Err(Rejection::forbidden("", "namespaces", &attributes.name, "this namespace may not be deleted"));
        }
        return Ok(());
    }
    // Only creates are checked; access reviews do not live in the namespace that they name.
    if attributes.namespace.is_empty()
        || attributes.operation != Operation::Create
        || (attributes.resource.group == "authorization.k8s.io"
            && attributes.resource.resource == "localsubjectaccessreviews")
    {
        return Ok(());
    }
    let Some(namespace) = cluster.get("", "namespaces", "", &attributes.namespace) else {
        return Err(Rejection::not_found("", "namespaces", &attributes.namespace));
    };
    if namespace["status"]["phase"] != "Terminating" {
        return Ok(());
    }
    let why =
        format!("unable to create new content in namespace {} because it is being terminated", attributes.namespace);
    let resource = &attributes.resource;
    let mut rejection = Rejection::forbidden(&resource.group, &resource.resource, &attributes.name, &why);
    let message = format!("namespace {} is being terminated", attributes.namespace);
    let cause = json!({"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"});
    if let Some(details) = rejection.status["details"].as_object_mut() {
        details.insert("causes".to_owned(), Value::from(vec![cause]));
    }
    Err(rejection)
}
