use apimachinery::value::{Value, json};

use crate::check::ask::Unpatched;
use crate::check::case::Case;
use crate::check::change::{What, changes};
use crate::check::law::{About, Bench, Evidence, Law, Testing, Verdict, settled};

/// Fields that the webhook cannot know survive.
pub(in crate::check) struct UnknownFields;

const ABOUT: About = About {
    name: "unknown-fields",
    claim: "fields that no schema knows, planted into the object, are there after the patch",
    why: "A cluster may be newer than the webhook: fields that Kubernetes added since then arrive in request.object. A \
          webhook that decodes it into its own types loses them, and a patch computed from what is left removes them from \
          the user's pod.",
    remedy: "compute the patch on the JSON as it came, or only from what is added; do not refuse unknown fields",
};

/// The name of the planted field.
const PLANTED: &str = "towtankPlanted";
/// Most items of one list that get the field.
const ITEMS: usize = 16;

impl Law for UnknownFields {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn test<'a>(&'a self, bench: &'a Bench, case: &'a Case) -> Testing<'a> {
        Box::pin(async move { settled(survive(bench, case).await) })
    }
}

async fn survive(bench: &Bench, case: &Case) -> Result<Verdict, Verdict> {
    // Without the fields it is answered; what happens with them is then the fields' doing.
    bench.changed(case).await?;
    let mut object = case.object().clone();
    plant(&mut object);
    let planted = case.with_object(object.clone());
    let refused = |message: String| Verdict::Broken(Evidence { lines: vec![message], ..Evidence::default() });
    let patched = bench.ask.patch(&planted, &planted.review).await.map_err(|unpatched| match unpatched {
        Unpatched::Denied(message) => refused(format!("denied, which it is not without unknown fields: {message}")),
        Unpatched::Failed(message) => refused(format!("failed, which it does not without unknown fields: {message}")),
    })?;
    let lines = changes(&patched.before, &patched.after)
        .into_iter()
        .filter(|change| match &change.what {
            What::Added(_) | What::Moved => false,
            What::Removed(gone) => change.path.iter().any(|step| step == PLANTED) || gone.get(PLANTED).is_some(),
            What::Changed(..) => change.path.iter().any(|step| step == PLANTED),
        })
        .map(|change| change.to_string())
        .collect();
    Ok(Verdict::compared(lines, patched.before, patched.after))
}

/// Plants a field wherever Kubernetes might add one: in the object, its metadata, its spec, and the items of lists there.
fn plant(object: &mut Value) {
    let value = || json!({ "since": "a later version", "numbers": [1, 2.5] });
    let mut into = |place: &mut Value| {
        if let Some(map) = place.as_object_mut() {
            map.insert(PLANTED.to_owned(), value());
        }
    };
    into(object);
    into(&mut object["metadata"]);
    if !object["spec"].is_object() {
        return;
    }
    into(&mut object["spec"]);
    for list in ["containers", "initContainers", "volumes", "tolerations"] {
        for item in object["spec"][list].as_array_mut().into_iter().flatten().take(ITEMS) {
            into(item);
            for inner in ["env", "volumeMounts", "ports"] {
                // `&mut item[inner]` would add what is not there.
                let items = item.get_mut(inner).and_then(Value::as_array_mut);
                items.into_iter().flatten().take(ITEMS).for_each(&mut into);
            }
            for inner in ["resources", "securityContext", "livenessProbe"] {
                item.get_mut(inner).into_iter().for_each(&mut into);
            }
        }
    }
}
