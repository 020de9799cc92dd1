//! Accepting connections until told to stop, then letting them end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::connection;
use super::service::Service;

/// Accepts and serves; returns when `stop` is set and everything that had begun is answered or out of time.
pub(crate) async fn run(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    service: Service,
    mut stop: watch::Receiver<bool>,
) {
    let limits = service.shared.limits.clone();
    let places = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let (wind_down, winding_down) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut last_moment: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stopped(&mut stop), if last_moment.is_none() => {
                service.shared.stopping.store(true, Ordering::Relaxed);
                last_moment = Some(Instant::now() + limits.stop_delay);
                continue;
            }
            () = at(last_moment) => break,
        };
        let Some((tcp, place)) = accepted else { continue };
        let (tls, service, mut winding_down) = (tls.clone(), service.clone(), winding_down.clone());
        connections.spawn(async move {
            let _place = place;
            let connections = service.shared.metrics.connections.clone();
            connections.inc();
            let stop = async move { stopped(&mut winding_down).await };
            one(tcp, tls, service, stop).await;
            connections.dec();
        });
    }
    drop(listener);
    let _ = wind_down.send(true);
    let deadline = Instant::now() + limits.stop;
    while let Ok(Some(_)) = timeout_at(deadline, connections.join_next()).await {}
    if !connections.is_empty() {
        tracing::warn!(connections = connections.len(), "cut off connections that did not end in time");
    }
    connections.shutdown().await;
}

/// Done when the flag is set, or when nobody is left to set it.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((tcp, _)) => Some((tcp, place)),
        Err(error) => {
            // Out of file descriptors, mostly: wait for some to come back.
            tracing::warn!(%error, "cannot accept a connection");
            sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn one(tcp: TcpStream, tls: Option<TlsAcceptor>, service: Service, stop: impl Future<Output = ()>) {
    let _ = tcp.set_nodelay(true);
    let Some(tls) = tls else { return connection::serve(tcp, service, stop).await };
    match timeout(service.shared.limits.handshake, tls.accept(tcp)).await {
        Ok(Ok(stream)) => connection::serve(stream, service, stop).await,
        // Load balancers and probes open connections and close them again; that is not worth a line.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            tracing::debug!(%error, "TLS handshake not completed");
        }
        Ok(Err(error)) => tracing::info!(%error, "TLS handshake failed"),
        Err(_) => tracing::info!("TLS handshake took too long"),
    }
}
