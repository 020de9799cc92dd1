//! The injector's ConfigMaps.

use apimachinery::value::{Value, json};
use injector::Injector;
use injector::config::Settings;
use injector::lint::{self, lint};

use super::finding::Findings;
use super::survey::{self, Survey};
use crate::cluster::Api;

/// What Istio's ConfigMaps are called; a revision's name follows after a hyphen.
const NAME: &str = "istio-sidecar-injector";
const MESH: &str = "istio";

/// Checks the ConfigMaps in the namespaces of the services; the injectors that could be loaded, each with its revision
/// (empty for the default).
pub(super) async fn check(api: &dyn Api, survey: &Survey, findings: &mut Findings) -> Vec<(String, Injector)> {
    let mut injectors = Vec::new();
    let mut namespaces: Vec<String> = survey.services().into_iter().map(|service| service.namespace).collect();
    namespaces.dedup();
    for namespace in namespaces {
        let Some(maps) = survey::list(api, &format!("/api/v1/namespaces/{namespace}/configmaps"), findings).await
        else {
            continue;
        };
        let named = |name: &str| maps.iter().find(|map| map["metadata"]["name"] == *name);
        let before = injectors.len();
        let mut seen = 0;
        for map in &maps {
            let name = map["metadata"]["name"].as_str().unwrap_or_default();
            let Some(revision) = name.strip_prefix(NAME).filter(|rest| rest.is_empty() || rest.starts_with('-')) else {
                continue;
            };
            if !map["data"]["config"].is_string() {
                continue;
            }
            seen += 1;
            let mesh = named(&format!("{MESH}{revision}")).or_else(|| named(MESH));
            let settings = settings(map, mesh);
            let subject = format!("configmap {namespace}/{name}");
            one(&subject, &settings, findings);
            if let Ok(injector) = Injector::load(settings) {
                injectors.push((revision.trim_start_matches('-').to_owned(), injector));
            }
        }
        if seen == 0 {
            let subject = format!("configmap {namespace}/{NAME}");
            findings.warning(
                &subject,
                "does not exist, so pods cannot be judged by it",
                "is the injector another than Istio's?",
            );
        } else if injectors.len() == before {
            findings.warning(
                &format!("namespace {namespace}"),
                "none of its injector's configurations can be loaded, so pods cannot be judged by them",
                "repair the ConfigMap",
            );
        }
    }
    injectors
}

/// The settings that a ConfigMap of the injector and one of the mesh stand for.
fn settings(map: &Value, mesh: Option<&Value>) -> Settings {
    let manifest = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": map["metadata"], "data": map["data"] });
    Settings {
        inject_config: manifest.to_string(),
        mesh_config: mesh.and_then(|map| map["data"]["mesh"].as_str()).map(str::to_owned),
        ..Settings::default()
    }
}

fn one(subject: &str, settings: &Settings, findings: &mut Findings) {
    let before = findings.0.len();
    for finding in lint(settings, &[]) {
        let found = format!("{}: {}", finding.place, finding.message);
        match finding.level {
            lint::Level::Error => findings.problem(subject, found, "sidecar-injector lint shows all of it"),
            lint::Level::Warning => findings.warning(subject, found, ""),
        }
    }
    if findings.0.len() == before {
        findings.ok(subject, "loads, and injects the sample pods");
    }
}
