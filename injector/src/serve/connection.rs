//! One connection: HTTP/1.1 or HTTP/2, closed when idle, wound down when the server stops.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use super::limits::Limits;
use super::service::Service;

/// Serves HTTP/1.1 or HTTP/2 (whichever the client begins with) on a connection, until it ends, is idle for too
/// long, or `stop` is done; then what has begun is answered first.
pub(crate) async fn serve<Io>(io: Io, service: Service, stop: impl Future<Output = ()>)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = service.shared.limits.clone();
    let activity = Arc::new(Activity::new());
    let watched = Watched { service, activity: Arc::clone(&activity) };
    let builder = builder(&limits);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), watched));
    let mut stop = pin!(stop);
    let mut winding_down = false;
    let mut look = Instant::now() + limits.idle;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = %error, "connection ended");
                }
                return;
            }
            () = &mut stop, if !winding_down => {
                winding_down = true;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(look), if !winding_down => {
                match activity.idle_since() {
                    Some(since) if since + limits.idle <= look => {
                        winding_down = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    Some(since) => look = since + limits.idle,
                    None => look = Instant::now() + limits.idle,
                }
            }
        }
    }
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(64 << 10)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(250)
        .max_header_list_size(64 << 10)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// The service, noting when requests begin and end.
struct Watched {
    service: Service,
    activity: Arc<Activity>,
}

impl hyper::service::Service<Request<Incoming>> for Watched {
    type Response = Response<Full<Bytes>>;
    type Error = std::convert::Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let busy = Busy::new(&self.activity);
        let service = self.service.clone();
        Box::pin(async move {
            let response = service.answer(request).await;
            drop(busy);
            Ok(response)
        })
    }
}

/// Requests under way on one connection, and when the last of them ended.
struct Activity(Mutex<(usize, Instant)>);

impl Activity {
    fn new() -> Self {
        Self(Mutex::new((0, Instant::now())))
    }

    fn idle_since(&self) -> Option<Instant> {
        let (requests, since) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (requests == 0).then_some(since)
    }
}

struct Busy(Arc<Activity>);

impl Busy {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.0.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
        Self(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut activity = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        activity.0 = activity.0.saturating_sub(1);
        activity.1 = Instant::now();
    }
}
