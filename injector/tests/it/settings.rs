//! Every configuration there is to try: those in the box always, Istio's own if they lie beside this repository.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use apimachinery::value::{Value, json};
use injector::config::{Environment, Settings};
use injector::{Injector, boxed};

/// A configuration that is loaded.
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) settings: Settings,
    pub(crate) injector: Injector,
}

/// Where Istio's recordings are, or a loud line that they are not there.
pub(crate) fn recordings() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/istio/data");
    let root = std::env::var_os("ISTIO_CONFORMANCE_DATA").map_or(beside, PathBuf::from);
    if root.join("index.json").is_file() {
        return Some(root);
    }
    eprintln!("SKIPPED: no recorded answers of Istio in {}; set ISTIO_CONFORMANCE_DATA", root.display());
    None
}

/// All of them, loaded once.
pub(crate) fn all() -> &'static [Loaded] {
    static ALL: OnceLock<Vec<Loaded>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = boxes();
        all.extend(recordings().into_iter().flat_map(|root| istios(&root)));
        all.into_iter()
            .map(|(name, settings)| {
                let injector = Injector::load(settings.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
                Loaded { name, settings, injector }
            })
            .collect()
    })
}

/// Those in the box, modern ones with and without native sidecars, and one whose templates also patch the user's containers,
/// through an alias.
fn boxes() -> Vec<(String, Settings)> {
    let modern = |native: &str| Settings { environment: native_sidecars(native), ..boxed::MODERN.settings() };
    let custom = Settings { inject_config: custom_config().to_string(), ..modern("true") };
    vec![
        ("boxed modern".to_owned(), modern("false")),
        ("boxed modern, native".to_owned(), modern("true")),
        ("custom".to_owned(), custom),
        ("boxed 1.0".to_owned(), boxed::V1_0.settings()),
    ]
}

fn istios(root: &Path) -> Vec<(String, Settings)> {
    let text = |path: &str| {
        std::fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{}: {e}", root.join(path).display()))
    };
    let index: Value = serde_json::from_str(&text("index.json")).unwrap();
    let mut all = Vec::new();
    for (number, (name, set)) in index["settings"].as_object().unwrap().iter().enumerate() {
        let file = |key: &str| text(set[key].as_str().unwrap());
        let settings = Settings {
            inject_config: file("config"),
            values: Some(file("values")),
            mesh_config: Some(file("mesh")),
            environment: native_sidecars(if number % 2 == 0 { "true" } else { "false" }),
            ..Settings::default()
        };
        all.push((format!("Istio {name}"), settings));
    }
    for (release, config, values, mesh) in [
        ("1.0.2", "v1_0/configmaps/1.0.2-config.yaml", None, "v1_0/default-mesh.json"),
        ("1.0.6", "v1_0/configmaps/1.0.6-config.yaml", None, "v1_0/default-mesh.json"),
        ("1.1", "v1_1/configmap.yaml", None, "v1_1/mesh.json"),
        ("1.3", "v1_3/configmap.yaml", Some("v1_3/values.yaml"), "v1_3/mesh.json"),
    ] {
        let settings = Settings {
            inject_config: text(config),
            values: values.map(text),
            mesh_config: Some(text(mesh)),
            ..Settings::default()
        };
        all.push((format!("Istio {release}"), settings));
    }
    all
}

fn native_sidecars(value: &str) -> Environment {
    Environment::from_variables([("ENABLE_NATIVE_SIDECARS".to_owned(), value.to_owned())])
}

fn custom_config() -> Value {
    json!({
        "policy": "enabled",
        "defaultTemplates": ["both"],
        "aliases": { "both": ["proxy", "app"] },
        "injectedAnnotations": { "example.com/injected": "yes" },
        "templates": {
            "proxy": concat!(
                "spec:\n  {{ if .NativeSidecars }}initContainers{{ else }}containers{{ end }}:\n  - name: istio-proxy\n",
                "    image: proxy:1\n    args: [proxy, sidecar]\n    env:\n    - {name: APPS, value: '{{ len .Spec.Containers }}'}\n",
                "    - {name: ISTIO_META_CLUSTER_ID, value: Kubernetes}\n",
                "    ports: [{containerPort: 15090, name: http-envoy-prom, protocol: TCP}]\n",
                "  volumes:\n  - {name: istio-envoy, emptyDir: {medium: Memory}}\n",
            ),
            "app": "spec:\n  containers:\n  - name: a\n    env:\n    - {name: FROM_TEMPLATE, value: t}\n    - {name: LEVEL, value: t}\n",
        },
    })
}
