use crate::check::ask::Unpatched;
use crate::check::case::Case;
use crate::check::law::{About, Bench, Evidence, Law, Testing, Verdict};

/// Patches apply.
pub(in crate::check) struct PatchApplies;

const ABOUT: About = About {
    name: "patch-applies",
    claim: "the patch is a JSON patch, called so, and applies to the object exactly as it was sent",
    why: "Kubernetes: patch is a base64-encoded array of JSON patch operations, and patchType can only be JSONPatch. The \
          apiserver applies it to the object that it sent; a path that is not there fails the request with a 500.",
    remedy: "compute the patch against the bytes of request.object, not against an object that was decoded, defaulted and \
             encoded again; add a list or map before adding to it",
};

impl Law for PatchApplies {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn test<'a>(&'a self, bench: &'a Bench, case: &'a Case) -> Testing<'a> {
        Box::pin(async move {
            match bench.ask.patch(case, &case.again()).await {
                Ok(patched) => {
                    let response = &patched.answered.response;
                    if response.patch.is_some() && response.patch_type != "JSONPatch" {
                        return Verdict::broken(format!("patchType is {:?}, not \"JSONPatch\"", response.patch_type));
                    }
                    if patched.after.is_object() {
                        Verdict::Holds
                    } else {
                        Verdict::broken("after the patch the object is no object")
                    }
                }
                Err(Unpatched::Failed(message)) if message.starts_with("the patch does not apply") => {
                    Verdict::Broken(Evidence {
                        lines: vec![message],
                        before: case.object().clone(),
                        ..Evidence::default()
                    })
                }
                Err(Unpatched::Failed(message)) => Verdict::Silent(message),
                Err(Unpatched::Denied(message)) => Verdict::Silent(format!("denied: {message}")),
            }
        })
    }
}
