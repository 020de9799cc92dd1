//! The wire between a kube-apiserver and an admission webhook.
//!
//! An apiserver asks by POSTing an `AdmissionReview` with a `request`; the webhook answers with one that holds a
//! `response`. Both sides of Towtank use this crate, so that they meet on bytes and never on shared structures:
//!
//! ```text
//!   apiserver                                         webhook
//!   review::Request ──► encode ──► HTTP body ──► review::AdmissionReview::decode
//!   review::Reply ◄──── decode ◄── HTTP body ◄── review::Response::encode
//!                                     │
//!                                     └──► capture::Writer ──► log ──► capture::Reader
//! ```
//!
//! - [`review`]: `admission.k8s.io/v1` and `v1beta1`; objects stay raw bytes until somebody needs them;
//! - [`capture`]: a log of reviews (and, where known, of what was answered), one JSON line each;
//! - [`certificate`]: what both ends look at in an X.509 certificate;
//! - [`gojson`]: JSON text as Go's `encoding/json` writes it, which is what a webhook gets from the real apiserver.

pub mod capture;
pub mod certificate;
pub mod gojson;
pub mod review;
