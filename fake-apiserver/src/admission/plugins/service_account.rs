//! ServiceAccount: the account's name, its token volume and the mounts of it, image pull secrets.

use apimachinery::value::{Map, Value, json};

use super::super::attributes::{Attributes, Operation};
use super::super::cluster::Cluster;
use super::super::rejection::Rejection;
use super::pod;

const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME: &str = "kube-api-access-";

fn forbid(attributes: &Attributes, why: &str) -> Rejection {
    Rejection::forbidden("", "pods", &attributes.name, why)
}

pub(crate) fn mutate(cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    let Some(object) = pod::creating(attributes) else { return Ok(()) };
    if pod::is_mirror(object) {
        return validate(cluster, attributes);
    }
    let named = object["spec"]["serviceAccountName"].as_str().unwrap_or_default();
    let name = if named.is_empty() { "default" } else { named }.to_owned();
    let account = account(cluster, attributes, &name)?;
    let suffix = cluster.name_suffix();
    let Some(spec) = pod::created(attributes) else { return Ok(()) };
    if spec.get("serviceAccountName").and_then(Value::as_str).unwrap_or_default().is_empty() {
        spec.insert("serviceAccountName".to_owned(), name.as_str().into());
        spec.insert("serviceAccount".to_owned(), name.as_str().into());
    }
    if automount(spec, &account) {
        mount_token(spec, &suffix);
    }
    let secrets = account["imagePullSecrets"].as_array().filter(|secrets| !secrets.is_empty());
    let has_own = spec.get("imagePullSecrets").and_then(Value::as_array).is_some_and(|own| !own.is_empty());
    if let (Some(secrets), false) = (secrets, has_own) {
        spec.insert("imagePullSecrets".to_owned(), secrets.clone().into());
    }
    validate(cluster, attributes)
}

/// The account; its absence is the recorded 403 (vector `patch-semantics/set-serviceaccount`).
fn account(cluster: &dyn Cluster, attributes: &Attributes, name: &str) -> Result<std::sync::Arc<Value>, Rejection> {
    let namespace = &attributes.namespace;
    cluster.get("", "serviceaccounts", namespace, name).ok_or_else(|| {
        let why = format!("error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found");
        forbid(attributes, &why)
    })
}

/// The pod decides, then the account; yes by default.
fn automount(spec: &Map, account: &Value) -> bool {
    let own = spec.get("automountServiceAccountToken").and_then(Value::as_bool);
    own.or_else(|| account["automountServiceAccountToken"].as_bool()).unwrap_or(true)
}

/// Whether every container has something there already, as in a pod that has been admitted before. What is not written to
/// goes on sharing its memory.
fn is_mounted(spec: &Map) -> bool {
    let lists = ["containers", "initContainers"].iter().filter_map(|list| spec.get(list));
    let mut containers = lists.filter_map(Value::as_array).flatten().filter(|container| container.is_object());
    containers.all(|container| {
        let mounts = container["volumeMounts"].as_array();
        mounts.is_some_and(|mounts| mounts.iter().any(|mount| mount["mountPath"] == MOUNT_PATH))
    })
}

/// Adds the projected volume and mounts it wherever nothing is mounted at its path.
fn mount_token(spec: &mut Map, suffix: &str) {
    if is_mounted(spec) {
        return;
    }
    let there = spec
        .get("volumes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find_map(|volume| volume["name"].as_str().filter(|name| name.starts_with(VOLUME)).map(str::to_owned));
    let name = there.clone().unwrap_or_else(|| format!("{VOLUME}{suffix}"));
    let mount = json!({"name": name, "readOnly": true, "mountPath": MOUNT_PATH});
    let mut mounted = false;
    for container in pod::containers_mut(spec) {
        let Some(mounts) = pod::list(container, "volumeMounts") else { continue };
        if !mounts.iter().any(|mount| mount["mountPath"] == MOUNT_PATH) {
            mounts.push(mount.clone());
            mounted = true;
        }
        if mounts.is_empty() {
            container.remove("volumeMounts");
        }
    }
    if !mounted || there.is_some() {
        return;
    }
    let Some(volumes) = pod::list(spec, "volumes") else { return };
    volumes.push(json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [
            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
        ]}}
    ]}}));
}

