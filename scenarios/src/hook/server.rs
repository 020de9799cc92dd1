//! Connections, and what happens to one request.

use std::sync::Arc;

use admission::review::{AdmissionReview, Response as Answer, ResponseStatus};
use apimachinery::value::Value;
use base64::Engine;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Answerer, Called, Certificate, Error, Shared, lock};
use crate::scenario::FaultKind;

/// Most bytes of a request's body.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

pub(super) fn acceptor(certificate: &Certificate) -> Result<TlsAcceptor, Error> {
    let bad = |message: String| Error::Certificate { name: "the webhook".to_owned(), message };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.chain.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| bad(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).map_err(|error| bad(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| bad(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

pub(super) async fn accept(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { tokio::task::yield_now().await; continue };
                let _ = stream.set_nodelay(true);
                connections.spawn(serve(stream, tls.clone(), Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, to its end.
pub(super) async fn serve<Io>(io: Io, tls: TlsAcceptor, shared: Arc<Shared>)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if shared.refuses() {
        return;
    }
    let Ok(stream) = tls.accept(io).await else { return };
    let service = service_fn(|request| answer(Arc::clone(&shared), request));
    // An error ends the connection, which is all that there is to do about it.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed")]
struct Closed;

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Closed> {
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let body = match Limited::new(request.into_body(), BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Err(Closed),
    };
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    shared.remember(Called { path: path.clone(), query, request: review["request"].clone() });
    let fault = lock(&shared.faults).now();
    match fault {
        FaultKind::Close | FaultKind::Refuse => return Err(Closed),
        FaultKind::Status(code) => {
            let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Ok(plain(code, "fault of the scenario"));
        }
        FaultKind::Delay(by) => tokio::time::sleep(by).await,
        FaultKind::None => {}
    }
    let answerer = lock(&shared.answerer).clone();
    Ok(match answerer {
        Answerer::Nobody => plain(StatusCode::SERVICE_UNAVAILABLE, "no configuration yet"),
        Answerer::Injector(injector) => json(injector.review(&body, &path).body),
        Answerer::Function(answer) => {
            answer(&body).map_or_else(|| plain(StatusCode::INTERNAL_SERVER_ERROR, "no answer"), json)
        }
        Answerer::Reply(reply) => match AdmissionReview::decode(&body) {
            Ok(review) => json(fixed(&reply, &review.request.uid).encode(review.version)),
            Err(error) => plain(StatusCode::BAD_REQUEST, &error.to_string()),
        },
    })
}

fn fixed(reply: &Value, uid: &str) -> Answer {
    let strings = |key: &str| {
        let list = reply[key].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let patch = match &reply["patch"] {
        Value::Array(operations) if !operations.is_empty() => Some(Value::Array(operations.clone()).to_string().into()),
        Value::String(text) => {
            Some(base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_else(|_| text.as_bytes().to_vec()))
        }
        _ => None,
    };
    let annotations = reply["auditAnnotations"].as_object().into_iter().flatten();
    Answer {
        uid: uid.to_owned(),
        allowed: reply["allowed"].as_bool().unwrap_or(true),
        status: apimachinery::value::from_value::<Option<ResponseStatus>>(reply["status"].clone()).unwrap_or_default(),
        patch,
        warnings: strings("warnings"),
        audit_annotations: annotations
            .filter_map(|(key, value)| Some((key.to_string(), value.as_str()?.to_owned())))
            .collect(),
    }
}

fn json(body: Vec<u8>) -> Response<Full<Bytes>> {
    response(StatusCode::OK, "application/json", body)
}

fn plain(code: StatusCode, text: &str) -> Response<Full<Bytes>> {
    response(code, "text/plain; charset=utf-8", text.as_bytes().to_vec())
}

fn response(code: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
