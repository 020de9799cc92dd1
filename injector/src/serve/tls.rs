//! The server's certificate: read, checked, and replaced while connections come in.

use std::path::PathBuf;
use std::sync::Arc;

use admission::certificate::Certificate;
use apimachinery::clock::Timestamp;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Where the server's certificate comes from.
#[derive(Clone)]
pub enum Tls {
    /// PEM files, watched: a renewed certificate is used for the next handshake.
    Files {
        /// The certificate chain, the server's own certificate first.
        certificate: PathBuf,
        /// The private key of the first certificate: PKCS#8, PKCS#1 or SEC1.
        key: PathBuf,
    },
    /// PEM text that stays as it is.
    Pem {
        /// The certificate chain, the server's own certificate first.
        certificate: String,
        /// The private key of the first certificate.
        key: String,
    },
}

impl std::fmt::Debug for Tls {
    // The key is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files { certificate, key } => {
                f.debug_struct("Files").field("certificate", certificate).field("key", key).finish()
            }
            Self::Pem { .. } => f.debug_struct("Pem").finish_non_exhaustive(),
        }
    }
}

/// Why a certificate cannot be used. `certificate` and `key` are file names, or `PEM text`.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file holds no certificate, or something that is none.
    #[error("{certificate}: {problem}; a PEM file with `-----BEGIN CERTIFICATE-----` is needed")]
    Certificate {
        /// The file.
        certificate: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The file holds no private key, or one of an unknown kind.
    #[error("{key}: {problem}; a PEM file with a private key (PKCS#8, PKCS#1 or SEC1) is needed")]
    Key {
        /// The file.
        key: String,
        /// What is wrong with it, without any of its text.
        problem: String,
    },
    /// Certificate and key are not of one pair.
    #[error("{key}: the private key does not belong to the certificate in {certificate}")]
    Mismatch {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
    },
    /// The certificate's time is over.
    #[error("{certificate}: the certificate expired at {until}; renew it")]
    Expired {
        /// The file.
        certificate: String,
        /// The end of its validity, RFC 3339.
        until: String,
    },
    /// The certificate's time has not come.
    #[error("{certificate}: the certificate is not valid before {from}; check the clock")]
    NotYet {
        /// The file.
        certificate: String,
        /// The start of its validity, RFC 3339.
        from: String,
    },
}

/// A certificate with its key, ready for handshakes.
pub(crate) struct Identity {
    key: Arc<CertifiedKey>,
    /// The server's own certificate.
    certificate: Certificate,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// One of the two PEM texts and how to call it in messages.
pub(crate) struct Pem<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a [u8],
}

impl Identity {
    /// Reads a chain and its key, and checks that they belong together and are valid at `now`.
    pub(crate) fn read(certificate: &Pem<'_>, key: &Pem<'_>, now: Timestamp) -> Result<Self, TlsError> {
        let bad_certificate =
            |problem: String| TlsError::Certificate { certificate: certificate.name.to_owned(), problem };
        let bad_key = |problem: &str| TlsError::Key { key: key.name.to_owned(), problem: problem.to_owned() };

        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate.text)
            .collect::<Result<_, _>>()
            .map_err(|error| bad_certificate(format!("not valid PEM ({error})")))?;
        let first = chain.first().ok_or_else(|| bad_certificate("no certificate in it".to_owned()))?;
        let seen = Certificate::parse(first).ok_or_else(|| bad_certificate("not an X.509 certificate".to_owned()))?;

        // The parser's own message may quote the text, which must not be shown.
        let private = PrivateKeyDer::from_pem_slice(key.text).map_err(|_| bad_key("no private key in it"))?;
        let key = CertifiedKey::from_der(chain, private, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::Mismatch { certificate: certificate.name.to_owned(), key: key.name.to_owned() }
            }
            rustls::Error::InvalidCertificate(error) => bad_certificate(format!("not a usable certificate ({error})")),
            _ => bad_key("not a usable private key"),
        })?;

        if seconds(now) > seen.not_after {
            return Err(TlsError::Expired { certificate: certificate.name.to_owned(), until: text(seen.not_after) });
        }
        if seconds(now) < seen.not_before {
            return Err(TlsError::NotYet { certificate: certificate.name.to_owned(), from: text(seen.not_before) });
        }
        Ok(Self { key: Arc::new(key), certificate: seen })
    }

    /// Until when it is valid, in seconds since 1970.
    pub(crate) fn not_after(&self) -> i64 {
        self.certificate.not_after
    }
}

/// Whole seconds since 1970.
pub(crate) fn seconds(moment: Timestamp) -> i64 {
    moment.unix_micros().div_euclid(1_000_000)
}

fn text(unix_seconds: i64) -> String {
    Timestamp::from_unix_micros(unix_seconds.saturating_mul(1_000_000)).rfc3339()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificate in use: whoever holds it can exchange it, and the next handshake shows the new one.
#[derive(Debug)]
pub(crate) struct Current(ArcSwap<Identity>);

impl Current {
    pub(crate) fn new(identity: Identity) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(identity)))
    }

    pub(crate) fn replace(&self, identity: Identity) {
        self.0.store(Arc::new(identity));
    }

    /// Whether this very certificate is in use already.
    pub(crate) fn shows(&self, identity: &Identity) -> bool {
        self.0.load().key.cert == identity.key.cert
    }

    /// Until when the certificate in use is valid, in seconds since 1970.
    pub(crate) fn not_after(&self) -> i64 {
        self.0.load().not_after()
    }

    /// TLS 1.2 and 1.3, HTTP/2 preferred over HTTP/1.1, no client certificate asked for (as Istio's injector).
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().key))
    }
}
