//! A webhook for tests: one function that answers reviews, over whatever connection there is, with TLS.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use apimachinery::value::{Value, json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fake_apiserver::admission::{Connection, Connector};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};

/// What a webhook does with a review.
pub(crate) enum Answer {
    /// The fields of `response` besides `uid`.
    Response(Value),
    /// An HTTP status without a review.
    Status(u16),
    /// An HTTP status with a header.
    Header(u16, &'static str, &'static str),
    /// The connection is closed without an answer.
    Close,
}

type Function = dyn Fn(&str, &Value) -> Answer + Send + Sync;

/// A webhook; clones are the same one.
#[derive(Clone)]
pub(crate) struct Webhook(Arc<Function>);

/// A certificate for 127.0.0.1 and `hook`, made once: its base64 PEM and the server's TLS settings.
static TLS: LazyLock<(String, Arc<ServerConfig>)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "hook".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    (STANDARD.encode(made.cert.pem()), Arc::new(config))
});

/// What webhook configurations have to trust.
pub(crate) fn ca_bundle() -> &'static str {
    &TLS.0
}

impl Webhook {
    /// A webhook that answers with a function of the path and the review.
    pub(crate) fn new(answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Webhook {
        Webhook(Arc::new(answer))
    }

    /// Serves one connection to its end.
    pub(crate) async fn serve(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Ok(stream) = tokio_rustls::TlsAcceptor::from(TLS.1.clone()).accept(io).await else { return };
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let webhook = self.clone();
            async move {
                let path = request.uri().path().to_owned();
                let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
                let review: Value = serde_json::from_slice(&body).unwrap();
                let mut header = ("content-type", "application/json");
                let (status, body) = match (webhook.0)(&path, &review) {
                    Answer::Close => return Err(io::Error::other("closed")),
                    Answer::Status(status) => (status, String::new()),
                    Answer::Header(status, name, value) => {
                        header = (name, value);
                        (status, String::new())
                    }
                    Answer::Response(mut response) => {
                        response["uid"] = review["request"]["uid"].clone();
                        (200, json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}).to_string())
                    }
                };
                let response = hyper::Response::builder().status(status).header(header.0, header.1);
                Ok::<_, io::Error>(response.body(Full::new(bytes::Bytes::from(body))).unwrap())
            }
        });
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    /// Serves over loopback TCP; the address.
    pub(crate) async fn listen(self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(self.clone().serve(stream));
            }
        });
        address
    }
}

/// A response with a JSON patch.
pub(crate) fn patch(operations: &Value) -> Answer {
    Answer::Response(
        json!({"allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(operations.to_string())}),
    )
}

/// Every connection leads to the webhook, in memory.
pub(crate) struct Memory(pub(crate) Webhook);

impl Connector for Memory {
    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, String>> + Send + 'a>> {
        let (near, far) = tokio::io::duplex(1 << 16);
        tokio::spawn(self.0.clone().serve(far));
        Box::pin(async move {
            Ok(Connection { io: Box::new(near), local: "127.0.0.1:40000".to_owned(), remote: format!("{host}:{port}") })
        })
    }
}
