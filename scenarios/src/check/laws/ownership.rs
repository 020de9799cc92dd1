use crate::check::case::Case;
use crate::check::change::{What, changes};
use crate::check::law::{About, Bench, Law, Testing, Verdict, settled};

/// What others wrote stays.
pub(in crate::check) struct Ownership;

const ABOUT: About = About {
    name: "ownership",
    claim: "what the user wrote is still there after the patch, unaltered and in its order, but for what --owns names",
    why: "Kubernetes' good practices for webhooks: patch only the fields that are needed, and do not overwrite whole lists. A webhook that replaces lists or drops fields breaks pods in ways \
          that nobody who reads their manifests can see, and undoes what webhooks before it did.",
    remedy: "add single items and fields; never write a whole list or object back. What is changed on purpose, name with \
             --owns",
};

impl Law for Ownership {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn test<'a>(&'a self, bench: &'a Bench, case: &'a Case) -> Testing<'a> {
        Box::pin(async move { settled(kept(bench, case).await) })
    }
}

async fn kept(bench: &Bench, case: &Case) -> Result<Verdict, Verdict> {
    let patched = bench.changed(case).await?;
    let lines = changes(&patched.before, &patched.after)
        .into_iter()
        .filter(|change| !matches!(change.what, What::Added(_)))
        .filter(|change| !bench.owns.iter().any(|pattern| pattern.owns(&change.path)))
        .map(|change| change.to_string())
        .collect();
    Ok(Verdict::compared(lines, patched.before, patched.after))
}
