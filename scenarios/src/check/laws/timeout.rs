use crate::check::case::Case;
use crate::check::law::{About, Bench, Law, Scope, Testing, Verdict};

/// Answers come in time.
pub(in crate::check) struct Timeout;

const ABOUT: About = About {
    name: "timeout",
    claim: "each answer comes within the timeout that the request names (timeout=10s), else 10 s",
    why: "Kubernetes: timeoutSeconds is between 1 and 30 and defaults to 10; a webhook that has not answered by then has \
          failed, and failurePolicy decides. It is encouraged to answer in milliseconds, for every write waits for it.",
    remedy: "do nothing in a review that waits for others; keep what is needed in memory",
};

impl Law for Timeout {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn scope(&self) -> Scope {
        Scope::Reviews
    }

    fn test<'a>(&'a self, bench: &'a Bench, case: &'a Case) -> Testing<'a> {
        Box::pin(async move {
            let limit = case.timeout();
            match bench.ask.ask(case, &case.again()).await {
                Ok(answered) if answered.took > limit => {
                    Verdict::broken(format!("answered after {:.1?}, the limit was {limit:.1?}", answered.took))
                }
                Err(message) if message.starts_with("no answer from ") => {
                    Verdict::broken(format!("{message}; the limit was {limit:.1?}"))
                }
                Ok(_) => Verdict::Holds,
                Err(message) => Verdict::Silent(message),
            }
        })
    }
}
