//! The offline commands, as a person or a CI job runs them.

use std::path::PathBuf;
use std::process::{Command, Output};

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: app, image: "app:1", ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
"#;

struct Run {
    folder: tempfile::TempDir,
}

impl Run {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sidecar-injector"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("LOG_LEVEL")
            .output()
            .unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn manifests_are_injected_and_the_rest_passes_through() {
    let run = Run::new();
    run.file("web.yaml", WEB);
    for boxed in ["1.0", "modern"] {
        let output = run.command(&["inject", "--boxed", boxed, "-f", "web.yaml"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let documents: Vec<_> = apimachinery::yaml::documents(&text(&output.stdout))
            .map(|d| d.unwrap().value)
            .filter(|d| !d.is_null())
            .collect();
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0]["spec"]["template"]["spec"]["containers"][1]["name"], "istio-proxy");
        assert_eq!(documents[1]["kind"], "Service");
    }
}

#[test]
fn what_is_wrong_ends_in_a_message_and_status_1() {
    let run = Run::new();
    run.file("web.yaml", WEB);
    run.file("broken.yaml", "a: [\n");
    run.file("template.yaml", "policy: enabled\ntemplate: '[[ if ]]'\n");
    run.file("annotation.yaml", &WEB.replace("labels: {app: web}", "annotations: {status.sidecar.istio.io/port: x}"));
    for (arguments, says) in [
        (["inject", "--boxed", "1.0", "-f", "none.yaml"], "none.yaml: cannot be read"),
        (["inject", "--boxed", "1.0", "-f", "broken.yaml"], "broken.yaml: line"),
        (["inject", "--inject-config", "none.yaml", "-f", "web.yaml"], "none.yaml: cannot be read"),
        (["inject", "--inject-config", "template.yaml", "-f", "web.yaml"], "template.yaml"),
        (["inject", "--boxed", "modern", "-f", "annotation.yaml"], "status.sidecar.istio.io/port"),
        (["inject", "--boxed", "1.0", "-f", "annotation.yaml"], "status.sidecar.istio.io/port"),
    ] {
        let output = run.command(&arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(message.contains(says), "{arguments:?}: {message}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
    assert_eq!(run.command(&["inject", "-f", "web.yaml"]).status.code(), Some(2));
}

#[test]
fn explain_names_the_rule_and_the_webhook() {
    let run = Run::new();
    run.file("web.yaml", &WEB.replace("labels: {app: web}", "labels: {app: web, sidecar.istio.io/inject: \"false\"}"));
    run.file(
        "webhook.yaml",
        r#"
kind: MutatingWebhookConfiguration
metadata: {name: injector}
webhooks:
- name: namespace.sidecar-injector.istio.io
  rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods]}]
  namespaceSelector: {matchLabels: {istio-injection: enabled}}
  matchConditions:
  - name: not-kube-system
    expression: |
      request.namespace !=
        "kube-system"
"#,
    );
    let explain = |labels: &str| {
        let arguments =
            ["explain", "--boxed", "modern", "-f", "web.yaml", "--json", "--webhook-config", "webhook.yaml"];
        let output = run.command(&[&arguments[..], &["--namespace-labels", labels]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice::<apimachinery::value::Value>(&output.stdout).unwrap()[0].clone()
    };
    let called = explain("istio-injection=enabled");
    assert_eq!((&called["called"], &called["injected"]), (&true.into(), &false.into()));
    assert_eq!(called["decision"]["reason"], "label");
    assert_eq!(
        called["matchConditions"],
        apimachinery::value::json!([{
            "webhook": "injector/namespace.sidecar-injector.istio.io", "name": "not-kube-system",
            "expression": "request.namespace !=\n  \"kube-system\"", "outcome": "not evaluated offline",
        }])
    );
    let arguments = ["explain", "--boxed", "modern", "-f", "web.yaml", "--webhook-config", "webhook.yaml"];
    let table = run.command(&[&arguments[..], &["--namespace-labels", "istio-injection=enabled"]].concat());
    let line = "match condition not-kube-system of injector/namespace.sidecar-injector.istio.io: not evaluated offline: \
                request.namespace != \"kube-system\"\n";
    assert!(text(&table.stdout).contains(line), "{}", text(&table.stdout));
    let not_called = explain("istio-injection=disabled");
    assert_eq!(not_called.get("matchConditions"), None);
    assert_eq!(not_called["called"], false);
    assert!(not_called["webhooks"][0]["found"].as_str().unwrap().contains("namespaceSelector"), "{not_called}");
}

#[test]
fn lint_fails_on_errors_and_render_numbers_the_lines() {
    let run = Run::new();
    run.file("web.yaml", WEB);
    run.file("bad.yaml", "polcy: enabled\ntemplate: '[[ nosuch ]]'\n");
    let clean = run.command(&["lint", "--boxed", "1.0", "-f", "web.yaml"]);
    assert_eq!((clean.status.code(), text(&clean.stdout).as_str()), (Some(0), "0 errors, 0 warnings\n"));
    let bad = run.command(&["lint", "--inject-config", "bad.yaml"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stdout).contains("nosuch") && text(&bad.stdout).contains("polcy"), "{}", text(&bad.stdout));
    let render = run.command(&["render", "--boxed", "1.0", "-f", "web.yaml"]);
    assert!(text(&render.stdout).contains(" | initContainers:"), "{}", text(&render.stdout));
}
