//! URLs of webhooks: what is dialled, what the Host header says, and how a redirect's target is found.

use std::fmt;
use std::net::IpAddr;

/// An http or https URL without user and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) https: bool,
    /// Host without port and without brackets.
    pub(crate) host: String,
    /// Port as dialled.
    pub(crate) port: u16,
    /// Host and port as they stand in the URL: the Host header.
    pub(crate) authority: String,
    /// Path, at least `/`.
    pub(crate) path: String,
    /// Query without `?`.
    pub(crate) query: String,
}

impl Url {
    /// Splits an absolute URL.
    ///
    /// # Errors
    /// A fragment that says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (https, rest) = match (strip(text, "https://"), strip(text, "http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => {
                let scheme = text.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
                return Err(format!("unsupported protocol scheme {scheme:?}"));
            }
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, port) = split_port(authority);
        let port = match port {
            None | Some("") => {
                if https {
                    443
                } else {
                    80
                }
            }
            Some(port) => port.parse().map_err(|_| format!("invalid port {port:?} after host"))?,
        };
        if host.is_empty() {
            return Err("no Host in request URL".to_owned());
        }
        Ok(Self {
            https,
            host: host.to_owned(),
            port,
            authority: authority.to_owned(),
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            query: query.to_owned(),
        })
    }

    /// The target of a redirect: absolute, or relative to this URL.
    pub(crate) fn join(&self, location: &str) -> Result<Self, String> {
        let location = location.split('#').next().unwrap_or_default();
        let scheme = location.split(':').next().unwrap_or_default();
        let has_scheme = location.contains(':')
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
        if has_scheme {
            return Self::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme()));
        }
        let (path, query) = location.split_once('?').unwrap_or((location, ""));
        let mut target = self.clone();
        target.query = query.to_owned();
        if path.starts_with('/') {
            target.path = clean(path, true);
        } else if !path.is_empty() {
            let directory = self.path.rfind('/').map_or("/", |at| &self.path[..=at]);
            target.path = clean(&format!("{directory}{path}"), true);
        } else if location.is_empty() {
            target.query.clone_from(&self.query);
        }
        Ok(target)
    }

    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// Path and query as the request line has them.
    pub(crate) fn path_and_query(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    /// `localhost`, 127.0.0.0/8 or ::1: where HTTP/2 may be spoken (vectors `transport/http2-*`).
    pub(crate) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority, self.path_and_query())
    }
}

fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// Host and port of an authority; brackets of an IPv6 address are taken off.
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    if let Some(rest) = authority.strip_prefix('[')
        && let Some((host, after)) = rest.split_once(']')
    {
        return (host, after.strip_prefix(':'));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// `path.Join`: no double slashes, no `.` and `..`; a trailing slash stays only where asked for.
pub(crate) fn clean(path: &str, keep_trailing: bool) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut out = format!("/{}", parts.join("/"));
    if keep_trailing && path.ends_with('/') && out != "/" {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn redirects_are_resolved() {
        let base = Url::parse("https://127.0.0.1:8443/a/b?timeout=10s").unwrap();
        for (location, expected) in [
            ("https://other/x", "https://other/x"),
            ("//other:1/x?y", "https://other:1/x?y"),
            ("/x/../y", "https://127.0.0.1:8443/y"),
            ("c", "https://127.0.0.1:8443/a/c"),
            ("?z=1", "https://127.0.0.1:8443/a/b?z=1"),
        ] {
            assert_eq!(base.join(location).unwrap().to_string(), expected);
        }
        assert!(base.join("ftp://x/").is_err());
    }

    #[test]
    fn ports_and_brackets() {
        let url = Url::parse("https://[::1]:8443/x").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.is_loopback()), ("::1", 8443, true));
        assert_eq!(Url::parse("https://a.b/").unwrap().port, 443);
        assert!(Url::parse("https:///x").is_err());
    }
}
