use apimachinery::schema;
use apimachinery::value::{Value, json};
use injector::Injector;
use injector::boxed::{MODERN, V1_0};

use super::differ::differences;
use super::general::Own;
use super::*;

fn contender(name: &str, boxed: injector::boxed::Boxed, edit: impl Fn(String) -> String) -> Contender {
    let mut settings = boxed.settings();
    settings.inject_config = edit(settings.inject_config);
    let webhook = Webhook::Local(Arc::new(Injector::load(settings).unwrap()));
    let config = boxed.name.to_owned();
    let backend = Some(Backend::Injector { config, values: None, mesh_config: None });
    Contender { name: name.to_owned(), webhook, backend }
}

fn captured() -> [Log; 1] {
    [crate::boxed::LOG]
}

async fn compared(baseline: &Contender, candidate: &Contender, options: &Options) -> Comparison {
    compare(&captured(), baseline, candidate, options, |_| ()).await.unwrap()
}

fn changes(before: &Value, after: &Value) -> Vec<(ChangeKind, String)> {
    let found = differences(before, after, Some(schema::pod()));
    found.iter().map(|found| Own::default().change(found)).map(|change| (change.kind, change.path)).collect()
}

#[test]
fn differences_are_those_that_mean_something() {
    let pod = |spec: Value| json!({"metadata": {"annotations": {"a": "{\"x\": 1, \"y\": 2}"}}, "spec": spec});
    let before = pod(
        json!({"containers": [{"name": "app", "resources": {"limits": {"cpu": "1"}}, "args": ["-p", "80", "run"]}]}),
    );
    let same = json!({"metadata": {"annotations": {"a": "{\"y\":2,\"x\":1}"}, "labels": {}},
        "spec": {"volumes": [], "hostname": null, "containers": [{"name": "app", "resources": {"limits": {"cpu": "1000m"}}, "args": ["-p", "80", "run"]}]}});
    assert_eq!(changes(&before, &same), []);

    let prepended = pod(
        json!({"containers": [{"name": "proxy"}, {"name": "app", "resources": {"limits": {"cpu": "1"}}, "args": ["-p", "81", "run", "x"]}]}),
    );
    assert_eq!(
        changes(&before, &prepended),
        [
            (ChangeKind::Changed, "/spec/containers[name=app]/args[-p]".to_owned()),
            (ChangeKind::Added, "/spec/containers[name=app]/args".to_owned()),
            (ChangeKind::Added, "/spec/containers[name=proxy]".to_owned()),
        ]
    );
    let json = json!({"metadata": {"annotations": {"a": "{\"x\":1,\"y\":3}"}}, "spec": before["spec"]});
    assert_eq!(changes(&before, &json), [(ChangeKind::Changed, "/metadata/annotations/a:json/y".to_owned())]);
}

#[test]
fn order_is_a_difference_of_its_own() {
    let pod = |names: &[&str]| {
        let containers: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"spec": {"containers": containers}})
    };
    assert_eq!(changes(&pod(&["a", "b"]), &pod(&["b", "a"])), [(ChangeKind::Reordered, "/spec/containers".to_owned())]);
    assert_eq!(
        changes(&pod(&["a", "b"]), &pod(&["a", "c", "b"])),
        [(ChangeKind::Added, "/spec/containers[name=c]".to_owned())]
    );
    // Two ports of one number, one UDP: told apart. Two variables of one name: too.
    let ports = |second: &str| json!({"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP", "name": second}]}]}});
    assert_eq!(
        changes(&ports("x"), &ports("y")),
        [(ChangeKind::Changed, "/spec/containers[name=a]/ports[containerPort=53,protocol=UDP]/name".to_owned())]
    );
}

#[tokio::test]
async fn the_same_configuration_makes_no_difference() {
    let same = contender("a", MODERN, |text| text);
    let comparison = compared(&same, &contender("b", MODERN, |text| text), &Options::default()).await;
    assert_eq!((comparison.reviews, comparison.equal), (crate::boxed::REVIEWS, crate::boxed::REVIEWS));
    assert!(comparison.is_ok() && comparison.classes.is_empty());
}

