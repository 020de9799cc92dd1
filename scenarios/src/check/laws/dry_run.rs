use crate::check::ask::Unpatched;
use crate::check::case::Case;
use crate::check::change::changes;
use crate::check::law::{About, Bench, Evidence, Law, Testing, Verdict, settled};

/// A dry run is answered as the real thing is.
pub(in crate::check) struct DryRun;

const ABOUT: About = About {
    name: "dry-run",
    claim: "with dryRun: true the answer is the same",
    why: "Kubernetes: webhooks with sideEffects: NoneOnDryRun have to suppress side effects on dryRun: true, and nothing \
          else: `kubectl apply --dry-run=server` and `kubectl diff` show users what would be stored.",
    remedy: "let dryRun decide about side effects only, never about the patch or the permission",
};

impl Law for DryRun {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn test<'a>(&'a self, bench: &'a Bench, case: &'a Case) -> Testing<'a> {
        Box::pin(async move { settled(dry(bench, case).await) })
    }
}

async fn dry(bench: &Bench, case: &Case) -> Result<Verdict, Verdict> {
    let answer = async |dry: bool| {
        let mut review = case.again();
        review["request"]["dryRun"] = dry.into();
        match bench.ask.patch(case, &review).await {
            Ok(patched) => Ok(Ok(patched)),
            Err(Unpatched::Denied(message)) => Ok(Err(message)),
            Err(Unpatched::Failed(message)) => Err(Verdict::Silent(message)),
        }
    };
    let lines = |line: String| Verdict::Broken(Evidence { lines: vec![line], ..Evidence::default() });
    Ok(match (answer(false).await?, answer(true).await?) {
        (Ok(real), Ok(dry)) => {
            let lines = changes(&real.after, &dry.after).iter().map(ToString::to_string).collect();
            Verdict::compared(lines, real.after, dry.after)
        }
        (Err(real), Err(dry)) if real == dry => Verdict::Holds,
        (Err(real), Err(dry)) => lines(format!("denied with {real:?}, on a dry run with {dry:?}")),
        (Ok(_), Err(message)) => lines(format!("allowed, but denied on a dry run: {message}")),
        (Err(message), Ok(_)) => lines(format!("denied, but allowed on a dry run: {message}")),
    })
}
