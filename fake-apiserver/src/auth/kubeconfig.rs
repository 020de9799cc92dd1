//! The kubeconfig that clients are given.

use apimachinery::value::json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::pki::Credential;

/// A kubeconfig with one cluster, one user and one context. It is written as JSON, which is YAML as well, so that nothing
/// needs quoting.
pub(crate) fn render(url: &str, ca: &str, user: &str, credential: &Credential) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": {"server": url, "certificate-authority-data": STANDARD.encode(ca)}}],
        "users": [{"name": user, "user": {
            "client-certificate-data": STANDARD.encode(&credential.certificate),
            "client-key-data": STANDARD.encode(&credential.key),
        }}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": user}}],
        "current-context": "fake",
        "preferences": {},
    });
    format!("{config:#}\n")
}
