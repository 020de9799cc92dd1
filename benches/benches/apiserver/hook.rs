//! A webhook that answers every review with the same two operations, as the one of the recorded measurements did.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use admission::review::{AdmissionReview, Response as Answer};
use bytes::Bytes;
use fake_apiserver::admission::{Connection, Connector};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::Outcome;

const PATCH: &[u8] = br#"[{"op":"add","path":"/metadata/labels/patched","value":"true"},{"op":"add","path":"/metadata/annotations/patched","value":"by the webhook"}]"#;

/// Bytes that a connection in memory holds in either direction.
const BUFFER: usize = 64 * 1024;

/// Where the webhook is said to be when it is in memory.
pub(crate) const IN_MEMORY: &str = "192.0.2.1:443";

/// The webhook's TLS side, and who signed it (PEM).
pub(crate) struct Hook {
    tls: TlsAcceptor,
    pub(crate) ca: String,
}

impl Hook {
    pub(crate) fn new() -> Result<Hook, Box<dyn std::error::Error>> {
        let names = vec!["127.0.0.1".to_owned(), "192.0.2.1".to_owned()];
        let certificate = rcgen::generate_simple_self_signed(names)?;
        let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der())?;
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.cert.der().clone()], key)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Hook { tls: TlsAcceptor::from(Arc::new(tls)), ca: certificate.cert.pem() })
    }

    /// Serves it on a port of the loopback interface, for as long as the runtime lives.
    pub(crate) async fn listen(&self) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let tls = self.tls.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream, tls.clone()));
            }
        });
        Ok(address)
    }
}

/// Connections in memory: the same TLS and HTTP without sockets.
impl Connector for Hook {
    fn connect<'a>(
        &'a self,
        _host: &'a str,
        _port: u16,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, String>> + Send + 'a>> {
        let (near, far) = tokio::io::duplex(BUFFER);
        tokio::spawn(serve(far, self.tls.clone()));
        let connection =
            Connection { io: Box::new(near), local: "192.0.2.2:1".to_owned(), remote: IN_MEMORY.to_owned() };
        Box::pin(async move { Ok(connection) })
    }
}

async fn serve(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, tls: TlsAcceptor) {
    let Ok(stream) = tls.accept(io).await else { return };
    let server = auto::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body = match AdmissionReview::decode(&body) {
        Ok(review) => {
            let mut answer = Answer::allow(review.request.uid);
            answer.patch = Some(PATCH.to_vec());
            answer.encode(review.version)
        }
        Err(error) => error.to_string().into_bytes(),
    };
    Ok(Response::new(Full::new(Bytes::from(body))))
}

/// The configuration of so many webhooks, all at this address.
pub(crate) fn configuration(hooks: usize, address: &str, ca: &str) -> apimachinery::value::Value {
    use base64::Engine as _;
    let ca = base64::engine::general_purpose::STANDARD.encode(ca);
    let hooks: Vec<_> = (0..hooks)
        .map(|number| {
            apimachinery::value::json!({
                "name": format!("bench-{number}.example.com"), "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "clientConfig": {"url": format!("https://{address}/mutate"), "caBundle": ca},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                "objectSelector": {"matchLabels": {"app": "web"}},
            })
        })
        .collect();
    apimachinery::value::json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "bench"}, "webhooks": hooks,
    })
}

/// That the webhook answers as it should is checked once, before anything is measured.
pub(crate) fn check(pod: &apimachinery::value::Value, hooks: usize) -> Outcome {
    let patched = pod["metadata"]["labels"]["patched"] == "true";
    if patched != (hooks > 0) {
        return Err(format!("patched: {patched}, with {hooks} webhooks: {pod}").into());
    }
    Ok(())
}