pub(crate) fn validate(cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    let of_pods = attributes.resource.group.is_empty() && attributes.resource.resource == "pods";
    if of_pods && attributes.operation == Operation::Update && attributes.subresource == "ephemeralcontainers" {
        return Ok(());
    }
    let Some(object) = pod::creating(attributes) else { return Ok(()) };
    let spec = &object["spec"];
    if pod::is_mirror(object) {
        let named = !spec["serviceAccountName"].as_str().unwrap_or_default().is_empty();
        if named {
            return Err(forbid(attributes, "a mirror pod may not reference service accounts"));
        }
        let volumes = spec["volumes"].as_array().into_iter().flatten();
        for volume in volumes {
            let tokens = volume["projected"]["sources"].as_array().into_iter().flatten();
            if tokens.into_iter().any(|source| source.get("serviceAccountToken").is_some()) {
                return Err(forbid(attributes, "a mirror pod may not use ServiceAccountToken volume projections"));
            }
        }
        return Ok(());
    }
    let name = spec["serviceAccountName"].as_str().unwrap_or_default();
    if name.is_empty() {
        let why = format!("no service account specified for pod {}/{}", attributes.namespace, attributes.name);
        return Err(forbid(attributes, &why));
    }
    let account = account(cluster, attributes, name)?;
    match unreferenced(spec, name, &account) {
        Some(why) => Err(forbid(attributes, &why)),
        None => Ok(()),
    }
}

/// The first secret that a pod uses and its account does not name, if the account has the annotation
/// `kubernetes.io/enforce-mountable-secrets`.
fn unreferenced(spec: &Value, name: &str, account: &Value) -> Option<String> {
    let annotation = account["metadata"]["annotations"]["kubernetes.io/enforce-mountable-secrets"].as_str()?;
    if !matches!(annotation, "1" | "t" | "T" | "true" | "TRUE" | "True") {
        return None;
    }
    let list = |of: &Value, key: &str| of[key].as_array().cloned().unwrap_or_default();
    let names = |key: &str, secret: &str| list(account, key).iter().any(|one| one["name"] == secret);
    let missing = |secret: &Value| secret.as_str().filter(|secret| !names("secrets", secret)).map(str::to_owned);
    let end = format!("is not allowed because service account {name} does not reference that secret");
    for volume in list(spec, "volumes") {
        if let Some(secret) = missing(&volume["secret"]["secretName"]) {
            return Some(format!("volume with secret.secretName=\"{secret}\" {end}"));
        }
    }
    for (key, word) in [("initContainers", "init container"), ("containers", "container")] {
        for container in list(spec, key) {
            let of = format!("{word} {}", container["name"].as_str().unwrap_or_default());
            for variable in list(&container, "env") {
                if let Some(secret) = missing(&variable["valueFrom"]["secretKeyRef"]["name"]) {
                    let variable = variable["name"].as_str().unwrap_or_default();
                    return Some(format!(
                        "{of} with envVar {variable} referencing secret.secretName=\"{secret}\" {end}"
                    ));
                }
            }
            for from in list(&container, "envFrom") {
                if let Some(secret) = missing(&from["secretRef"]["name"]) {
                    return Some(format!("{of} with envFrom referencing secret.secretName=\"{secret}\" {end}"));
                }
            }
        }
    }
    list(spec, "imagePullSecrets").iter().enumerate().find_map(|(index, one)| {
        let secret = one["name"].as_str().filter(|secret| !names("imagePullSecrets", secret))?;
        let why = "does not reference that imagePullSecret";
        Some(format!("imagePullSecrets[{index}].name=\"{secret}\" is not allowed because service account {name} {why}"))
    })
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::unreferenced;

    #[test]
    fn secrets_that_an_account_does_not_name_are_told() {
        let account = json!({
            "metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}},
            "secrets": [{"name": "own"}], "imagePullSecrets": [{"name": "pull"}],
        });
        let why = |spec| unreferenced(&spec, "robot", &account);
        let from = |name: &str| json!([{"name": "K", "valueFrom": {"secretKeyRef": {"name": name, "key": "k"}}}]);
        assert_eq!(
            why(json!({"volumes": [{"secret": {"secretName": "own"}}], "imagePullSecrets": [{"name": "pull"}]})),
            None
        );
        assert_eq!(why(json!({"containers": [{"name": "a", "env": from("own")}]})), None);
        let end = "is not allowed because service account robot does not reference that secret";
        for (spec, start) in [
            (json!({"volumes": [{"secret": {"secretName": "x"}}]}), "volume with secret.secretName=\"x\""),
            (
                json!({"initContainers": [{"name": "i", "env": from("x")}]}),
                "init container i with envVar K referencing secret.secretName=\"x\"",
            ),
            (
                json!({"containers": [{"name": "a", "envFrom": [{"secretRef": {"name": "x"}}]}]}),
                "container a with envFrom referencing secret.secretName=\"x\"",
            ),
        ] {
            assert_eq!(why(spec), Some(format!("{start} {end}")));
        }
        let pull = why(json!({"imagePullSecrets": [{"name": "pull"}, {"name": "x"}]})).unwrap();
        assert!(pull.starts_with("imagePullSecrets[1].name=\"x\" is not allowed"), "{pull}");
        let free = json!({"secrets": []});
        assert_eq!(unreferenced(&json!({"volumes": [{"secret": {"secretName": "x"}}]}), "robot", &free), None);
    }
}
