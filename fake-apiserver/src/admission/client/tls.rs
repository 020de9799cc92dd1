//! TLS of webhook calls: trust is the caBundle and nothing else, and verification goes in Go's order with Go's texts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use admission::certificate::Certificate;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::hostname;

/// The cluster's time, as certificates are checked against it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Time(Arc<AtomicI64>);

impl Time {
    pub(crate) fn set(&self, unix_seconds: i64) {
        self.0.store(unix_seconds, Ordering::Relaxed);
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.load(Ordering::Relaxed)).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// TLS settings that trust a PEM bundle.
///
/// # Errors
/// client-go's text for a bundle that is not PEM or holds no certificate.
pub(crate) fn client_config(ca_bundle: &[u8], http2: bool, time: &Time) -> Result<Arc<rustls::ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let mut anchors = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(ca_bundle) {
        let certificate = certificate
            .map_err(|error| format!("unable to load root certificates: failed to parse certificate: {error}"))?;
        anchors.push(certificate.as_ref().to_vec());
        // A certificate that cannot be an anchor may still be the server's own.
        let _ = roots.add(certificate);
    }
    if !ca_bundle.is_empty() && anchors.is_empty() {
        let is_pem = ca_bundle.windows(11).any(|window| window == b"-----BEGIN ");
        let why =
            if is_pem { "no valid certificate authority data seen" } else { "unable to parse bytes as PEM block" };
        return Err(format!("unable to load root certificates: {why}"));
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier { roots, anchors, provider: provider.clone() };
    let builder = rustls::ClientConfig::builder_with_details(provider, Arc::new(time.clone()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    config.alpn_protocols = if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Verifier {
    roots: RootCertStore,
    anchors: Vec<Vec<u8>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// Validity of the server's certificate, then its names, then the chain, then key usage: crypto/x509's order.
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), String> {
        let certificate = Certificate::parse(end_entity).ok_or("x509: malformed certificate")?;
        valid_at(&certificate, now)?;
        hostname::verify(&certificate, &server_name.to_str())?;
        if !self.anchors.iter().any(|anchor| anchor.as_slice() == end_entity.as_ref()) {
            self.chain(end_entity, intermediates, now)?;
        }
        if certificate.serves() {
            Ok(())
        } else {
            Err("x509: certificate specifies an incompatible key usage".to_owned())
        }
    }

    fn chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), String> {
        let parsed = ParsedCertificate::try_from(end_entity).map_err(|_| "x509: malformed certificate")?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        match verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms) {
            Ok(()) => Ok(()),
            Err(Error::InvalidCertificate(
                CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
            )) => Err("x509: certificate specifies an incompatible key usage".to_owned()),
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after })) => {
                Err(expired(time, "after", not_after.as_secs()))
            }
            Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before })) => {
                Err(expired(time, "before", not_before.as_secs()))
            }
            Err(Error::InvalidCertificate(CertificateError::UnhandledCriticalExtension)) => {
                Err("x509: unhandled critical extension".to_owned())
            }
            // Everything else means that no chain to an anchor could be built.
            Err(_) => Err("x509: certificate signed by unknown authority".to_owned()),
        }
    }
}

fn valid_at(certificate: &Certificate, now: UnixTime) -> Result<(), String> {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let unsigned = |seconds: i64| u64::try_from(seconds).unwrap_or_default();
    if seconds < certificate.not_before {
        return Err(expired(now, "before", unsigned(certificate.not_before)));
    }
    if seconds > certificate.not_after {
        return Err(expired(now, "after", unsigned(certificate.not_after)));
    }
    Ok(())
}

fn expired(now: UnixTime, relation: &str, limit: u64) -> String {
    let text = |seconds: u64| {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
    };
    let (now, limit) = (text(now.as_secs()), text(limit));
    format!("x509: certificate has expired or is not yet valid: current time {now} is {relation} {limit}")
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.verify(end_entity, intermediates, server_name, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(text) => Err(Error::General(text)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
