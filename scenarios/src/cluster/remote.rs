//! A cluster elsewhere, asked over TLS.

use std::time::Duration;

use apimachinery::value::Value;
use bytes::Bytes;
use http::{Request, header};
use tokio::sync::Mutex;

use super::{Answer, Api, Ask, Login, Pending, fake::warning};
use crate::https::{Connection, Endpoint, Error};

/// Longest time that an answer is waited for: a webhook may take 30 s.
const TIMEOUT: Duration = Duration::from_secs(45);

/// A cluster that cannot be asked, in the words of the kubeconfig that names it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RemoteError(String);

/// The client speaks of webhooks and of flags; here they are a kubeconfig's fields.
fn told(error: Error) -> RemoteError {
    RemoteError(match error {
        Error::Url { url, problem } => format!("server {url:?}: {problem}"),
        Error::Trust { problem, .. } => format!("certificate-authority: {problem}"),
        Error::Tls { address, source } => {
            format!("TLS with {address} failed: {source}; see certificate-authority and server")
        }
        error => error.to_string(),
    })
}

/// An apiserver over one kept-open connection; one request at a time.
pub struct Remote {
    connection: Mutex<Connection>,
    /// Path of the server's URL.
    root: String,
    authorization: Option<String>,
}

impl Remote {
    /// The cluster that a kubeconfig names. Nothing is sent yet.
    ///
    /// # Errors
    /// The URL, the authorities or the client's certificate cannot be used.
    pub fn new(login: &Login) -> Result<Self, RemoteError> {
        let endpoint =
            Endpoint::of_client(&login.server, &login.trust, login.identity.as_ref(), TIMEOUT).map_err(told)?;
        Ok(Self {
            root: endpoint.path().trim_end_matches('/').to_owned(),
            connection: Mutex::new(endpoint.connection()),
            authorization: login.token.as_ref().map(|token| format!("Bearer {token}")),
        })
    }

    async fn send(&self, ask: Ask) -> Result<Answer, String> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("{}{}", self.root, ask.path))
            .header(header::ACCEPT, "application/json");
        if !ask.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, ask.content_type);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        // The error would quote the headers' values.
        let request = request.body(Bytes::from(ask.body)).map_err(|_| "the request cannot be written".to_owned())?;
        let answer = self.connection.lock().await.ask(request).await.map_err(|error| told(error).to_string())?;
        let body = serde_json::from_slice(answer.body())
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(answer.body()).into_owned()));
        let warnings = answer.headers().get_all(header::WARNING).iter().filter_map(warning).collect();
        Ok(Answer { status: answer.status().as_u16(), body, warnings, ..Answer::default() })
    }
}

impl Api for Remote {
    /// Where no answer comes the status is 0 and the body says why. Requests are made as the kubeconfig's user.
    fn ask(&self, ask: Ask) -> Pending<'_, Answer> {
        Box::pin(async move {
            self.send(ask).await.unwrap_or_else(|error| Answer {
                status: 0,
                body: Value::from(error),
                ..Answer::default()
            })
        })
    }
}
