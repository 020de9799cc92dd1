//! The cluster as a service: a client's requests over connections in memory.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc::Sender;

const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");

/// How many bytes a connection holds in each direction.
const BUFFER: usize = 64 * 1024;

type BoxError = Box<dyn Error + Send + Sync>;

/// A way into a cluster without a socket or TLS: a [`tower_service::Service`] of HTTP requests, whose path may have a query.
/// Watches, exec, logs and port-forward work as over the network. Clones lead to the same cluster.
///
/// Every request has a connection of its own in memory, so nothing waits for the machine: under tokio's paused clock an
/// operator's hour takes as long as its work does. The cluster must be kept; once it is dropped every request fails, and
/// what was open ends.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use fake_apiserver::FakeApiserver;
/// use k8s_openapi::api::core::v1::Namespace;
///
/// let cluster = FakeApiserver::builder().namespace("shop", []).start().await?;
/// let client = kube::Client::new(cluster.service(), "shop");
/// let namespace = kube::Api::<Namespace>::all(client).get("shop").await?;
/// assert!(namespace.status.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Service {
    door: Sender<DuplexStream>,
    user: Option<HeaderValue>,
}

impl Service {
    pub(crate) fn new(door: Sender<DuplexStream>) -> Service {
        Service { door, user: None }
    }

    /// The same for another user, by impersonation: `system:serviceaccount:shop:operator` may do what the roles bound to
    /// that account allow (its groups come with it). A name that no header can hold is refused by the first request.
    #[must_use]
    pub fn user(mut self, name: &str) -> Service {
        self.user = Some(HeaderValue::from_str(name).unwrap_or_else(|_| HeaderValue::from_static("")));
        self
    }
}

impl<B> tower_service::Service<Request<B>> for Service
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let door = self.door.clone();
        if let Some(user) = &self.user {
            request.headers_mut().entry(IMPERSONATE_USER).or_insert_with(|| user.clone());
        }
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(BUFFER);
            door.send(far).await.map_err(|_| "the cluster was dropped: keep it as long as its clients")?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(near)).await?;
            tokio::spawn(async move {
                if let Err(error) = connection.with_upgrades().await {
                    tracing::debug!(%error, "a connection in memory ended");
                }
            });
            Ok(sender.send_request(request).await?)
        })
    }
}
