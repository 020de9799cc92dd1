//! sidecar-injector: an Istio-compatible sidecar injection webhook.
