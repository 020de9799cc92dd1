//! `clientConfig` of a webhook, parsed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use apimachinery::value::Value;
use sha2::{Digest as _, Sha256};

use super::super::golang;
use super::exchange::CallError;
use super::tls;
use super::url::{Url, clean, split_port};

/// Where and how a webhook is called.
pub(crate) struct ClientConfig {
    /// The URL without `?timeout=`; an error is reported at each call.
    pub(crate) url: Result<Url, String>,
    /// Namespace, name and port of a service reference.
    pub(crate) service: Option<(String, String, u16)>,
    /// PEM.
    ca_bundle: Vec<u8>,
    /// Distinguishes connections made with different trust.
    pub(crate) trust: String,
    tls: OnceLock<Result<Arc<rustls::ClientConfig>, String>>,
}

impl ClientConfig {
    /// A call that fails before it has an answer; `why` is made from the host and port that are dialled.
    pub(crate) fn call_error(&self, timeout: Duration, why: impl FnOnce(&str, u16) -> String) -> CallError {
        let mut url = match self.url.clone() {
            Ok(url) => url,
            Err(error) => return CallError::Setup(error),
        };
        let error = why(&url.host, url.port);
        let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
        url.query = format!("timeout={seconds}s");
        CallError::Call(format!("Post {}: {error}", golang::quote(&url.to_string())))
    }

    pub(crate) fn parse(config: &Value) -> Self {
        let ca_bundle = config["caBundle"].as_str().map(golang::decode_base64).and_then(Result::ok).unwrap_or_default();
        let digest = Sha256::digest(&ca_bundle);
        let trust = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let (url, service) = match config["service"].as_object() {
            Some(service) => {
                let text = |key: &str| service.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                let port = service.get("port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
                let (name, namespace, port) = (text("name"), text("namespace"), port.unwrap_or(443));
                let host = format!("{name}.{namespace}.svc");
                let url = Url {
                    https: true,
                    authority: format!("{host}:{port}"),
                    host,
                    port,
                    path: clean(&text("path"), false),
                    query: String::new(),
                };
                (Ok(url), Some((namespace, name, port)))
            }
            None => (url(config["url"].as_str().unwrap_or_default()), None),
        };
        Self { url, service, ca_bundle, trust, tls: OnceLock::new() }
    }

    /// HTTP/2 is offered to URLs on a loopback host and nowhere else.
    pub(crate) fn offers_http2(&self) -> bool {
        self.service.is_none() && self.url.as_ref().is_ok_and(Url::is_loopback)
    }

    /// The TLS settings, made at the first call.
    pub(crate) fn tls(&self, time: &tls::Time) -> Result<Arc<rustls::ClientConfig>, String> {
        self.tls.get_or_init(|| tls::client_config(&self.ca_bundle, self.offers_http2(), time)).clone()
    }
}

/// The URL with its port spelled out and its path cleaned, as client-go sends it.
fn url(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text)?;
    if split_port(&url.authority).1.is_none_or(str::is_empty) {
        let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
        url.authority = format!("{host}:443");
        url.port = 443;
    }
    url.path = clean(&url.path, false);
    url.query.clear();
    Ok(url)
}
