//! The way client-go speaks: one TLS connection with HTTP/2 for everything, watches included.

use std::sync::Arc;

use apimachinery::value::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

/// A typed client prefers protobuf.
pub(super) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
pub(super) const TYPED: &str = "application/vnd.kubernetes.protobuf,application/json";

/// A connection of a client.
pub(super) struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Client {
    /// Connects with what a kubeconfig says; the server has to choose HTTP/2.
    pub(super) async fn connect(kubeconfig: &str) -> Client {
        let config = apimachinery::yaml::parse(kubeconfig).unwrap();
        let pem = |pointer: &str| STANDARD.decode(config.pointer(pointer).unwrap().as_str().unwrap()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        let ca = pem("/clusters/0/cluster/certificate-authority-data");
        roots.add(CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
        let certificate = pem("/users/0/user/client-certificate-data");
        let key = pem("/users/0/user/client-key-data");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(&certificate).unwrap()],
                PrivateKeyDer::from_pem_slice(&key).unwrap(),
            )
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let server = config.pointer("/clusters/0/cluster/server").unwrap().as_str().unwrap();
        let host = server.strip_prefix("https://").unwrap().to_owned();
        let stream = tokio::net::TcpStream::connect(&host).await.unwrap();
        let name = ServerName::try_from(host.rsplit_once(':').unwrap().0.to_owned()).unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Client { sender, host }
    }

    /// Sends a request with the headers that Go sends; the answer's body is still to come.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Response<Incoming> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("https://{}{path}", self.host))
            .header("accept", accept)
            .header("user-agent", "manager/v0.0.0 (linux/amd64) kubernetes/$Format")
            .header("accept-encoding", "gzip");
        let mut bytes = Bytes::new();
        if let Some((content_type, body)) = body {
            request = request.header("content-type", content_type);
            bytes = body.into();
        }
        self.sender.clone().send_request(request.body(Full::new(bytes)).unwrap()).await.unwrap()
    }

    /// Sends a request and reads its answer, which is JSON whatever is preferred.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> (StatusCode, String, Value) {
        let (parts, body) = self.send(method, path, accept, body).await.into_parts();
        let content_type = parts.headers["content-type"].to_str().unwrap().to_owned();
        let bytes = body.collect().await.unwrap().to_bytes();
        assert!(parts.headers.get("content-encoding").is_none(), "of small answers");
        (parts.status, content_type, serde_json::from_slice(&bytes).unwrap())
    }

    pub(super) async fn get(&self, path: &str, accept: &str) -> Value {
        let (status, _, value) = self.ask(Method::GET, path, accept, None).await;
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    /// Creates an object as a typed client does; the object as stored, or the Status.
    pub(super) async fn create(&self, path: &str, body: Vec<u8>) -> (StatusCode, Value) {
        let (status, _, value) = self.ask(Method::POST, path, TYPED, Some((PROTOBUF, body))).await;
        (status, value)
    }
}

/// The events of a watch, one JSON document a line.
pub(super) struct Events {
    body: Incoming,
    rest: Vec<u8>,
}

impl Events {
    pub(super) fn of(response: Response<Incoming>) -> Events {
        assert_eq!(response.status(), 200);
        Events { body: response.into_body(), rest: Vec::new() }
    }

    /// The next event: its type and object.
    pub(super) async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let mut event: Value = serde_json::from_slice(&line).unwrap();
                return (event["type"].as_str().unwrap().to_owned(), event["object"].take());
            }
            let frame = self.body.frame().await.expect("the watch goes on").unwrap();
            self.rest.extend_from_slice(frame.data_ref().unwrap());
        }
    }
}
