//! Who asks, and whether they may: a request's credentials, impersonation, and the authorizers.

pub(crate) mod authenticate;
pub(crate) mod authorize;
