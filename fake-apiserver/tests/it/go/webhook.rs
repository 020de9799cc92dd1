//! A webhook as one written with Go's net/http: HTTP/2 where the client offers it, a Content-Type that was guessed from the
//! body (`text/plain`), the review as encoding/json writes it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use apimachinery::value::{Value, json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What the webhook saw of one request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Which connection it came on, from 0.
    pub(super) connection: usize,
    pub(super) version: http::Version,
    pub(super) path: String,
    pub(super) headers: http::HeaderMap,
    pub(super) review: Value,
}

/// A webhook that listens.
pub(super) struct Webhook {
    pub(super) address: SocketAddr,
    /// base64 of the PEM that vouches for it.
    pub(super) ca_bundle: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Webhook {
    /// Listens on loopback. `/mutate` adds a label; `/forgets-the-type` gives a patch without `patchType`.
    pub(super) async fn listen() -> Webhook {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut tls = builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let seen = calls.clone();
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (acceptor, seen) = (acceptor.clone(), seen.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = hyper::service::service_fn(|request| answer(connection, seen.clone(), request));
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Webhook { address, ca_bundle: STANDARD.encode(made.cert.pem()), calls }
    }

    /// What it was asked so far.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// A configuration that sends CREATE of these resources (of the core group) to a path.
    pub(super) fn configuration(&self, name: &str, path: &str, resource: &str, versions: &[&str]) -> Value {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [{
                "name": format!("{name}.example.com"), "sideEffects": "None", "admissionReviewVersions": versions,
                "clientConfig": {"url": format!("https://{}{path}", self.address), "caBundle": self.ca_bundle},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}],
            }],
        })
    }
}

async fn answer(
    connection: usize,
    seen: Arc<Mutex<Vec<Call>>>,
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let review: Value = serde_json::from_slice(&body.collect().await?.to_bytes()).unwrap();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let labels = if review["request"]["object"]["metadata"]["labels"].is_null() {
        json!({"op": "add", "path": "/metadata/labels", "value": {"seen-by": "go"}})
    } else {
        json!({"op": "add", "path": "/metadata/labels/seen-by", "value": "go"})
    };
    let mut response = json!({
        "uid": review["request"]["uid"], "allowed": true, "patch": STANDARD.encode(json!([labels]).to_string()),
    });
    if path.starts_with("/mutate") {
        response["patchType"] = "JSONPatch".into();
    }
    let written = json!({"kind": review["kind"], "apiVersion": review["apiVersion"], "response": response});
    seen.lock().unwrap().push(Call { connection, version: parts.version, path, headers: parts.headers, review });
    // json.NewEncoder(w).Encode(review): a line, without a Content-Type of its own.
    let answer = http::Response::builder().header("content-type", "text/plain; charset=utf-8");
    Ok(answer.body(Full::new(Bytes::from(format!("{written}\n")))).unwrap())
}
