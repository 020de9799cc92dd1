//! The cluster's own certificate authority, made at start and never written to disk.
//!
//! Client certificates are known by their fingerprint: the authority's key never leaves the process, so every certificate
//! that verifies is one that [`Authority::issue`] made, and what it says need not be parsed out of it again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};

use crate::Error;

/// Names under which the server's certificate is valid, besides the address it listens on.
const SERVER_NAMES: [&str; 5] =
    ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];

/// Whom a client certificate stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The certificate's common name.
    pub(crate) user: String,
    /// Its organisations.
    pub(crate) groups: Vec<String>,
    /// SHA-256 of the certificate in lower-case hex.
    pub(crate) fingerprint: String,
}

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub(crate) struct Credential {
    pub(crate) certificate: String,
    pub(crate) key: String,
    /// SHA-256 of the certificate in lower-case hex.
    pub(crate) fingerprint: String,
}

/// The certificate authority of one cluster.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    issued: RwLock<HashMap<[u8; 32], Arc<Identity>>>,
}

fn failed(what: &'static str) -> impl Fn(rcgen::Error) -> Error {
    move |source| Error::Certificate { what, source }
}

impl Authority {
    /// Makes a new authority (a P-256 key).
    pub(crate) fn new() -> Result<Authority, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "fake-apiserver-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().map_err(failed("the authority's key"))?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(failed("the authority's certificate"))?;
        Ok(Authority { issuer, issued: RwLock::default() })
    }

    /// The authority's certificate, PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A client certificate for a user; requests that present it are that user's.
    pub(crate) fn issue(&self, user: &str, groups: &[&str]) -> Result<Credential, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().map_err(failed("a client key"))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed("a client certificate"))?;
        let digest = fingerprint(certificate.der());
        let identity = Identity {
            user: user.to_owned(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            fingerprint: hex(&digest),
        };
        self.issued.write().unwrap_or_else(PoisonError::into_inner).insert(digest, Arc::new(identity));
        Ok(Credential { certificate: certificate.pem(), key: key.serialize_pem(), fingerprint: hex(&digest) })
    }

    /// Whom a presented certificate stands for.
    pub(crate) fn identify(&self, certificate: &[u8]) -> Option<Arc<Identity>> {
        self.issued.read().unwrap_or_else(PoisonError::into_inner).get(&fingerprint(certificate)).cloned()
    }

    /// What the listener needs: the server's certificate, and client certificates asked for but not demanded.
    pub(crate) fn server_config(&self, listen: IpAddr) -> Result<ServerConfig, Error> {
        let mut params =
            CertificateParams::new(SERVER_NAMES.map(str::to_owned)).map_err(failed("the server's names"))?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        let mut addresses =
            vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]), IpAddr::from([10, 96, 0, 1])];
        if !addresses.contains(&listen) {
            addresses.push(listen);
        }
        params.subject_alt_names.extend(addresses.into_iter().map(SanType::IpAddress));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(failed("the server's key"))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed("the server's certificate"))?;

        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|source| Error::ClientVerifier { source })?;
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
