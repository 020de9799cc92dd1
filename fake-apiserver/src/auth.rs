//! Who asks, and what they may do: the cluster's certificate authority, client certificates, service account tokens,
//! impersonation, and RBAC.

pub(crate) mod authenticate;
pub(crate) mod authorize;
pub(crate) mod kubeconfig;
pub(crate) mod pki;
pub(crate) mod rbac;
pub(crate) mod tokens;

pub(crate) use pki::{Authority, Identity};
