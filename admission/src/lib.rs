//! The wire between an apiserver and a webhook: AdmissionReview v1 and v1beta1, and the capture log.
