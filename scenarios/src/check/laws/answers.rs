use crate::check::ask::Asker;
use crate::check::case::Case;
use crate::check::law::{About, Bench, Law, Scope, Testing, Verdict};

/// Every review gets a valid answer.
pub(in crate::check) struct Answers;

const ABOUT: About = About {
    name: "answers",
    claim: "each review is answered with HTTP 200, JSON, and an AdmissionReview that holds a response",
    why: "Kubernetes: webhooks respond with a 200 HTTP status code, Content-Type: application/json, and a body containing an \
          AdmissionReview object with the response stanza populated. Anything else counts as a failure of the webhook, and \
          failurePolicy decides: the pod is refused, or goes on without what the webhook would have added.",
    remedy: "answer in every branch, errors included: allowed: false with a status message says more than an HTTP error",
};

impl Law for Answers {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn scope(&self) -> Scope {
        Scope::Reviews
    }

    fn test<'a>(&'a self, bench: &'a Bench, case: &'a Case) -> Testing<'a> {
        Box::pin(async move { answered(&bench.ask, case).await })
    }
}

async fn answered(ask: &Asker, case: &Case) -> Verdict {
    match ask.ask(case, &case.again()).await {
        Err(message) => Verdict::broken(message),
        Ok(answered) => {
            let found = answered.content_type.unwrap_or_default();
            let essence = found.split(';').next().unwrap_or_default().trim();
            if essence.eq_ignore_ascii_case("application/json") {
                Verdict::Holds
            } else {
                Verdict::broken(format!("Content-Type of the answer is {found:?}, not application/json"))
            }
        }
    }
}