#[tokio::test]
async fn one_change_of_the_configuration_is_one_class_with_a_minimal_pod_and_a_scenario() {
    let directory = tempfile::tempdir().unwrap();
    let edit = |text: String| text.replace("name: istio-envoy", "name: envoy-files");
    let (baseline, candidate) = (contender("a", MODERN, |text| text), contender("b", MODERN, edit));
    let options = Options { save: Some(directory.path().to_owned()), ..Options::default() };
    let comparison = compared(&baseline, &candidate, &options).await;
    assert!(comparison.different > 100 && !comparison.is_ok());
    assert!(
        comparison.classes.len() < 10,
        "{:#?}",
        comparison.classes.iter().map(|class| &class.title).collect::<Vec<_>>()
    );
    let of = |class: &&Class| class.parts.iter().any(|part| part.change.path == "/spec/volumes[name=envoy-files]");
    let added = comparison.classes.iter().find(of).unwrap();
    assert_eq!(added.title, "volumes: removed istio-envoy; added envoy-files");
    assert_eq!(added.count, comparison.baseline.counts.injected);
    assert_eq!(added.namespaces.values().sum::<u64>(), added.count);
    let example = added.example.as_ref().unwrap();
    let minimal = example.minimal.as_ref().unwrap();
    assert!(minimal.to_string().len() < 250, "{minimal}");
    // The scenario is one of the candidate; the box holds only the baseline, so it has to fail, and to be readable.
    let scenario =
        crate::scenario::Scenario::from_path(std::path::Path::new(example.scenario.as_ref().unwrap())).unwrap();
    assert_eq!(scenario.title, added.title);
    // A row names its classes.
    let row = comparison.pods.first().unwrap();
    assert!(
        row.classes.iter().all(|id| comparison.classes.iter().any(|class| class.id == *id)) && !row.classes.is_empty()
    );
}

#[tokio::test]
async fn two_eras_differ_in_few_classes_and_their_scenarios_run() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (contender("1.0", V1_0, |text| text), contender("modern", MODERN, |text| text));
    let options = Options { save: Some(directory.path().to_owned()), minimal: 2, ..Options::default() };
    let comparison = compared(&old, &new, &options).await;
    let titles: Vec<_> = comparison.classes.iter().map(|class| format!("{} {}", class.count, class.title)).collect();
    assert!(comparison.classes.len() < 40, "{titles:#?}");
    let again = compared(&old, &new, &Options { minimal: 0, save: None, ..options }).await;
    assert_eq!(
        again.classes.iter().map(|class| (&class.id, class.count)).collect::<Vec<_>>(),
        comparison.classes.iter().map(|class| (&class.id, class.count)).collect::<Vec<_>>(),
        "the same in every run"
    );
    let files: Vec<_> =
        comparison.classes.iter().filter_map(|class| class.example.as_ref()?.scenario.clone()).collect();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let scenario = crate::scenario::Scenario::from_path(std::path::Path::new(&file)).unwrap();
        let outcome = tokio::task::spawn_blocking(move || crate::run::run(&scenario)).await.unwrap().unwrap();
        assert!(outcome.is_ok(), "{text}\n{:?}", outcome.failure);
    }
}

#[tokio::test]
async fn expected_differences_are_no_failure_and_unused_entries_are_told() {
    let (old, new) = (contender("1.0", V1_0, |text| text), contender("modern", MODERN, |text| text));
    let allowed =
        Allowed::parse("- {pattern: '*', reason: the upgrade}\n- {pattern: /spec/nothing, reason: none}").unwrap();
    let comparison = compared(&old, &new, &Options { allowed, minimal: 0, ..Options::default() }).await;
    assert!(comparison.is_ok() && !comparison.classes.is_empty());
    assert_eq!(comparison.allowed_unused, ["/spec/nothing"]);
    assert!(comparison.classes.iter().all(|class| class.allowed.as_deref() == Some("the upgrade")));
}

#[tokio::test]
async fn a_log_without_responses_is_counted_as_such() {
    let recorded = Contender { name: "recorded".into(), webhook: Webhook::Recorded, backend: None };
    let comparison = compared(&recorded, &contender("b", MODERN, |text| text), &Options::default()).await;
    assert_eq!(
        comparison.reviews,
        comparison.equal
            + comparison.different
            + comparison.one_sided
            + comparison.unanswered
            + comparison.not_recorded
    );
}

#[test]
fn a_comparison_is_read_again_as_it_was_written() {
    let class =
        Class { id: "a".into(), parts: vec![Part::default()], example: Some(Example::default()), ..Class::default() };
    let comparison = Comparison { classes: vec![class], reviews: 3, ..Comparison::default() };
    let text = serde_json::to_string(&comparison).unwrap();
    assert_eq!(serde_json::from_str::<Comparison>(&text).unwrap(), comparison);
}
