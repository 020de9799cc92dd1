//! Expressions as webhooks and policies use them.

use apimachinery::value::json;

use super::{Budget, Program, Variables, from_json};
use crate::admission::testing::Objects;
use crate::admission::{Cluster, UserInfo};

fn evaluate(source: &str) -> Result<kube_cel::cel::Value, String> {
    let cluster = <Objects as Default>::default();
    let user = UserInfo::default();
    let object = json!({
        "metadata": {"name": "web", "annotations": {"a": "b"}},
        "spec": {"containers": [{"name": "app", "image": "registry/app:1"}, {"name": "side", "image": "x"}]},
    });
    let scope = Variables {
        values: vec![("object", from_json(&object)), ("authorizer", super::functions::authorizer(&[]))],
        user: &user,
        cluster: &cluster as &dyn Cluster,
    };
    Program::compile(source)?.evaluate(&scope, &mut Budget(10_000_000))
}

#[test]
fn expressions_hold() {
    for source in [
        "object.metadata.name == 'web'",
        "!has(object.metadata.labels)",
        "object.?metadata.?labels[?'a'].orValue('none') == 'none'",
        "object.?metadata.annotations[?'a'].orValue('none') == 'b'",
        "object.metadata.?annotations.a.orValue('') == 'b'",
        "object.spec.containers.exists(c, c.image.startsWith('registry/'))",
        "object.spec.containers.filter(c, c.name == 'app').map(c, c.image).join(',') == 'registry/app:1'",
        "authorizer.group('').resource('pods').namespace('x').check('delete').allowed()",
        "JSONPatch{op: 'add', path: '/a', value: {'k': 1}}.op == 'add'",
    ] {
        assert_eq!(evaluate(source), Ok(kube_cel::cel::Value::Bool(true)), "{source}");
    }
}

#[test]
fn what_is_not_there_is_an_error_and_never_an_answer() {
    for (source, error) in [
        ("object.metadata.labels['a'] == 'b'", "no such key: labels"),
        ("object.spec.nope == 1", "no such key: nope"),
        ("object.metadata.name.first == 'x'", "no such overload"),
        ("object.spec.containers.all(c, c.name.first != 'x')", "no such overload"),
        ("1 / 0 == 1", "division by zero"),
    ] {
        assert_eq!(evaluate(source), Err(error.to_owned()), "{source}");
    }
    assert!(evaluate("Foo{a: 1}.a == 1").is_err());
}

#[test]
fn cost_is_bounded() {
    let nested = "[1,2,3,4,5,6,7,8,9,10]";
    let mut source = "true".to_owned();
    for index in 0..7 {
        source = format!("{nested}.all(v{index}, {source})");
    }
    assert_eq!(evaluate(&source), Err("operation cancelled: actual cost limit exceeded".to_owned()));
}
