//! A client over TLS and loopback TCP, with the certificate of the kubeconfig.

use std::sync::Arc;

use apimachinery::value::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fake_apiserver::FakeApiserver;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

/// One connection to a cluster.
pub(crate) struct Remote(SendRequest<Full<bytes::Bytes>>);

impl Remote {
    pub(crate) async fn connect(cluster: &FakeApiserver) -> Remote {
        let kubeconfig: Value = serde_json::from_str(cluster.kubeconfig()).unwrap();
        let user = &kubeconfig["users"][0]["user"];
        let pem = |field: &str| STANDARD.decode(user[field].as_str().unwrap()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(cluster.ca_pem().as_bytes()).unwrap()).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(&pem("client-certificate-data")).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(&pem("client-key-data")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();
        let stream = tokio::net::TcpStream::connect(cluster.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Remote(sender)
    }

    pub(crate) async fn send(&mut self, request: http::Request<Vec<u8>>) -> (u16, Value) {
        let mut request = request.map(|body| Full::new(bytes::Bytes::from(body)));
        request.headers_mut().insert("host", http::HeaderValue::from_static("127.0.0.1"));
        self.0.ready().await.unwrap();
        let response = self.0.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}
