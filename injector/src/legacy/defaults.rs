//! The object defaults that Istio 1.0 writes into what it injects: those of the Kubernetes API of its time. Later
//! releases leave them to the apiserver.

use apimachinery::value::{Map, Value, json};

fn absent(map: &mut Map, key: &str, value: impl Into<Value>) {
    let entry = map.entry(key).or_insert(Value::Null);
    if entry.is_null() || entry.as_str() == Some("") || entry.as_i64() == Some(0) {
        *entry = value.into();
    }
}

fn each<'a>(parent: &'a mut Map, list: &str) -> impl Iterator<Item = &'a mut Map> {
    parent.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

fn child<'a>(parent: &'a mut Map, path: &[&str]) -> Option<&'a mut Map> {
    let mut map = parent;
    for key in path {
        map = map.get_mut(key)?.as_object_mut()?;
    }
    Some(map)
}

/// Fills in one container.
pub(crate) fn container(container: &mut Value) {
    let Some(map) = container.as_object_mut() else { return };
    absent(map, "terminationMessagePath", "/dev/termination-log");
    absent(map, "terminationMessagePolicy", "File");
    let image = map.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = if tag(image) == "latest" { "Always" } else { "IfNotPresent" };
    absent(map, "imagePullPolicy", policy);
    for port in each(map, "ports") {
        absent(port, "protocol", "TCP");
    }
    for variable in each(map, "env") {
        if let Some(field) = child(variable, &["valueFrom", "fieldRef"]) {
            absent(field, "apiVersion", "v1");
        }
    }
    for probe in ["livenessProbe", "readinessProbe"] {
        let Some(probe) = child(map, &[probe]) else { continue };
        absent(probe, "timeoutSeconds", 1);
        absent(probe, "periodSeconds", 10);
        absent(probe, "successThreshold", 1);
        absent(probe, "failureThreshold", 3);
        if let Some(get) = child(probe, &["httpGet"]) {
            http_get(get);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(get) = child(map, &["lifecycle", hook, "httpGet"]) {
            http_get(get);
        }
    }
    // A limit is also the request, unless there is one.
    if let Some(resources) = child(map, &["resources"]) {
        let limits = resources.get("limits").and_then(Value::as_object).cloned().unwrap_or_default();
        if !limits.is_empty()
            && let Some(requests) = resources.entry("requests").or_insert_with(|| json!({})).as_object_mut()
        {
            for (name, limit) in limits {
                requests.entry(name).or_insert(limit);
            }
        }
    }
}

fn http_get(get: &mut Map) {
    absent(get, "path", "/");
    absent(get, "scheme", "HTTP");
}

/// The tag of an image, `latest` when it has none; an image named by digest has none that matters.
fn tag(image: &str) -> &str {
    if image.contains('@') {
        return "";
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').map_or("latest", |(_, tag)| tag)
}

/// Fills in one volume.
pub(crate) fn volume(volume: &mut Value) {
    const MODE: i64 = 0o644;
    let Some(map) = volume.as_object_mut() else { return };
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        let Some(source) = child(map, &[source]) else { continue };
        if source.get("defaultMode").is_none_or(Value::is_null) {
            source.insert("defaultMode".to_owned(), json!(MODE));
        }
        for item in each(source, "items") {
            if let Some(field) = child(item, &["fieldRef"]) {
                absent(field, "apiVersion", "v1");
            }
        }
        for part in each(source, "sources") {
            if let Some(token) = child(part, &["serviceAccountToken"]) {
                absent(token, "expirationSeconds", 3600);
            }
            if let Some(downward) = child(part, &["downwardAPI"]) {
                for item in each(downward, "items") {
                    if let Some(field) = child(item, &["fieldRef"]) {
                        absent(field, "apiVersion", "v1");
                    }
                }
            }
        }
    }
    if let Some(path) = child(map, &["hostPath"]) {
        path.entry("type").or_insert_with(|| json!(""));
    }
    if map.keys().all(|key| key == "name") {
        map.insert("emptyDir".to_owned(), json!({}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_gets_the_defaults_and_keeps_what_it_has() {
        let mut value = json!({
            "name": "a", "image": "registry:5000/a", "ports": [{"containerPort": 1}],
            "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "readinessProbe": {"httpGet": {"port": 1}, "periodSeconds": 2},
            "resources": {"limits": {"cpu": "1"}},
        });
        container(&mut value);
        assert_eq!(
            value,
            json!({
                "name": "a", "image": "registry:5000/a", "imagePullPolicy": "Always",
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                "ports": [{"containerPort": 1, "protocol": "TCP"}],
                "env": [{"name": "N", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
                "readinessProbe": {
                    "httpGet": {"port": 1, "path": "/", "scheme": "HTTP"},
                    "timeoutSeconds": 1, "periodSeconds": 2, "successThreshold": 1, "failureThreshold": 3,
                },
                "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
            })
        );
    }

    #[test]
    fn the_pull_policy_follows_the_tag() {
        for (image, latest) in [
            ("a", true),
            ("a:latest", true),
            ("a:1", false),
            ("r:5000/a", true),
            ("r:5000/a:1", false),
            ("a@sha256:0", false),
        ] {
            let mut value = json!({"image": image});
            container(&mut value);
            assert_eq!(value["imagePullPolicy"] == "Always", latest, "{image}");
        }
    }

    #[test]
    fn a_volume_without_a_source_is_an_empty_directory() {
        let mut value = json!({"name": "v"});
        volume(&mut value);
        assert_eq!(value, json!({"name": "v", "emptyDir": {}}));
        let mut value = json!({"name": "v", "secret": {"secretName": "s"}});
        volume(&mut value);
        assert_eq!(value["secret"]["defaultMode"], 420);
    }
}
