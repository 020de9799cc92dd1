//! A client of the apiserver: calls in the process, or a kept-open TLS connection with the kubeconfig's certificate.

use std::error::Error;
use std::sync::Arc;

use apimachinery::value::Value;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use fake_apiserver::FakeApiserver;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;

/// One client, which sends one request at a time.
pub(crate) enum Client {
    /// Without a connection.
    InProcess(Arc<FakeApiserver>),
    /// HTTP/1.1 over TLS over TCP.
    Tls(SendRequest<Full<Bytes>>),
}

impl Client {
    /// Connects over TLS.
    pub(crate) async fn tls(cluster: &FakeApiserver) -> Result<Client, Box<dyn Error>> {
        let kubeconfig: Value = serde_json::from_str(cluster.kubeconfig())?;
        let user = &kubeconfig["users"][0]["user"];
        let pem = |field: &str| BASE64_STANDARD.decode(user[field].as_str().unwrap_or_default());
        let certificate = CertificateDer::from_pem_slice(&pem("client-certificate-data")?)?;
        let key = PrivateKeyDer::from_pem_slice(&pem("client-key-data")?)?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(cluster.ca_pem().as_bytes())?)?;
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate], key)?;
        let tcp = TcpStream::connect(cluster.address()).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(cluster.address().ip().to_string())?;
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Client::Tls(sender))
    }

    /// GETs something that comes bit by bit; the connection is then used up.
    pub(crate) async fn get(self, path: &str) -> Result<Incoming, Box<dyn Error>> {
        let Client::Tls(mut sender) = self else { return Err("needs a connection".into()) };
        sender.ready().await?;
        let request = Request::get(path).header("host", "127.0.0.1").body(Full::new(Bytes::new()))?;
        let answer = sender.send_request(request).await?;
        if answer.status() != 200 {
            return Err(format!("HTTP {}", answer.status()).into());
        }
        Ok(answer.into_body())
    }

    /// POSTs an object and reads the whole answer; its status and body.
    pub(crate) async fn post(&mut self, path: &str, body: Bytes) -> Result<(u16, Bytes), Box<dyn Error + Send + Sync>> {
        match self {
            Client::InProcess(cluster) => {
                let answer = cluster.send(Method::POST, path, "application/json", body).await;
                Ok((answer.status, answer.body))
            }
            Client::Tls(sender) => {
                sender.ready().await?;
                let request = Request::post(path)
                    .header("host", "127.0.0.1")
                    .header("user-agent", "fake-apiserver")
                    .header("content-type", "application/json")
                    .body(Full::new(body))?;
                let answer = sender.send_request(request).await?;
                let status = answer.status().as_u16();
                Ok((status, answer.into_body().collect().await?.to_bytes()))
            }
        }
    }
}
