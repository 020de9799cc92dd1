use apimachinery::value::{Map, Value, json};

use crate::check::case::Case;
use crate::check::change::{What, changes};
use crate::check::law::{About, Bench, Law, Testing, Verdict, settled};

/// The order of webhooks does not matter.
pub(in crate::check) struct Commutes;

const ABOUT: About = About {
    name: "commutes",
    claim: "before or after an unrelated webhook (a label, a toleration, a node selector, a volume), the result is the same",
    why: "Kubernetes: the order in which mutating webhooks are called is not something to rely on, and others may be \
          installed at any time. Only if each leaves alone what it does not mean does the result not depend on it.",
    remedy: "add items singly, at the end of lists or at a place found by name; never at a number counted in another object",
};

const NAME: &str = "towtank-unrelated";

impl Law for Commutes {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn test<'a>(&'a self, bench: &'a Bench, case: &'a Case) -> Testing<'a> {
        Box::pin(async move { settled(either(bench, case).await) })
    }
}

async fn either(bench: &Bench, case: &Case) -> Result<Verdict, Verdict> {
    if !case.object()["spec"]["containers"].is_array() {
        return Err(Verdict::Silent("not a pod".to_owned()));
    }
    let first = bench.changed(case).await?;
    let mut after_it = first.after;
    unrelated(&mut after_it);

    let mut before_it = case.object().clone();
    unrelated(&mut before_it);
    let before_it = bench.patched(&case.with_object(before_it)).await?.after;
    // Where in a list things end up depends on who came first, and may.
    let lines = changes(&after_it, &before_it)
        .iter()
        .filter(|change| !matches!(change.what, What::Moved))
        .map(ToString::to_string)
        .collect();
    Ok(Verdict::compared(lines, after_it, before_it))
}

/// What some other webhook might add. No container, and no annotation: those a sidecar is often told about.
fn unrelated(object: &mut Value) {
    let add = |list: &mut Value, item: Value| match list {
        Value::Array(items) => items.push(item),
        other => *other = json!([item]),
    };
    let set = |map: &mut Value| {
        if !map.is_object() {
            *map = Value::Object(Map::new());
        }
        map[NAME] = "yes".into();
    };
    set(&mut object["metadata"]["labels"]);
    set(&mut object["spec"]["nodeSelector"]);
    add(&mut object["spec"]["volumes"], json!({ "name": NAME, "emptyDir": {} }));
    add(&mut object["spec"]["tolerations"], json!({ "key": NAME, "operator": "Exists" }));
}
