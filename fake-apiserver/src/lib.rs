//! A kube-apiserver in a process, for testing admission webhooks.
