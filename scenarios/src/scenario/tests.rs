use std::time::Duration;

use apimachinery::value::json;

use super::*;

fn read(text: &str) -> Result<Scenario, String> {
    load("s.yaml", text, &Files::Embedded(&[("pod.yaml", "kind: Pod\napiVersion: v1\n---\n---\nkind: [\n")]))
        .map_err(|error| error.to_string())
}

#[test]
fn a_scenario_is_read_whole() {
    let scenario = read(
        r#"
scenario: title
seed: 9
cluster:
  namespaces: {shop: {istio-injection: enabled}, plain: }
  webhooks:
  - {injector: modern, failurePolicy: Ignore}
  - {reply: {allowed: false}, name: second, validating: true, service: ns/svc:8443, register: false}
  objects: [{apiVersion: v1, kind: ConfigMapList, items: [{apiVersion: v1, kind: ConfigMap}]}]
steps:
- create: {apiVersion: v1, kind: Pod}
- fault: {webhook: injector, refuse: 1m30s}
- fault: {webhook: second, delay: 500ms, for: 2}
- advance: 90s
- label: {object: ns/shop, labels: {a: b, c: null}}
- expect: {status: 201, containers: istio-proxy, calls: [injector, {webhook: second, count: 0}]}
"#,
    )
    .unwrap();
    assert_eq!((scenario.title.as_str(), scenario.seed), ("title", 9));
    assert_eq!(scenario.cluster.namespaces.len(), 2);
    let [first, second] = &scenario.cluster.webhooks[..] else { panic!() };
    assert_eq!((first.name.as_str(), first.path.as_str(), first.register), ("injector", "/inject", true));
    assert_eq!(first.fields["failurePolicy"], "Ignore");
    assert_eq!(second.service, ("ns".into(), "svc".into(), 8443));
    assert_eq!(scenario.cluster.objects[0]["kind"], "ConfigMap");
    let StepKind::Fault(fault) = &scenario.steps[1].kind else { panic!() };
    assert_eq!((fault.kind, fault.lasts), (FaultKind::Refuse, Some(Duration::from_secs(90))));
    let StepKind::Fault(fault) = &scenario.steps[2].kind else { panic!() };
    assert_eq!(fault.kind, FaultKind::Delay(Duration::from_millis(500)));
    assert_eq!((fault.lasts, scenario.steps[2].line), (Some(Duration::from_secs(2)), 13));
    let StepKind::Expect(expect) = &scenario.steps[5].kind else { panic!() };
    assert_eq!(expect.containers, ["istio-proxy"]);
    assert_eq!(expect.calls.as_ref().unwrap()[1].count, Count::Exactly(0));
}

#[test]
fn errors_name_file_line_field_and_remedy() {
    for (text, wanted) in [
        ("scenario: [", "s.yaml:"),
        ("steps: []\n", "s.yaml:1: the scenario: field \"scenario\" is missing"),
        ("scenario: x\nsteps: []\nclustre: {}\n", "s.yaml:3: clustre: unknown field; did you mean \"cluster\"?"),
        ("scenario: x\nsteps:\n- crate: {}\n", "s.yaml:3: steps[0].crate: no such step; did you mean \"create\"?"),
        (
            "scenario: x\nsteps:\n- create: none.yaml\n",
            "s.yaml:3: steps[0].create: cannot read none.yaml: no such file in the box",
        ),
        ("scenario: x\nsteps:\n- create: pod.yaml\n", "s.yaml:3: steps[0].create: pod.yaml:"),
        ("scenario: x\nsteps:\n- create: {kind: Pod}\n", "s.yaml:3: steps[0].create: object without apiVersion"),
        (
            "scenario: x\nsteps:\n- advance: soon\n",
            "s.yaml:3: steps[0].advance: want a duration such as 90s, 1m30s or 500ms",
        ),
        (
            "scenario: x\nsteps:\n- get: pod\n",
            "s.yaml:3: steps[0].get: want kind/namespace/name or kind/name, such as pod/shop/web, found \"pod\"",
        ),
        (
            "scenario: x\nsteps:\n- expect:\n    status: ok\n",
            "s.yaml:4: steps[0].expect.status: want a whole number, found a string",
        ),
        ("scenario: x\nsteps:\n- expect: {}\n", "s.yaml:3: steps[0].expect: expects nothing; known are "),
        (
            "scenario: x\nsteps:\n- fault: {webhook: a, refuse: 1s}\n",
            "s.yaml:3: steps[0]: no webhook \"a\"; cluster.webhooks has none",
        ),
        (
            "scenario: x\ncluster:\n  webhooks:\n  - {name: a}\nsteps: []\n",
            "s.yaml:4: cluster.webhooks[0]: one of injector, reply and url is needed",
        ),
        (
            "scenario: x\ncluster:\n  namespaces:\n    a: {b: 1}\nsteps: []\n",
            "s.yaml:4: cluster.namespaces.a: label \"b\" has to be a string: quote it",
        ),
        ("scenario: x\nsteps:\n- {get: a/b, delete: a/b}\n", "s.yaml:3: steps[0]: a step is one of apply, "),
        (
            "scenario: x\nsteps:\n- expect: {object: a/b, absent: a/b}\n",
            "s.yaml:3: steps[0].expect: object and absent look at different places",
        ),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.starts_with(wanted), "{error}\n  wanted: {wanted}");
    }
}

#[test]
fn durations_are_read_as_go_writes_them() {
    for (text, seconds) in [(json!("1h1m1s"), 3661.0), (json!("1.5s"), 1.5), (json!(3), 3.0), (json!("20ms"), 0.02)] {
        assert_eq!(duration(&text), Some(Duration::from_secs_f64(seconds)), "{text}");
    }
    for bad in [
        json!(""),
        json!("5"),
        json!("s"),
        json!("-1s"),
        json!(-1),
        json!("1x"),
        json!([]),
        json!("99999999999999999999d"),
    ] {
        assert_eq!(duration(&bad), None, "{bad}");
    }
}

#[test]
fn every_scenario_in_the_box_is_readable() {
    let all: Vec<Scenario> = crate::boxed::scenarios()
        .map(|(file, text)| load(file, text, &Files::Embedded(crate::boxed::FILES)).unwrap())
        .collect();
    assert_eq!(all[0].file, "article.yaml");
    // What lies in the directory is in the box, and runs from there as well.
    let directory = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"));
    let files = std::fs::read_dir(directory).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert_eq!(files, all.len());
    for scenario in &all {
        Scenario::from_path(&directory.join(&scenario.file)).unwrap();
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(scenario|steps|- |: |expect|create|\\{|\\}|\\[|\\]|\n|  |&a |\\*a|x|1s){0,60}") {
        let _ = read(&text);
    }
}
