use crate::check::case::Case;
use crate::check::law::{About, Bench, Law, Scope, Testing, Verdict};

/// Other operations than CREATE are answered.
pub(in crate::check) struct Operations;

const ABOUT: About = About {
    name: "operations",
    claim: "UPDATE, DELETE (object: null) and CONNECT (another kind of object) are answered, and no patch is sent for a DELETE",
    why: "Kubernetes: object is null for DELETE requests, oldObject is null for CREATE and CONNECT requests, and the object \
          of a CONNECT is its options. Rules with operations: [\"*\"] are common; a webhook that trips over them blocks \
          deletions or kubectl exec.",
    remedy: "look at request.operation first, and allow what the webhook is not there for",
};

impl Law for Operations {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn scope(&self) -> Scope {
        Scope::Creates
    }

    fn test<'a>(&'a self, bench: &'a Bench, case: &'a Case) -> Testing<'a> {
        Box::pin(async move {
            for operation in ["UPDATE", "DELETE", "CONNECT"] {
                let review = case.operation(operation);
                match bench.ask.ask(case, &review).await {
                    Err(message) => return Verdict::broken(format!("{operation}: {message}")),
                    Ok(answered) => {
                        let patch = answered.response.patch.unwrap_or_default();
                        let empty = matches!(patch.trim_ascii(), b"" | b"[]" | b"null");
                        if operation == "DELETE" && !empty {
                            return Verdict::broken("DELETE: a patch was sent, and there is no object to apply it to");
                        }
                    }
                }
            }
            Verdict::Holds
        })
    }
}
