//! Connections into pods: exec, attach and port-forward, over WebSocket and over SPDY/3.1.
//!
//! ```text
//! websocket  v5.channel.k8s.io, v4…, v1: a channel a message     ┐
//!            SPDY/3.1+portforward.k8s.io: SPDY within messages   ├──► session   what the streams are connected with
//! spdy       SPDY/3.1 after an upgrade                           ┘    forward
//! ```

mod ended;
mod forward;
mod session;
mod spdy;
mod websocket;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{HeaderMap, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::admission::Rejection;
use crate::registry::connect::{Connect, Purpose, upgrade_required};
use crate::respond::{Body, empty};

/// Names the protocol that SPDY's streams were agreed on.
const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// A byte in front of each message is its channel. With version 5 a client can say that a channel ends.
    Channels,
    /// SPDY in WebSocket messages.
    Tunnel,
    Spdy,
}

fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let all = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).map(str::trim).filter(|value| !value.is_empty())
}

/// The first of the server's protocols that the client offers.
fn agree<'a>(offered: &[&str], known: &[&'a str]) -> Option<&'a str> {
    known.iter().copied().find(|known| offered.contains(known))
}

/// Answers a request for a connection: 101, and a task that serves it.
pub(super) fn open(
    connect: Connect,
    headers: &HeaderMap,
    upgrade: Option<OnUpgrade>,
) -> Result<Response<Body>, Rejection> {
    let forward = matches!(connect.purpose, Purpose::PortForward);
    let wanted = headers.get(UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let Some(upgrade) = upgrade else { return Err(upgrade_required()) };
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    let protocol = if wanted == "websocket" {
        let offered: Vec<&str> = values(headers, &SEC_WEBSOCKET_PROTOCOL).collect();
        let known: &[&str] = if forward {
            &["SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io"]
        } else {
            &["v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"]
        };
        let chosen = agree(&offered, known);
        let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
        let (Some(key), true) = (key, chosen.is_some() || offered.is_empty()) else {
            return Err(Rejection::bad_request(&format!(
                "unable to upgrade: none of the subprotocols {offered:?} is served here, only {known:?}"
            )));
        };
        answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::from_str(&accept_key(key)) {
            answer.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(chosen) = chosen.and_then(|chosen| HeaderValue::from_str(chosen).ok()) {
            answer.insert(SEC_WEBSOCKET_PROTOCOL, chosen);
        }
        if chosen.is_some_and(|chosen| chosen.starts_with("SPDY")) { Protocol::Tunnel } else { Protocol::Channels }
    } else if wanted == "spdy/3.1" {
        let offered: Vec<&str> = values(headers, &STREAM_PROTOCOL).collect();
        let known: &[&str] = if forward {
            &["portforward.k8s.io"]
        } else {
            &["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"]
        };
        let Some(chosen) = agree(&offered, known) else {
            let message = format!(
                "unable to upgrade: unable to negotiate protocol: client supports {offered:?}, server accepts {known:?}"
            );
            return Err(Rejection::new(403, "Forbidden", &message));
        };
        answer.insert(UPGRADE, HeaderValue::from_static("SPDY/3.1"));
        if let Ok(chosen) = HeaderValue::from_str(chosen) {
            answer.insert(STREAM_PROTOCOL, chosen);
        }
        Protocol::Spdy
    } else {
        return Err(upgrade_required());
    };
    tokio::spawn(async move {
        match upgrade.await {
            Ok(stream) => serve(connect, protocol, TokioIo::new(stream)).await,
            Err(error) => tracing::debug!(%error, "the connection was not upgraded"),
        }
    });
    Ok(response)
}

async fn serve<S>(connect: Connect, protocol: Protocol, stream: S)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let forward = matches!(connect.purpose, Purpose::PortForward);
    match (protocol, forward) {
        (Protocol::Channels, false) => websocket::session(connect, stream).await,
        (Protocol::Channels, true) => websocket::forward(connect, stream).await,
        (Protocol::Tunnel, _) => spdy::serve(connect, websocket::tunnel(stream)).await,
        (Protocol::Spdy, _) => spdy::serve(connect, stream).await,
    }
}

/// RFC 6455, 4.2.2: the answer to the client's key.
fn accept_key(key: &[u8]) -> String {
    let digest = ring::digest::digest(
        &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
        &[key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat(),
    );
    STANDARD.encode(digest)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_key_of_the_rfc() {
        assert_eq!(super::accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
