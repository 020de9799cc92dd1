//! Certificates, a client over real TLS, and files for a server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use injector::serve::{Files, Options, Source, Tls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A ConfigMap of the 1.0 era, small enough to read: one proxy container, one volume.
pub(crate) const CONFIG: &str = r#"
policy: enabled
template: |-
  containers:
  - name: istio-proxy
    image: proxy:one
  volumes:
  - name: istio-envoy
    emptyDir: {}
"#;

/// A certificate for `localhost` and 127.0.0.1.
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) key: String,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        Self::valid(2000, 4000)
    }

    /// Valid from the first day of one year to that of another.
    pub(crate) fn valid(from: i32, until: i32) -> Self {
        let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        Self { pem: parameters.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    }
}

/// A folder with everything a server reads.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new(certificate: &Certificate) -> Self {
        let folder = Self { folder: tempfile::tempdir().unwrap() };
        folder.write("config.yaml", CONFIG);
        folder.certificate(certificate);
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn certificate(&self, certificate: &Certificate) {
        self.write("tls.crt", &certificate.pem);
        self.write("tls.key", &certificate.key);
    }

    pub(crate) fn options(&self) -> Options {
        let files = Files { inject_config: self.path("config.yaml"), ..Files::default() };
        let tls = Tls::Files { certificate: self.path("tls.crt"), key: self.path("tls.key") };
        Options::new(Source::Files(files), tls)
    }
}

/// Which protocol the client offers.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

pub(crate) enum Client {
    Http1(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
    Http2(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}

impl Client {
    /// Connects, trusting exactly this certificate.
    pub(crate) async fn connect(
        addr: SocketAddr,
        trusted: &Certificate,
        protocol: Protocol,
    ) -> Result<Self, std::io::Error> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![if protocol == Protocol::Http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        let tcp = TcpStream::connect(addr).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        let io = TokioIo::new(tls);
        Ok(match protocol {
            Protocol::Http1 => {
                let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
                tokio::spawn(connection);
                Self::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
                tokio::spawn(connection);
                Self::Http2(sender)
            }
        })
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, hyper::Error> {
        let response = match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let (parts, body) = response.into_parts();
        Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
    }

    pub(crate) async fn get(&mut self, path: &str) -> (u16, String) {
        let request =
            Request::get(format!("https://localhost{path}")).header("host", "localhost").body(Full::default()).unwrap();
        let response = self.send(request).await.unwrap();
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
    }

    pub(crate) async fn post(&mut self, content_type: Option<&str>, body: impl Into<Bytes>) -> (u16, Bytes) {
        let mut request = Request::post("https://localhost/inject?timeout=10s").header("host", "localhost");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let response = self.send(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        (response.status().as_u16(), response.into_body())
    }

    /// Sends a review and returns the proxy's image that was injected, or `None`.
    pub(crate) async fn injected_image(&mut self) -> Option<String> {
        let (status, body) = self.post(Some("application/json"), review("shop", &pod()).to_string()).await;
        assert_eq!(status, 200, "{body:?}");
        let review: apimachinery::value::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(review["response"]["allowed"], true, "{review}");
        let after = patched(&pod(), &review["response"])?;
        let containers = after["spec"]["containers"].as_array().unwrap().clone();
        let proxy = containers.iter().find(|c| c["name"] == "istio-proxy")?;
        Some(proxy["image"].as_str().unwrap().to_owned())
    }
}

/// The pod with the response's patch applied; `None` without a patch.
pub(crate) fn patched(
    pod: &apimachinery::value::Value,
    response: &apimachinery::value::Value,
) -> Option<apimachinery::value::Value> {
    use base64::Engine;
    let patch = base64::engine::general_purpose::STANDARD.decode(response["patch"].as_str()?).unwrap();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    let mut pod = pod.clone().into();
    json_patch::patch(&mut pod, &patch).unwrap();
    Some(pod.into())
}

pub(crate) fn pod() -> apimachinery::value::Value {
    apimachinery::value::json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "app:1", "ports": [{"containerPort": 8080}]}]},
    })
}

pub(crate) fn review(namespace: &str, pod: &apimachinery::value::Value) -> apimachinery::value::Value {
    apimachinery::value::json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": namespace, "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": pod,
        },
    })
}
