//! What can go wrong when a cluster is started.

use std::net::SocketAddr;

/// Why a cluster could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on: in use, not of this machine, or not permitted.
    #[error("cannot listen on {address}: choose another address, or port 0 for any free port")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make {what}")]
    Certificate {
        /// Which one.
        what: &'static str,
        /// What rcgen said.
        #[source]
        source: rcgen::Error,
    },
    /// The TLS settings were refused.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The authority was refused as a root for client certificates.
    #[error("cannot set up the verification of client certificates")]
    ClientVerifier {
        /// What rustls said.
        #[source]
        source: rustls::server::VerifierBuilderError,
    },
    /// Admission plugins that there are not, or that are both enabled and disabled; the text is the real one's.
    #[error("{0}")]
    AdmissionPlugins(String),
    /// An object given to the builder was refused, as the API would refuse it.
    #[error("the API refused {object}: {message}")]
    Object {
        /// Kind and name.
        object: String,
        /// The message of the Status.
        message: String,
    },
}
