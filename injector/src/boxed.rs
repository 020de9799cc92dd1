//! Two injector configurations in the box, for trying things out without a cluster's own: each gives a pod the init
//! container `istio-init`, the container `istio-proxy`, the volumes `istio-envoy` and `istio-certs`, and the status annotation.

use crate::config::{Environment, Settings};

/// An injector configuration that comes with the program.
#[derive(Debug, Clone, Copy)]
pub struct Boxed {
    /// What it is called on the command line.
    pub name: &'static str,
    /// The manifest of the ConfigMap `istio-sidecar-injector`; its values, if any, are in it.
    pub config_map: &'static str,
    /// The mesh configuration, as in the key `mesh` of the ConfigMap `istio`.
    pub mesh: &'static str,
}

/// In the manner of Istio 1.0: one `template:` between `[[` and `]]`.
pub const V1_0: Boxed =
    Boxed { name: "1.0", config_map: include_str!("boxed/v1_0.yaml"), mesh: include_str!("boxed/v1_0-mesh.yaml") };

/// In the manner of Istio 1.9 and later: `templates:` that print a pod.
pub const MODERN: Boxed = Boxed {
    name: "modern",
    config_map: include_str!("boxed/modern.yaml"),
    mesh: include_str!("boxed/modern-mesh.yaml"),
};

/// Both.
pub const ALL: [Boxed; 2] = [V1_0, MODERN];

impl Boxed {
    /// The configuration of that name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|boxed| boxed.name == name)
    }

    /// What to load an injector from.
    pub fn settings(&self) -> Settings {
        Settings {
            inject_config: self.config_map.to_owned(),
            mesh_config: Some(self.mesh.to_owned()),
            environment: Environment::default(),
            ..Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use apimachinery::value::{Value, json};

    use super::*;
    use crate::Injector;
    use crate::config::Era;

    fn injected(boxed: Boxed) -> Option<Value> {
        let injector = Injector::load(boxed.settings()).unwrap();
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web", "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app", "image": "app:1", "ports": [{"containerPort": 8080}], "resources": {}}]},
        });
        let injected = injector.inject_object(&pod, "shop", "/inject").unwrap();
        let patch: json_patch::Patch =
            apimachinery::value::from_value(apimachinery::value::to_value(injected.patch).unwrap()).unwrap();
        let mut after = pod.into();
        json_patch::patch(&mut after, &patch).unwrap();
        Some(after.into())
    }

    fn names(list: &Value) -> Vec<&str> {
        list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn each_gives_a_pod_the_sidecar_and_its_surroundings() {
        for boxed in ALL {
            let pod = injected(boxed).unwrap();
            let spec = &pod["spec"];
            assert_eq!(names(&spec["initContainers"]), ["istio-init"], "{}", boxed.name);
            assert_eq!(names(&spec["containers"]), ["app", "istio-proxy"], "{}", boxed.name);
            assert!(
                ["istio-envoy", "istio-certs"].iter().all(|v| names(&spec["volumes"]).contains(v)),
                "{}",
                boxed.name
            );
            let init = spec["initContainers"][0]["args"].as_array().unwrap();
            let init = &init[init.iter().position(|a| a == "-p").unwrap()..];
            let wanted =
                ["-p", "15001", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", "", "-b", "8080", "-d", "15020"];
            assert_eq!(init, wanted, "{}", boxed.name);
            let args: Vec<&str> =
                spec["containers"][1]["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(args[..2], ["proxy", "sidecar"]);
            for flag in ["--configPath", "--discoveryAddress", "--statusPort"] {
                assert!(args.contains(&flag), "{}: {flag}", boxed.name);
            }
            let status = pod["metadata"]["annotations"]["sidecar.istio.io/status"].as_str().unwrap();
            assert!(status.contains("istio-proxy"), "{status}");
            // Only 1.0 itself, not 1.1 that shares its delimiters, writes object defaults.
            let defaulted = spec["containers"][1]["terminationMessagePath"] == "/dev/termination-log";
            assert_eq!(defaulted, boxed.name == "1.0", "{}", boxed.name);
        }
    }

    #[test]
    fn they_are_of_the_eras_that_they_say() {
        let era = |boxed: Boxed| Injector::load(boxed.settings()).unwrap().era();
        assert_eq!(era(V1_0), Era::SquareBrackets);
        assert_eq!(era(MODERN), Era::Modern);
    }
}
