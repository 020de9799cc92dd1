use crate::check::ask::Unpatched;
use crate::check::case::Case;
use crate::check::change::changes;
use crate::check::law::{About, Bench, Evidence, Law, Testing, Verdict, settled};

/// A second call changes nothing.
pub(in crate::check) struct Idempotent;

const ABOUT: About = About {
    name: "idempotent",
    claim: "the patched object, sent again, is not changed any further",
    why: "Kubernetes: mutating webhooks must be idempotent, able to process an object they have already admitted and \
          potentially modified; with reinvocationPolicy: IfNeeded, and whenever an object that was patched is created \
          again from a copy, they are called for one.",
    remedy: "look for what is to be added before adding it, by name, or for a mark such as a status annotation",
};

impl Law for Idempotent {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn test<'a>(&'a self, bench: &'a Bench, case: &'a Case) -> Testing<'a> {
        Box::pin(async move { settled(again(bench, case).await) })
    }
}

async fn again(bench: &Bench, case: &Case) -> Result<Verdict, Verdict> {
    let first = bench.changed(case).await?;
    let second = case.with_object(first.after.clone());
    let refused = |message: String| {
        Verdict::Broken(Evidence { lines: vec![message], before: first.before.clone(), after: first.after.clone() })
    };
    let patched = bench.ask.patch(&second, &second.review).await.map_err(|unpatched| match unpatched {
        Unpatched::Denied(message) => refused(format!("its own patched object is denied: {message}")),
        Unpatched::Failed(message) => refused(format!("its own patched object fails: {message}")),
    })?;
    let lines = changes(&patched.before, &patched.after).iter().map(ToString::to_string).collect();
    Ok(Verdict::compared(lines, patched.before, patched.after))
}
