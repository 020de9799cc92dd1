//! What is in the box, so that `towtank` needs no file beside it.

use crate::replay::Log;

/// AdmissionReviews that a real kube-apiserver (v1.36.2) sent to an injector.
pub const LOG: Log = Log::Bytes { name: "the log in the box", bytes: include_bytes!("../data/captured.jsonl.zst") };

/// How many there are.
pub const REVIEWS: u64 = 603;

/// The namespaces and the webhook configuration under which they were sent.
pub const META: &str = include_str!("../data/captured.meta.json");

/// What the replay of the log in the box is.
pub const REPLAY_TITLE: &str = "603 AdmissionReviews of a real kube-apiserver, replayed into the injector";

macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../scenarios/", $name)))),*] };
}

/// The scenario files, and what they name.
pub const FILES: &[(&str, &str)] = files![
    "article.yaml",
    "article/configmap.yaml",
    "article/deployment-pod.yaml",
    "article/webhook.yaml",
    "annotation-says-no.yaml",
    "denied.yaml",
    "down-and-back.yaml",
    "fail-open.yaml",
    "injected-once.yaml",
    "namespace-not-labelled.yaml",
    "reinvocation.yaml",
    "timeout.yaml",
];

/// The scenarios in the box, in order: the article first.
pub fn scenarios() -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().copied().filter(|(name, _)| !name.contains('/'))
}
