//! What is in the box, so that `towtank` needs no file beside it.

use crate::replay::Log;

/// AdmissionReviews that a real kube-apiserver (v1.36.2) sent to an injector.
pub const LOG: Log = Log::Bytes { name: "the log in the box", bytes: include_bytes!("../data/captured.jsonl.zst") };

/// How many there are.
pub const REVIEWS: u64 = 603;

/// The namespaces and the webhook configuration under which they were sent.
pub const META: &str = include_str!("../data/captured.meta.json");

/// The injector's ConfigMap that is used when no other is given.
pub const INJECTOR: &str = include_str!("../data/injector.yaml");
