//! A certificate authority and a server certificate, made at start.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

use super::Error;

/// A server certificate for a service, and the authority that signed it; all PEM.
#[derive(Clone)]
pub struct Certificate {
    /// The authority's certificate: a webhook configuration's `caBundle` before base64.
    pub ca: String,
    /// The server's certificate.
    pub chain: String,
    /// The server's key.
    pub key: String,
}

impl Certificate {
    /// For `name.namespace.svc`, `localhost` and 127.0.0.1.
    ///
    /// # Errors
    /// The name cannot stand in a certificate.
    pub fn for_service(namespace: &str, name: &str) -> Result<Self, Error> {
        Self::for_services([(namespace, name)])
    }

    /// For several services (namespace and name) at once.
    ///
    /// # Errors
    /// A name cannot stand in a certificate.
    pub fn for_services<'a>(services: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Error> {
        let mut names: Vec<String> =
            services.into_iter().map(|(namespace, name)| format!("{name}.{namespace}.svc")).collect();
        names.dedup();
        make(&names).map_err(|error| Error::Certificate { name: names.join(", "), message: error.to_string() })
    }
}

fn make(hosts: &[String]) -> Result<Certificate, rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    authority.distinguished_name.push(DnType::CommonName, "towtank webhook CA");
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?.pem();

    let mut server = CertificateParams::new(hosts.iter().cloned().chain(["localhost".to_owned()]).collect::<Vec<_>>())?;
    server.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.distinguished_name.push(DnType::CommonName, "towtank webhook");
    let key = KeyPair::generate()?;
    let chain = server.signed_by(&key, &Issuer::new(authority, authority_key))?.pem();
    Ok(Certificate { ca, chain, key: key.serialize_pem() })
}
