//! A TLS proxy in front of a webhook that records what goes through.
//!
//! ```text
//! apiserver ──TLS──► proxy ──TLS──► webhook         HTTP/1.1 or HTTP/2 on either side
//!                      └──► Recorder ──► files      (never waited for)
//! ```
//!
//! Requests and answers pass as they are: method, path, query, headers, body, status. Only the headers that belong to one
//! connection stay behind (RFC 9110, section 7.6.1), and bodies are read whole, up to a limit. Where the webhook cannot be
//! asked, the answer is 502, or 504 after the timeout, with the reason as text.

mod proxy;
mod server;
#[cfg(test)]
mod tests;
mod upstream;

pub use proxy::Limits;
pub use server::{Error, Handle, Options, start};
pub use upstream::Upstream;
