//! The HTTP client that calls webhooks: client-go's behaviour and Go's error texts over hyper and rustls.
//!
//! ```text
//! post ──► exchange (redirects, retries on Retry-After, gzip) ──► pool ──► connect (Connector, TLS) ──► hyper
//!                                                            └──► a webhook in this process
//! ```

mod config;
mod connect;
mod errors;
mod exchange;
mod hostname;
mod pool;
mod tls;
mod url;

pub(crate) use config::ClientConfig;
pub use connect::{Connection, Connector, InProcess, Io, TcpConnector};
pub(crate) use exchange::{CallError, Client};
