use crate::check::ask::Asker;
use crate::check::case::Case;
use crate::check::law::{About, Bench, Law, Scope, Testing, Verdict};

/// Uid and version come back.
pub(in crate::check) struct Echo;

const ABOUT: About = About {
    name: "echo",
    claim: "the answer repeats the request's uid, and is of the version that was asked in, v1 or v1beta1",
    why: "Kubernetes: a response has to hold uid, copied from the request.uid sent to the webhook, in the same version of \
          AdmissionReview. An apiserver that asked in v1 treats another uid, kind or apiVersion as a failed call.",
    remedy: "copy apiVersion, kind and request.uid from the request into the answer",
};

/// What a webhook may or may not have learnt to speak.
const VERSIONS: [&str; 2] = ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"];

impl Law for Echo {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn scope(&self) -> Scope {
        Scope::Reviews
    }

    fn test<'a>(&'a self, bench: &'a Bench, case: &'a Case) -> Testing<'a> {
        Box::pin(async move { echoed(&bench.ask, case).await })
    }
}

async fn echoed(ask: &Asker, case: &Case) -> Verdict {
    let mut answers = 0;
    for version in VERSIONS {
        let mut review = case.again();
        review["apiVersion"] = version.into();
        // A webhook need not speak every version: what it refuses in another than was captured is its right.
        let Ok(answered) = ask.ask(case, &review).await else { continue };
        answers += 1;
        let (kind, api_version) = &answered.envelope;
        if kind != "AdmissionReview" || api_version != version {
            return Verdict::broken(format!(
                "asked in {version}, the answer is of apiVersion {api_version:?} and kind {kind:?}"
            ));
        }
        let asked = &review["request"]["uid"];
        if asked.as_str() != Some(&answered.response.uid) {
            return Verdict::broken(format!(
                "asked in {version} with uid {asked}, the answer is for uid {:?}",
                answered.response.uid
            ));
        }
    }
    if answers == 0 { Verdict::Silent("no valid answer in either version".to_owned()) } else { Verdict::Holds }
}
