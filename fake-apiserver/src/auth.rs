//! What identities are made of: the cluster's certificate authority, client certificates, service account tokens, and
//! RBAC's rules over the stored roles.

pub(crate) mod kubeconfig;
pub(crate) mod pki;
pub(crate) mod rbac;
pub(crate) mod tokens;

pub(crate) use pki::{Authority, Identity};

/// The extra attribute that says by which credential a user was recognised.
pub(crate) const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";
