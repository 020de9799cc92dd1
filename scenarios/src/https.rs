//! A small HTTPS client: one connection, kept open, HTTP/1.1, as an apiserver speaks to a service.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Most bytes of an answer that are read: more than any webhook has reason to send.
const ANSWER_LIMIT: usize = 32 * 1024 * 1024;

/// Whose certificates are believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The authorities in this PEM file.
    File(PathBuf),
    /// The authorities in this PEM text.
    Pem(String),
    /// Anybody's: the connection is encrypted, and nobody knows to whom.
    Anyone,
}

/// Who a client is: a certificate with its key, both PEM.
#[derive(Clone)]
pub struct Identity {
    /// The chain, the client's own certificate first.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

/// Why a webhook could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL cannot be used.
    #[error("webhook URL {url:?}: {problem}")]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The file with authorities cannot be used.
    #[error("CA file {file}: {problem}; give a PEM file with the certificate that signed the webhook's")]
    Trust {
        /// The file, or `PEM text`.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The client's own certificate cannot be used.
    #[error("client certificate: {problem}")]
    Identity {
        /// What is wrong with it.
        problem: String,
    },
    /// No connection: nothing listens there, or there is no way to it.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Host and port.
        address: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The TLS handshake failed, usually over the certificate.
    #[error("TLS with {address} failed: {source}{}", hint(source))]
    Tls {
        /// Host and port.
        address: String,
        /// What rustls said.
        #[source]
        source: std::io::Error,
    },
    /// The request or its answer broke off.
    #[error("request to {address} failed: {message}")]
    Http {
        /// Host and port.
        address: String,
        /// What hyper said.
        message: String,
    },
    /// No answer in time.
    #[error("no answer from {address} within {}s", after.as_secs_f64())]
    Timeout {
        /// Host and port.
        address: String,
        /// How long it was waited for.
        after: Duration,
    },
}

fn hint(source: &std::io::Error) -> &'static str {
    let text = source.to_string();
    if text.contains("UnknownIssuer") || text.contains("BadSignature") || text.contains("CaUsedAsEndEntity") {
        " (give the authority with --ca FILE, or --insecure-skip-verify)"
    } else if text.contains("NotValidForName") {
        " (the certificate is for another name than the URL's host)"
    } else {
        ""
    }
}

/// Where a webhook is, and how to speak to it. Clones share the TLS session cache.
#[derive(Clone)]
pub struct Endpoint {
    host: String,
    port: u16,
    path: String,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

impl Endpoint {
    /// An `https://` URL, and whom to believe. `timeout` bounds each request, connecting included.
    ///
    /// # Errors
    /// [`Error::Url`] and [`Error::Trust`].
    pub fn new(url: &str, trust: &Trust, timeout: Duration) -> Result<Self, Error> {
        Self::of_client(url, trust, None, timeout)
    }

    /// The same for a client that shows a certificate.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Trust`] and [`Error::Identity`].
    pub fn of_client(url: &str, trust: &Trust, identity: Option<&Identity>, timeout: Duration) -> Result<Self, Error> {
        let bad = |problem: &str| Error::Url { url: url.to_owned(), problem: problem.to_owned() };
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| bad(&error.to_string()))?;
        if uri.scheme_str() != Some("https") {
            return Err(bad("has to begin with https://, as an apiserver demands"));
        }
        let host = uri.host().ok_or_else(|| bad("has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|error| bad(&error.to_string()))?;
        let tls = Arc::new(client_config(trust, identity)?);
        Ok(Self { port: uri.port_u16().unwrap_or(443), path: uri.path().to_owned(), host, name, tls, timeout })
    }

    /// The URL's path, `/` if it has none.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A connection that opens with its first request.
    #[must_use]
    pub fn connection(&self) -> Connection {
        Connection { endpoint: self.clone(), sender: None }
    }

    fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Error> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|source| Error::Connect { address: self.address(), source })?;
        let _ = stream.set_nodelay(true);
        let stream = TlsConnector::from(Arc::clone(&self.tls))
            .connect(self.name.clone(), stream)
            .await
            .map_err(|source| Error::Tls { address: self.address(), source })?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.http(&error))?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn http(&self, error: &dyn std::error::Error) -> Error {
        Error::Http { address: self.address(), message: error.to_string() }
    }
}

