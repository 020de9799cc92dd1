//! Failures of TLS and HTTP in Go's words.

use std::error::Error as StdError;
use std::io;

use rustls::AlertDescription;

use super::super::golang;
use super::connect::reason;

/// The two ends of a connection, as socket errors name them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    pub(crate) local: String,
    pub(crate) remote: String,
}

impl Ends {
    fn socket(&self, error: &io::Error) -> String {
        let verb = if error.kind() == io::ErrorKind::BrokenPipe { "write" } else { "read" };
        format!("{verb} tcp {}->{}: {verb}: {}", self.local, self.remote, reason(error))
    }

    fn io(&self, error: &io::Error) -> String {
        if error.kind() == io::ErrorKind::UnexpectedEof { "EOF".to_owned() } else { self.socket(error) }
    }
}

/// A handshake that failed; `heard` is what the other side sent last.
pub(crate) fn handshake(error: &io::Error, ends: &Ends, heard: &[u8]) -> String {
    let Some(error) = find::<rustls::Error>(error) else {
        return ends.io(error);
    };
    match error {
        rustls::Error::General(text) if text.starts_with("x509: ") => {
            format!("tls: failed to verify certificate: {text}")
        }
        rustls::Error::AlertReceived(alert) => format!("remote error: {}", alert_text(*alert)),
        rustls::Error::InvalidMessage(_) if heard.starts_with(b"HTTP/") => {
            "http: server gave HTTP response to HTTPS client".to_owned()
        }
        rustls::Error::InvalidMessage(_) => "tls: first record does not look like a TLS handshake".to_owned(),
        rustls::Error::PeerIncompatible(_) => "remote error: tls: handshake failure".to_owned(),
        other => format!("tls: {other}"),
    }
}

/// crypto/tls's text of an alert.
fn alert_text(alert: AlertDescription) -> String {
    let text = match alert {
        AlertDescription::CloseNotify => "close notify",
        AlertDescription::UnexpectedMessage => "unexpected message",
        AlertDescription::BadRecordMac => "bad record MAC",
        AlertDescription::DecryptionFailed => "decryption failed",
        AlertDescription::RecordOverflow => "record overflow",
        AlertDescription::DecompressionFailure => "decompression failure",
        AlertDescription::HandshakeFailure => "handshake failure",
        AlertDescription::BadCertificate => "bad certificate",
        AlertDescription::UnsupportedCertificate => "unsupported certificate",
        AlertDescription::CertificateRevoked => "revoked certificate",
        AlertDescription::CertificateExpired => "expired certificate",
        AlertDescription::CertificateUnknown => "unknown certificate",
        AlertDescription::IllegalParameter => "illegal parameter",
        AlertDescription::UnknownCA => "unknown certificate authority",
        AlertDescription::AccessDenied => "access denied",
        AlertDescription::DecodeError => "error decoding message",
        AlertDescription::DecryptError => "error decrypting message",
        AlertDescription::ExportRestriction => "export restriction",
        AlertDescription::ProtocolVersion => "protocol version not supported",
        AlertDescription::InsufficientSecurity => "insufficient security level",
        AlertDescription::InternalError => "internal error",
        AlertDescription::InappropriateFallback => "inappropriate fallback",
        AlertDescription::UserCanceled => "user canceled",
        AlertDescription::NoRenegotiation => "no renegotiation",
        AlertDescription::MissingExtension => "missing extension",
        AlertDescription::UnsupportedExtension => "unsupported extension",
        AlertDescription::CertificateUnobtainable => "certificate unobtainable",
        AlertDescription::UnrecognisedName => "unrecognized name",
        AlertDescription::BadCertificateStatusResponse => "bad certificate status response",
        AlertDescription::BadCertificateHashValue => "bad certificate hash value",
        AlertDescription::UnknownPSKIdentity => "unknown PSK identity",
        AlertDescription::CertificateRequired => "certificate required",
        AlertDescription::NoApplicationProtocol => "no application protocol",
        other => return format!("tls: alert({})", u8::from(other)),
    };
    format!("tls: {text}")
}

/// A request that got no response.
pub(crate) fn request(error: &hyper::Error, ends: &Ends, heard: &[u8]) -> String {
    if let Some(error) = find::<io::Error>(error) {
        return match find::<rustls::Error>(error) {
            Some(rustls::Error::AlertReceived(alert)) => format!("remote error: {}", alert_text(*alert)),
            _ => ends.io(error),
        };
    }
    if error.is_incomplete_message() {
        return if heard.starts_with(b"HTTP/") { "unexpected EOF".to_owned() } else { "EOF".to_owned() };
    }
    if error.is_parse() {
        let line = heard.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let line = golang::quote(line.trim_end_matches('\r'));
        return format!("net/http: HTTP/1.x transport connection broken: malformed HTTP response {line}");
    }
    http2(error).unwrap_or_else(|| "EOF".to_owned())
}

/// A body that broke off; the whole text.
pub(crate) fn body(error: &(dyn StdError + 'static), ends: &Ends) -> String {
    let prefix = "unexpected error when reading response body. Please retry. Original error:";
    if let Some(error) = find::<io::Error>(error)
        && error.kind() != io::ErrorKind::UnexpectedEof
    {
        return format!("{prefix} {}", ends.socket(error));
    }
    let http2_error = find::<hyper::Error>(error).and_then(http2);
    match http2_error {
        Some(text) => format!(
            "stream error when reading response body, may be caused by closed connection. Please retry. Original error: {text}"
        ),
        None => format!("{prefix} unexpected EOF"),
    }
}

/// HTTP/2's errors; hyper hands h2's on as a source.
fn http2(error: &hyper::Error) -> Option<String> {
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if text.contains("frame with invalid size") {
            return Some("http2: frame too large".to_owned());
        }
        if text.starts_with("stream error") || text.starts_with("connection error") {
            return Some(format!("http2: {text}"));
        }
        source = error.source();
    }
    None
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        // An io::Error hides what it wraps from source().
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = find::<T>(inner)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}
