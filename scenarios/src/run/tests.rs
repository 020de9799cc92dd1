use apimachinery::value::{Value, json};

use super::matching::{holds, overlap, project, text_matches};
use super::*;
use crate::boxed;
use crate::scenario::{Files, load};

fn run_text(text: &str) -> Outcome {
    run(&load("test.yaml", text, &Files::Embedded(boxed::FILES)).unwrap()).unwrap()
}

const CLUSTER: &str = "
scenario: x
cluster:
  namespaces: [shop]
  webhooks:
  - {name: hook, reply: {allowed: true, patch: [{op: add, path: /metadata/labels, value: {seen: 'yes'}}], warnings: [careful]}}
steps:
";

const POD: &str =
    "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}, spec: {containers: [{name: app, image: i}]}}";

#[test]
fn every_scenario_in_the_box_passes_twice_with_the_same_trace() {
    for (file, text) in boxed::scenarios() {
        let scenario = load(file, text, &Files::Embedded(boxed::FILES)).unwrap();
        let first = run(&scenario).unwrap();
        assert!(first.is_ok(), "{file}: {:?}\n{}", first.failure, first.trace);
        let second = run(&scenario).unwrap();
        assert_eq!(first.trace, second.trace, "{file}: the same seed gives the same run");
        assert_eq!(first.virtual_time, second.virtual_time);
    }
}

#[test]
fn a_failed_expectation_says_what_was_expected_and_what_found() {
    let outcome = run_text(&format!(
        "{CLUSTER}
- create: {POD}
- expect:
    status: 403
    warnings: [nothing]
    without: [app]
    labels: {{seen: 'no'}}
    calls: [{{webhook: hook, count: 2}}]
    matches: {{spec: {{containers: [{{name: app, image: other}}]}}}}
"
    ));
    let failure = outcome.failure.as_ref().unwrap();
    assert_eq!((failure.step, failure.word.as_str(), outcome.steps), (2, "expect", 1));
    for part in [
        "status of POST /api/v1/namespaces/shop/pods\n  expected: 403\n  found:    201",
        "warnings of POST /api/v1/namespaces/shop/pods\n  expected: nothing\n  found:    careful",
        "expected: no app\n  found:    app",
        "label seen of pod shop/web\n  expected: no\n  found:    yes",
        "calls of webhook hook\n  expected: calls: 2\n  found:    hook /inject?timeout=10s CREATE",
        "  -   - image: other\n  +   - image: i\n        name: app",
    ] {
        assert!(failure.message.contains(part), "{}\n  wanted: {part}", failure.message);
    }
    assert!(outcome.trace.contains("POST /api/v1/namespaces/shop/pods: 201"), "{}", outcome.trace);
    let shown = crate::report::line(&outcome, crate::report::Style::default(), false);
    assert!(shown.contains("test.yaml:10: step 2 (expect)") && shown.contains("seed 1"), "{shown}");
}

#[test]
fn a_refusal_that_nobody_expects_fails_the_scenario() {
    let outcome = run_text(&format!("{CLUSTER}\n- delete: pod/shop/none\n- create: {POD}\n"));
    let failure = outcome.failure.unwrap();
    assert_eq!((failure.step, outcome.steps), (1, 0));
    assert!(failure.message.contains("404 pods \"none\" not found"), "{}", failure.message);
    let outcome =
        run_text(&format!("{CLUSTER}\n- delete: pod/shop/none\n- expect: {{status: 404}}\n- create: {POD}\n"));
    assert!(outcome.is_ok(), "{:?}", outcome.failure);
}

#[test]
fn what_cannot_be_set_up_or_does_not_exist_is_told() {
    let outcome = run_text("scenario: x\ncluster: {objects: [{apiVersion: v9, kind: Nothing}]}\nsteps: []\n");
    assert_eq!(outcome.failure.unwrap().message, "the apiserver serves no Nothing of v9");
    let outcome = run_text("scenario: x\nsteps: [{get: nothing/a}]\n");
    assert_eq!(outcome.failure.unwrap().message, "the apiserver serves no \"nothing\"");
    let outcome = run_text("scenario: x\nsteps: [{get: pod/a}]\n");
    assert_eq!(outcome.failure.unwrap().message, "pod/a: pods are in namespaces: write kind/namespace/name");
    let outcome = run_text("scenario: x\nsteps: [{expect: {status: 200}}]\n");
    assert_eq!(outcome.failure.unwrap().message, "no request was made before this step");
}

#[test]
fn an_injector_without_its_config_map_refuses_and_a_bad_one_is_told() {
    let outcome = run_text(&format!(
        "
scenario: x
cluster:
  namespaces: [shop]
  webhooks: [{{injector: {{configMap: shop/config}}}}]
steps:
- create: {POD}
- expect: {{status: 500, message: connection refused}}
- apply: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: config, namespace: shop}}, data: {{config: 'policy: ['}}}}
- create: {POD}
- expect: {{status: 500}}
"
    ));
    assert!(outcome.is_ok(), "{:?}\n{}", outcome.failure, outcome.trace);
    assert!(outcome.trace.contains("injector cannot load ConfigMap shop/config"), "{}", outcome.trace);
}

#[test]
fn objects_are_compared_by_what_is_expected() {
    let found = json!({"a": 1, "list": [{"name": "x", "v": "one two"}, {"name": "y"}], "empty": {}, "n": 2.0});
    for yes in [
        json!({}),
        json!({"a": 1, "n": 2, "none": null, "empty": null}),
        json!({"list": [{"name": "y"}]}),
        json!({"list": [{"v": "one*"}, {"name": "x"}]}),
    ] {
        assert!(holds(&yes, &found), "{yes}");
    }
    for no in [json!({"a": 2}), json!({"a": null}), json!({"list": [{"name": "z"}]}), json!({"list": {}}), json!([])] {
        assert!(!holds(&no, &found), "{no}");
    }
    let mut places = Vec::new();
    overlap(&json!({"list": [{"name": "y"}, {"name": "z"}], "a": 1, "n": 3}), &found, "", &mut places);
    assert_eq!(places, [".a", ".list[1]"]);
    let shown = project(&json!({"list": [{"name": "x", "v": "three"}], "a": 2}), &found);
    assert_eq!(shown, json!({"list": [{"name": "x", "v": "one two"}], "a": 1}));
    assert_eq!(project(&json!({"list": [{"name": "z"}]}), &found), json!({"list": [{"name": "x"}, {"name": "y"}]}));
    assert_eq!(project(&json!({"missing": 1}), &found), Value::Object(Default::default()));
}

#[test]
fn stars_stand_for_any_text() {
    for (pattern, text) in
        [("", ""), ("*", ""), ("a*c", "abc"), ("*b*", "abc"), ("a*b*c", "aXbYc"), ("\\*", "*"), ("*aa", "aaa")]
    {
        assert!(text_matches(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("", "x"), ("a*c", "ab"), ("a*a", "a"), ("\\*", "x"), ("a*b*c", "acb")] {
        assert!(!text_matches(pattern, text), "{pattern} {text}");
    }
}
