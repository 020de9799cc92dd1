use apimachinery::value::{Value, json};
use bytes::Bytes;

use crate::check::case::Case;
use crate::check::law::{About, Bench, Evidence, Law, Scope, Testing, Verdict};
use crate::https::Error;

/// Bad requests do no harm.
pub(in crate::check) struct Malformed;

const ABOUT: About = About {
    name: "malformed",
    claim: "malformed requests get an HTTP answer, are not allowed by a review with a patch, and do not stop the webhook",
    why: "A webhook listens on the cluster's network, where anybody may send it anything. One that crashes takes every \
          creation of a pod with it as long as it restarts, if its failurePolicy is Fail.",
    remedy: "bound the size and depth of what is read, and answer 400 (or a review that is not allowed) to the rest",
};

/// Bytes of the huge body: more than an apiserver ever sends, for a review holds two objects of 3 MiB at most.
const HUGE: usize = 24 * 1024 * 1024;
/// Depth of the deep one.
const DEEP: usize = 100_000;

impl Law for Malformed {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn scope(&self) -> Scope {
        Scope::Webhook
    }

    fn test<'a>(&'a self, bench: &'a Bench, case: &'a Case) -> Testing<'a> {
        Box::pin(async move { survives(bench, case).await })
    }
}

async fn survives(bench: &Bench, case: &Case) -> Verdict {
    if let Err(message) = bench.ask.ask(case, &case.again()).await {
        return Verdict::Silent(message);
    }
    let mut lines = Vec::new();
    for (name, content_type, body) in bodies(case) {
        let huge = body.len() >= HUGE;
        match bench.ask.post(case, content_type, body).await {
            Ok((answer, _)) => {
                let reply: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                if answer.status == 200 && reply["response"]["patch"].is_string() && name != "wrong content type" {
                    lines.push(format!("{name}: answered with a patch"));
                }
            }
            // Whoever stops reading what is too long cannot always finish an answer.
            Err(Error::Http { .. }) if huge => {}
            Err(error) => lines.push(format!("{name}: {error}")),
        }
        if let Err(message) = bench.ask.ask(case, &case.again()).await {
            lines.push(format!("{name}: a good review after it was not answered: {message}"));
            break;
        }
    }
    if lines.is_empty() { Verdict::Holds } else { Verdict::Broken(Evidence { lines, ..Evidence::default() }) }
}

fn bodies(case: &Case) -> Vec<(&'static str, Option<&'static str>, Bytes)> {
    let whole = serde_json::to_vec(&case.again()).unwrap_or_default();
    let json = Some("application/json");
    let review = |request: Value| {
        let api_version = &case.review["apiVersion"];
        Bytes::from(json!({ "kind": "AdmissionReview", "apiVersion": api_version, "request": request }).to_string())
    };
    let mut scalars = case.again();
    scalars["request"]["object"] = json!([1, "two", null]);
    let mut deep = br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"object":"#.to_vec();
    deep.extend(std::iter::repeat_n(b'[', DEEP));
    let mut huge = whole.clone();
    huge.resize(HUGE, b' ');
    vec![
        ("empty body", json, Bytes::new()),
        ("an empty object", json, Bytes::from_static(b"{}")),
        ("null", json, Bytes::from_static(b"null")),
        ("no JSON", json, Bytes::from_static(b"\x00\xff<html>")),
        ("half a review", json, Bytes::from(whole[..whole.len() / 2].to_vec())),
        ("a review without request", json, review(Value::Null)),
        ("a request that is a list", json, review(json!([]))),
        ("an object that is a list", json, Bytes::from(scalars.to_string())),
        ("another version", json, {
            let mut review = case.again();
            review["apiVersion"] = "admission.k8s.io/v9".into();
            Bytes::from(review.to_string())
        }),
        ("deeply nested", json, Bytes::from(deep)),
        ("wrong content type", Some("text/plain"), Bytes::from(whole.clone())),
        ("no content type", None, Bytes::new()),
        ("24 MiB", json, Bytes::from(huge)),
    ]
}
