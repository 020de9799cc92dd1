//! Requests to the cluster, in the process.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::value::Value;
use bytes::Bytes;
use fake_apiserver::FakeApiserver;

pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(crate) const NAMESPACES: &str = "/api/v1/namespaces";

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
    /// The body as JSON; a string if it is none, null if there is none.
    pub(crate) body: Value,
    /// Audit annotations that admission made.
    pub(crate) audit: Option<Value>,
}

/// The recordings' client: user `admin`, User-Agent `refclient/1.0`.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) Arc<FakeApiserver>);

/// A body as JSON, as text, or nothing.
pub(crate) fn maybe(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { serde_json::from_str(text).unwrap_or_else(|_| text.into()) }
}

impl Client {
    /// A request with these headers; without `certificate` it comes from whom the headers name.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &Value,
        certificate: bool,
    ) -> Answer {
        let mut request = http::Request::builder().method(method).uri(path).header("User-Agent", "refclient/1.0");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let bytes = match body {
            Value::Null => Bytes::new(),
            Value::String(text) => Bytes::copy_from_slice(text.as_bytes()),
            body => body.to_string().into(),
        };
        let request = request.body(bytes).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let response = match certificate {
            true => self.0.exchange(request).await,
            false => self.0.exchange_without_certificate(request).await,
        };
        // A client elsewhere gives controllers a moment between two requests.
        tokio::time::sleep(Duration::from_millis(4)).await;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        // The recordings' client took header bytes for Latin-1.
        let value = |value: &http::HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
        let headers = response.headers.iter().map(|(name, text)| (name.to_string(), value(text))).collect();
        let audit = response.admission.map(|admission| apimachinery::value::to_value(&admission.audit).unwrap());
        Answer { status: response.status, headers, body: maybe(&text), text, audit }
    }

    /// A request with a body of some type.
    pub(crate) async fn call(&self, method: &str, path: &str, content_type: &str, body: &Value) -> Answer {
        let mut headers = vec![("Accept".to_owned(), JSON.to_owned())];
        if !body.is_null() {
            headers.push(("Content-Type".to_owned(), content_type.to_owned()));
        }
        self.send(method, path, &headers, body, true).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, JSON, &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, JSON, &body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, JSON, &Value::Null).await
    }

    pub(crate) async fn patch(&self, path: &str, content_type: &str, body: Value) -> Answer {
        self.call("PATCH", path, content_type, &body).await
    }

    /// The pods of a namespace.
    pub(crate) async fn pods(&self, namespace: &str) -> Vec<Value> {
        self.items(&format!("{NAMESPACES}/{namespace}/pods")).await
    }

    /// The items of a list; none if it cannot be had.
    pub(crate) async fn items(&self, path: &str) -> Vec<Value> {
        self.get(path).await.body["items"].as_array().cloned().unwrap_or_default().into()
    }
}

/// Asks until something holds, for at most so many seconds of virtual time; whether it does.
pub(crate) async fn poll(seconds: f64, mut holds: impl AsyncFnMut() -> bool) -> bool {
    let end = tokio::time::Instant::now() + Duration::from_secs_f64(seconds);
    loop {
        if holds().await {
            return true;
        }
        if tokio::time::Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits so many seconds of virtual time.
pub(crate) async fn pause(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}
