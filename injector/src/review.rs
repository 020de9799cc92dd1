//! One HTTP body in, one HTTP body out: the whole flow of a webhook call, pure.

use std::collections::BTreeMap;

use admission::review::{AdmissionReview, Response, Version};
use apimachinery::value::Value;

use crate::engine::Injected;
use crate::injector::Injector;
use crate::outcome::{Outcome, Reviewed, Verdict};
use crate::patch;

impl Injector {
    /// Answers one webhook call. `path` is the request's path with Istio's parameters; a query is ignored.
    ///
    /// Never fails: what cannot be decoded or injected is answered with a denial that says why.
    ///
    /// Answers for pods of the same owner are kept; [`review_uncached`](Self::review_uncached) gives the same answers.
    pub fn review(&self, body: &[u8], path: &str) -> Reviewed {
        let path = path.split('?').next().unwrap_or_default();
        self.cache().answer(path, body, || self.review_uncached(body, path))
    }

    /// The same as [`review`](Self::review), always computed.
    pub fn review_uncached(&self, body: &[u8], path: &str) -> Reviewed {
        let review = match AdmissionReview::decode(body) {
            Ok(review) => review,
            Err(e) => return undecodable(body, &e),
        };
        let request = &review.request;
        let uid = request.uid.to_string();
        let answer = |response: &Response, verdict, pod: String, reason: String| Reviewed {
            body: response.encode(review.version),
            outcome: Outcome { verdict, uid: uid.clone(), pod, reason },
        };
        let denied = |pod: String, message: String| {
            answer(&Response::deny(uid.clone(), message.clone()), Verdict::Denied, pod, message)
        };
        let Some(raw) = request.object else {
            return denied(String::new(), "the request holds no object".to_owned());
        };
        let mut object: Value = match serde_json::from_str(raw.get()) {
            Ok(object) => object,
            Err(e) => {
                let message = format!("the object is not JSON: {e}");
                let response = Response::deny(uid.clone(), message.clone());
                return answer(&response, Verdict::Undecodable, String::new(), message);
            }
        };
        // No template sees them: kept answers are shared by pods that differ in their times.
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            metadata.remove("managedFields");
        }
        let pod = pod_name(&object, &request.namespace);
        let path = path.split('?').next().unwrap_or_default();
        match self.inject_object(&object, &request.namespace, path) {
            Err(e) => {
                let mut response = Response::deny(uid.clone(), e.to_string());
                response.warnings.extend(e.place());
                answer(&response, Verdict::Denied, pod, e.in_full())
            }
            Ok(injected) => {
                let verdict = if injected.decision.inject { Verdict::Injected } else { Verdict::Skipped };
                let reason = injected.decision.reason.word().to_owned();
                answer(&response(uid.clone(), &injected), verdict, pod, reason)
            }
        }
    }
}

/// Audit annotation that says why a pod was injected or not; the apiserver prefixes it with the webhook's name.
const DECISION: &str = "injection";

fn response(uid: String, injected: &Injected) -> Response {
    let mut response = Response::allow(uid);
    if !injected.patch.is_empty() {
        response.patch = Some(patch::to_bytes(&injected.patch));
    }
    response.warnings.clone_from(&injected.warnings);
    response.audit_annotations = BTreeMap::from([(DECISION.to_owned(), injected.decision.summary())]);
    response
}

fn undecodable(body: &[u8], error: &admission::review::Error) -> Reviewed {
    // Without a version that was asked in, v1 is what every apiserver of today reads.
    let version = asked_version(body).unwrap_or(Version::V1);
    let message = error.to_string();
    let outcome =
        Outcome { verdict: Verdict::Undecodable, uid: String::new(), pod: String::new(), reason: message.clone() };
    Reviewed { body: Response::deny("", message).encode(version), outcome }
}

fn asked_version(body: &[u8]) -> Option<Version> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct TypeMeta {
        api_version: String,
    }
    let meta: TypeMeta = serde_json::from_slice(body).ok()?;
    Version::from_api_version(&meta.api_version)
}

/// The pod's name for people.
fn pod_name(object: &Value, namespace: &str) -> String {
    let meta =
        |key: &str| object.pointer(&format!("/metadata/{key}")).and_then(Value::as_str).filter(|s| !s.is_empty());
    let namespace = meta("namespace").unwrap_or(namespace);
    match (meta("name"), meta("generateName")) {
        (Some(name), _) => format!("{namespace}/{name}"),
        (None, Some(prefix)) => format!("{namespace}/{prefix}***"),
        (None, None) => format!("{namespace}/"),
    }
}
