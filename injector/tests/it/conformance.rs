//! Istio's recorded answers, in process.
//!
//! The recordings are not part of this repository: they lie beside it in `../shared/istio/data`, or where
//! `ISTIO_CONFORMANCE_DATA` says. Without them these tests say so and pass. The full runner, with its accepted deviations
//! and over HTTPS, is `conformance` beside the data; here every decision, pod and second pass is checked in seconds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use apimachinery::value::{Map, Value, json};
use apimachinery::yaml;
use injector::Injector;
use injector::config::{Environment, Settings};

use crate::equal::differences;

/// Cases whose outcome is ours on purpose (docs/deviations.md); the runner beside the data accepts them.
const DEVIATIONS: &[&str] = &["tmpl-volume-source-retain", "merge-volumes-pullsecrets", "merge-raw-without-resources"];

struct Data {
    root: PathBuf,
    index: Value,
}

impl Data {
    fn open() -> Option<Self> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/istio/data");
        let root = std::env::var_os("ISTIO_CONFORMANCE_DATA").map_or(beside, PathBuf::from);
        let Ok(text) = std::fs::read_to_string(root.join("index.json")) else {
            eprintln!("SKIPPED: no recorded answers of Istio in {}; set ISTIO_CONFORMANCE_DATA", root.display());
            return None;
        };
        Some(Self { root, index: serde_json::from_str(&text).unwrap() })
    }

    fn text(&self, path: &Value) -> String {
        let path = self.root.join(path.as_str().unwrap());
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    fn json(&self, path: &Value) -> Value {
        serde_json::from_str(&self.text(path)).unwrap()
    }

    fn cases(&self, suite: &str) -> Vec<Value> {
        self.index["suites"][suite]["cases"].as_array().cloned().unwrap_or_default().into()
    }

    fn base(&self, settings: &Value) -> Settings {
        let set = &self.index["settings"][settings.as_str().unwrap()];
        Settings {
            inject_config: self.text(&set["config"]),
            values: Some(self.text(&set["values"])),
            mesh_config: Some(self.text(&set["mesh"])),
            ..Settings::default()
        }
    }
}

fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (k, v) in over {
                merge(base.entry(k.clone()).or_insert(Value::Null), v);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

fn merged(text: &str, over: &Value) -> String {
    let mut base = yaml::parse(text).unwrap();
    if base.is_null() {
        base = Value::Object(Map::new());
    }
    merge(&mut base, over);
    base.to_string()
}

/// One loaded injector per distinct settings.
#[derive(Default)]
struct Injectors(BTreeMap<String, Injector>);

impl Injectors {
    fn get(&mut self, settings: Settings) -> &Injector {
        self.0.entry(format!("{settings:?}")).or_insert_with(|| Injector::load(settings).unwrap())
    }
}

fn review(pod: &Value, namespace: &Value, version: &Value) -> Vec<u8> {
    json!({ "apiVersion": version, "kind": "AdmissionReview", "request": {
        "uid": "u", "namespace": namespace, "operation": "CREATE", "object": pod,
        "kind": { "group": "", "version": "v1", "kind": "Pod" },
        "resource": { "group": "", "version": "v1", "resource": "pods" },
    } })
    .to_string()
    .into_bytes()
}

/// The response of a review, and the object after its patch.
fn answer(injector: &Injector, body: &[u8], path: &str, pod: &Value) -> Result<(Value, Value), String> {
    use base64::Engine as _;
    let reviewed: Value = serde_json::from_slice(&injector.review(body, path).body).unwrap();
    let response = reviewed["response"].clone();
    let mut patched = serde_json::Value::from(pod.clone());
    if let Some(patch) = response["patch"].as_str() {
        let bytes = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
        let patch: json_patch::Patch = serde_json::from_slice(&bytes).unwrap();
        json_patch::patch(&mut patched, &patch).map_err(|e| format!("the patch does not apply: {e}"))?;
    }
    Ok((response, patched.into()))
}

fn check(name: &str, problems: Vec<String>, failed: &mut Vec<String>) {
    if !problems.is_empty() {
        failed.push(format!("{name}: {}", problems.into_iter().take(4).collect::<Vec<_>>().join("\n    ")));
    }
}

fn report(suite: &str, cases: usize, failed: &[String]) {
    eprintln!("{suite}: {} of {cases} cases as Istio", cases - failed.len());
    assert!(failed.is_empty(), "{} of {cases} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(cases > 0, "the data holds no case of {suite}");
}

#[test]
fn webhook_requests() {
    let Some(data) = Data::open() else { return };
    let (mut injectors, mut failed, mut cases) = (Injectors::default(), Vec::new(), 0);
    for entry in data.cases("modern-http") {
        let case = data.json(&entry["file"]);
        let (name, expect) = (case["name"].as_str().unwrap(), &case["expect"]);
        // What is not about a pod is HTTP, and the server's business.
        if case["pod"].is_null() || !case["rawBody"].is_null() || expect["status"] != 200 || DEVIATIONS.contains(&name)
        {
            continue;
        }
        cases += 1;
        let injector = injectors.get(http_settings(&data, &case));
        let (pod, path) = (&case["pod"], case["path"].as_str().unwrap());
        let body = review(pod, &case["namespace"], &case["apiVersion"]);
        let problems = match answer(injector, &body, path, pod) {
            Err(e) => vec![e],
            Ok((response, patched)) => {
                let wanted = &expect["review"]["response"];
                let mut problems = Vec::new();
                if response["allowed"] != wanted["allowed"] {
                    problems.push(format!("allowed: want {}, got {}", wanted["allowed"], response));
                } else if wanted["allowed"] == true {
                    problems = differences(expect.get("patched").unwrap_or(pod), &patched);
                    problems.extend(second_pass(injector, &case, &patched, path));
                }
                problems
            }
        };
        check(name, problems, &mut failed);
    }
    report("modern-http", cases, &failed);
}

/// A second injection changes nothing.
fn second_pass(injector: &Injector, case: &Value, first: &Value, path: &str) -> Vec<String> {
    // Its status annotation names containers that are the user's: the first pass replaces it, the second sees others.
    if case["name"] == "status-foreign-container" {
        return Vec::new();
    }
    let body = review(first, &case["namespace"], &case["apiVersion"]);
    match answer(injector, &body, path, first) {
        Err(e) => vec![format!("second pass: {e}")],
        Ok((response, _)) if response["allowed"] != true => vec![format!("second pass: {response}")],
        Ok((_, second)) => differences(first, &second).into_iter().map(|d| format!("second pass: {d}")).collect(),
    }
}

fn http_settings(data: &Data, case: &Value) -> Settings {
    let mut settings = data.base(&case["settings"]);
    let mut config = yaml::parse(&settings.inject_config).unwrap();
    for (k, v) in case["config"].as_object().into_iter().flatten() {
        config[k] = v.clone();
    }
    merge(&mut config, case.get("configMerge").filter(|v| v.is_object()).unwrap_or(&json!({})));
    settings.inject_config = config.to_string();
    if case["values"].is_object() {
        settings.values = Some(merged(settings.values.as_deref().unwrap(), &case["values"]));
    }
    if let Some(mesh) = case["mesh"].as_str() {
        settings.mesh_config = Some(merged(settings.mesh_config.as_deref().unwrap(), &yaml::parse(mesh).unwrap()));
    }
    settings.revision = case["revision"].as_str().filter(|r| !r.is_empty()).map(str::to_owned);
    settings.cluster_objects = case.get("clusterObjects").filter(|o| !o.is_null()).map(Value::to_string);
    let native = case["native"].as_str().map_or_else(|| case["native"].to_string(), str::to_owned);
    let mut variables = vec![("ENABLE_NATIVE_SIDECARS".to_owned(), native)];
    for (k, v) in case["env"].as_object().into_iter().flatten() {
        variables.retain(|(name, _)| name != k);
        variables.push((k.clone().into(), v.as_str().unwrap().to_owned()));
    }
    settings.environment = Environment::from_variables(variables);
    settings
}

fn golden_settings(data: &Data, case: &Value) -> Settings {
    let mut settings = data.base(&case["settings"]);
    if case["meshOverride"].as_object().is_some_and(|o| !o.is_empty()) {
        settings.mesh_config = Some(merged(settings.mesh_config.as_deref().unwrap(), &case["meshOverride"]));
    }
    let native = match case["nativeSidecars"].as_str() {
        Some("enabled") => "true",
        Some("disabled") => "false",
        _ => "auto",
    };
    let mut variables = vec![("ENABLE_NATIVE_SIDECARS".to_owned(), native.to_owned())];
    if case["openshift"] == true {
        variables.push(("PLATFORM".to_owned(), "openshift".to_owned()));
    }
    if let Some(policy) = case["compliancePolicy"].as_str().filter(|p| !p.is_empty()) {
        variables.push(("COMPLIANCE_POLICY".to_owned(), policy.to_owned()));
    }
    settings.environment = Environment::from_variables(variables);
    let ids = "1000620000/10000";
    let mut items =
        vec![json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "test-ns", "annotations": {
        "openshift.io/sa.scc.uid-range": ids, "openshift.io/sa.scc.supplemental-groups": ids } } })];
    for (i, version) in case["nodes"].as_array().into_iter().flatten().enumerate() {
        items.push(json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": format!("node-{i}") },
            "status": { "nodeInfo": { "kubeletVersion": version } } }));
    }
    settings.cluster_objects = Some(json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string());
    settings
}