/// A whole HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// `Content-Type`, as it came.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// One kept-open connection to an endpoint; it is opened again when the other side has closed it.
pub struct Connection {
    endpoint: Endpoint,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// Posts JSON and reads the whole answer.
    ///
    /// # Errors
    /// Connecting, TLS, HTTP or time. Any HTTP status is an answer.
    pub async fn post(&mut self, target: &str, body: Bytes) -> Result<(u16, Bytes), Error> {
        let answer = self.send(target, Some("application/json"), body).await?;
        Ok((answer.status, answer.body))
    }

    /// Posts a body of any content type, or of none, and reads the whole answer.
    ///
    /// # Errors
    /// As [`Connection::post`]; a content type that cannot stand in a header is [`Error::Http`].
    pub async fn send(&mut self, target: &str, content_type: Option<&str>, body: Bytes) -> Result<Answer, Error> {
        let mut request = Request::post(target).header(header::ACCEPT, "application/json, */*");
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let answer = self.ask(request.body(body).map_err(|error| self.endpoint.http(&error))?).await?;
        let content_type = answer.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Answer { status: answer.status().as_u16(), content_type, body: answer.into_body() })
    }

    /// Sends a request, whose URI is a path, and reads the whole answer; host and user agent are filled in.
    ///
    /// # Errors
    /// As [`Connection::post`].
    pub async fn ask(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let limit = self.endpoint.timeout;
        match tokio::time::timeout(limit, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => {
                self.sender = None;
                Err(Error::Timeout { address: self.endpoint.address(), after: limit })
            }
        }
    }

    async fn exchange(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let mut sender = match self.sender.take() {
            Some(mut sender) => match sender.ready().await {
                Ok(()) => sender,
                Err(_) => self.endpoint.connect().await?,
            },
            None => self.endpoint.connect().await?,
        };
        let mut request = request.map(Full::new);
        let host = self.endpoint.address().parse();
        request.headers_mut().insert(header::HOST, host.map_err(|error| self.endpoint.http(&error))?);
        request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static("towtank"));
        let answer = sender.send_request(request).await.map_err(|error| self.endpoint.http(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_LIMIT).collect().await;
        let body = body.map_err(|error| self.endpoint.http(&*error))?.to_bytes();
        self.sender = Some(sender);
        Ok(Response::from_parts(head, body))
    }
}

pub(crate) fn client_config(trust: &Trust, identity: Option<&Identity>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Trust { file: "TLS".to_owned(), problem: error.to_string() })?;
    let builder = match trust {
        Trust::Anyone => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))),
        Trust::File(path) => {
            let file = path.display().to_string();
            let text =
                std::fs::read(path).map_err(|error| Error::Trust { file: file.clone(), problem: error.to_string() })?;
            builder.with_root_certificates(roots(&file, &text)?)
        }
        Trust::Pem(text) => builder.with_root_certificates(roots("PEM text", text.as_bytes())?),
    };
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let bad = |problem: &str| Error::Identity { problem: problem.to_owned() };
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&identity.certificate).collect();
            let chain = chain.map_err(|error| bad(&error.to_string()))?;
            // The parser's message may quote the text, which is not to be shown.
            let key = PrivateKeyDer::from_pem_slice(&identity.key).map_err(|_| bad("no private key in the key"))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| bad(&error.to_string()))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(file: &str, pem: &[u8]) -> Result<RootCertStore, Error> {
    let bad = |problem: String| Error::Trust { file: file.to_owned(), problem };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("holds no certificate".to_owned()));
    }
    Ok(roots)
}

/// `--insecure-skip-verify`: signatures are checked, names and issuers are not.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
