//! Certificates of the webhook servers, made once: the good one, and each of the bad ones that the recordings had.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// What the recordings have in place of their CA bundles.
pub(crate) const RECORDED_CA: &str = "U0NSVUJCRUQtQ0EtQlVORExF";
pub(crate) const RECORDED_OTHER_CA: &str = "U0NSVUJCRUQtT1RIRVItQ0EtQlVORExF";

/// All of them.
pub(crate) struct Pki {
    /// The bundle that webhook configurations trust, base64 of PEM.
    pub(crate) ca: String,
    /// Another authority's, which has signed nothing.
    pub(crate) other_ca: String,
    servers: HashMap<&'static str, Arc<ServerConfig>>,
}

/// The certificates; the same for all cases.
pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = date_time_ymd(2099, 1, 1);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Pki {
    fn new() -> Pki {
        let (issuer, other) = (authority("ref-webhook-ca"), authority("some-other-ca"));
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        let loopback = || SanType::IpAddress([127, 0, 0, 1].into());
        let (serves, is_client) = (ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth);
        let make = |name: &str, names: Vec<SanType>, usage: &ExtendedKeyUsagePurpose, until: i32, alpn: &[&str]| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.subject_alt_names = names;
            params.extended_key_usages = vec![usage.clone()];
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
            let key = KeyPair::generate().unwrap();
            let certificate: CertificateDer<'static> = params.signed_by(&key, &issuer).unwrap().der().clone();
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
            let mut config = builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
            config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
            Arc::new(config)
        };
        let good = || vec![loopback(), dns("localhost"), dns("istiod.istio-system.svc")];
        let servers = HashMap::from([
            ("main", make("webhook", good(), &serves, 2090, &[])),
            ("h2", make("webhook", good(), &serves, 2090, &["h2", "http/1.1"])),
            ("wrongsan", make("webhook", vec![dns("other.example.com")], &serves, 2090, &[])),
            ("expired", make("webhook", vec![loopback()], &serves, 2021, &[])),
            ("nosan", make("127.0.0.1", Vec::new(), &serves, 2090, &[])),
            ("clientonly", make("webhook", vec![loopback()], &is_client, 2090, &[])),
        ]);
        Pki { ca: STANDARD.encode(issuer.pem()), other_ca: STANDARD.encode(other.pem()), servers }
    }

    /// The TLS settings of a server.
    pub(crate) fn server(&self, name: &str) -> Arc<ServerConfig> {
        self.servers[name].clone()
    }
}