#[test]
fn golden_pods() {
    let Some(data) = Data::open() else { return };
    let (mut injectors, mut failed, mut cases) = (Injectors::default(), Vec::new(), 0);
    for case in data.cases("modern-inject") {
        for part in case["parts"].as_array().into_iter().flatten() {
            cases += 1;
            let part = data.json(part);
            let mut settings = golden_settings(&data, &case);
            settings.revision = case["revision"]["webhook"].as_str().map(str::to_owned);
            let body = review(&part["pod"], &part["namespace"], &json!("admission.k8s.io/v1"));
            let problems = match answer(injectors.get(settings), &body, "/inject", &part["pod"]) {
                Err(e) => vec![e],
                Ok((response, _)) if response["allowed"] != part["allowed"] => vec![response.to_string()],
                Ok((_, patched)) => differences(part.get("patched").unwrap_or(&part["pod"]), &patched),
            };
            check(case["name"].as_str().unwrap(), problems, &mut failed);
        }
    }
    report("modern-inject", cases, &failed);
}

#[test]
fn golden_files() {
    let Some(data) = Data::open() else { return };
    let (mut injectors, mut failed, mut cases) = (Injectors::default(), Vec::new(), 0);
    for case in data.cases("modern-inject").iter().filter(|c| c["skipKubeInject"] != true) {
        cases += 1;
        let mut settings = golden_settings(&data, case);
        settings.revision = case["revision"]["kubeInject"].as_str().filter(|r| !r.is_empty()).map(str::to_owned);
        let injector = injectors.get(settings);
        let input = data.text(&case["input"]);
        let documents = yaml::documents(&input).map(|d| d.unwrap().value).filter(|v| !v.is_null());
        let done: Result<Vec<_>, _> = documents.map(|d| injector.inject_document(d)).collect();
        let problems = match (done, case["expectedError"].as_str()) {
            (Err(e), Some(wanted)) if e.to_string().to_lowercase().contains(wanted) => Vec::new(),
            (Err(e), _) => vec![e.to_string()],
            (Ok(_), Some(wanted)) => vec![format!("want a failure that mentions {wanted}")],
            (Ok(done), None) => {
                let wanted = data.text(&case["expected"]);
                let wanted = yaml::documents(&wanted).map(|d| d.unwrap().value).filter(|v| !v.is_null());
                let wanted: Vec<Value> = wanted.collect();
                let mut problems = Vec::new();
                if wanted.len() != done.len() {
                    problems.push(format!("want {} documents, got {}", wanted.len(), done.len()));
                }
                for (wanted, done) in wanted.iter().zip(&done) {
                    problems.extend(differences(wanted, &done.object));
                }
                let warnings: String = done.iter().flat_map(|d| d.warnings.iter().map(String::as_str)).collect();
                if let Some(log) = case["expectedLog"].as_str()
                    && !warnings.contains(log)
                {
                    problems.push(format!("no warning {log:?} in {warnings:?}"));
                }
                problems
            }
        };
        check(case["name"].as_str().unwrap(), problems, &mut failed);
    }
    report("modern-kube-inject", cases, &failed);
}
