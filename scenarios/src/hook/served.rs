//! The injector as it is served in a cluster, over connections in memory.

use std::sync::Arc;

use apimachinery::clock::Clock;
use injector::Injector;
use injector::serve::{Limits, Service};
use tokio::io::DuplexStream;
use tokio_rustls::TlsAcceptor;

use super::{BUFFER, Certificate, Error, Reachable, server};

/// The server of `sidecar-injector serve`, with TLS and HTTP and without a listener.
pub struct Served {
    service: Service,
    tls: TlsAcceptor,
}

impl Served {
    /// An injector behind a certificate; in the current runtime.
    ///
    /// # Errors
    /// The certificate or its key cannot be used.
    pub fn new(injector: Arc<Injector>, certificate: &Certificate) -> Result<Self, Error> {
        let service = injector::serve::service(injector, Limits::default(), Clock::system());
        Ok(Self { service, tls: server::acceptor(certificate)? })
    }
}

impl Reachable for Served {
    fn connect(&self) -> Option<DuplexStream> {
        let (near, far) = tokio::io::duplex(BUFFER);
        let (service, tls) = (self.service.clone(), self.tls.clone());
        tokio::spawn(async move {
            // Who does not get through the handshake is told so by TLS itself.
            if let Ok(stream) = tls.accept(far).await {
                service.serve_connection(stream).await;
            }
        });
        Some(near)
    }
}
