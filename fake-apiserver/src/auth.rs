//! Who asks: the cluster's certificate authority, client certificates, service account tokens, impersonation, and RBAC.

pub(crate) mod kubeconfig;
pub(crate) mod pki;

pub(crate) use pki::{Authority, Identity};
