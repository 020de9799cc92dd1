//! The fake apiserver in this process, asked without a connection.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use admission::review::UserInfo;
use apimachinery::clock::Clock;
use apimachinery::value::Value;
use bytes::Bytes;
use fake_apiserver::admission::{Connection, Connector, InProcess, TcpConnector};
use fake_apiserver::{Authorization, FakeApiserver, OnlyRefusals};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use injector::Injector;

use super::{Answer, Api, Ask, Pending};
use crate::abreast::stage;
use crate::hook::Hook;

/// When scenarios take place, in microseconds since 1970: 2026-01-01T00:00:00Z, so that runs can be compared.
const EPOCH: i64 = 1_767_225_600_000_000;

/// How to start one.
#[derive(Default)]
pub struct Setup {
    /// Seed of uids and generated names.
    pub seed: u64,
    /// Where services (namespace, name, port) are really found.
    pub services: Vec<((String, String, u16), SocketAddr)>,
    /// Addresses behind which a webhook in memory stands.
    pub hosts: Hosts,
    /// Nodes on which pods run and become ready; where it is 0 they stay pending.
    pub nodes: u32,
    /// Whether timestamps begin at a fixed time and follow the runtime's clock; otherwise they are the machine's.
    pub virtual_time: bool,
}

/// A fake apiserver.
pub struct Fake {
    server: FakeApiserver,
}

impl Fake {
    /// Starts one in the current runtime. Every user may do everything: admission is what is tried here.
    ///
    /// # Errors
    /// No port of the loopback interface can be had, or no certificate can be made.
    pub async fn start(setup: Setup) -> Result<Self, fake_apiserver::Error> {
        let clock = if setup.virtual_time { Clock::at(EPOCH) } else { Clock::system() };
        let mut builder = FakeApiserver::builder()
            .seed(setup.seed)
            .clock(clock)
            .nodes(setup.nodes)
            .authorization(Authorization::AlwaysAllow)
            .connector(Arc::new(setup.hosts));
        for ((namespace, name, port), address) in setup.services {
            builder = builder.resolve_service(&namespace, &name, port, address);
        }
        Ok(Self { server: builder.start().await? })
    }
}

impl Api for Fake {
    fn ask(&self, ask: Ask) -> Pending<'_, Answer> {
        Box::pin(async move {
            let mut request = Request::new(Bytes::from(ask.body));
            *request.method_mut() = ask.method;
            match ask.path.parse() {
                Ok(uri) => *request.uri_mut() = uri,
                Err(error) => {
                    let body = Value::from(format!("{:?} is no path: {error}", ask.path));
                    return Answer { status: 400, body, ..Answer::default() };
                }
            }
            if ask.only_refusals {
                request.extensions_mut().insert(OnlyRefusals);
            }
            let headers = request.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(ask.content_type));
            headers.insert(header::USER_AGENT, HeaderValue::from_static("towtank"));
            if let Some(user) = &ask.user {
                impersonate(user, headers);
            }
            let response = self.server.exchange(request).await;
            let body = if ask.only_refusals && response.status < 400 {
                Value::Null
            } else {
                serde_json::from_slice(&response.body)
                    .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&response.body).into_owned()))
            };
            let warnings = response.headers.get_all("warning").iter().filter_map(warning).collect();
            let (trace, audit) =
                response.admission.map_or_else(Default::default, |request| (request.admission, request.audit));
            Answer { status: response.status, body, warnings, trace, audit }
        })
    }
}

/// `299 - "text"`: the text.
pub(super) fn warning(header: &HeaderValue) -> Option<String> {
    let text = String::from_utf8_lossy(header.as_bytes()).into_owned();
    let quoted = text.strip_prefix("299 - \"")?.strip_suffix('"')?;
    Some(quoted.replace("\\\"", "\"").replace("\\\\", "\\"))
}

/// The headers with which an administrator acts as another user.
fn impersonate(user: &UserInfo, headers: &mut HeaderMap) {
    let mut add = |name: &str, value: &str| {
        // A user whose name cannot stand in a header did not come in over HTTP either.
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    };
    add("impersonate-user", &user.username);
    if !user.uid.is_empty() {
        add("impersonate-uid", &user.uid);
    }
    for group in &user.groups {
        add("impersonate-group", group);
    }
    for (key, values) in &user.extra {
        let name = extra_header(key);
        for value in values {
            add(&name, value);
        }
    }
}

/// The name of the header for an extra key, whose bytes are escaped where a name cannot hold them.
fn extra_header(key: &str) -> String {
    let mut name = "impersonate-extra-".to_owned();
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!#$&'*+^`|".contains(&byte) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name
}

/// Webhooks in this process by the address under which the cluster knows them; everything else is dialled over TCP.
#[derive(Clone, Default)]
pub struct Hosts(HashMap<SocketAddr, Host>);

#[derive(Clone)]
enum Host {
    /// Over a connection in memory.
    Hook(Arc<Hook>),
    /// Without a connection.
    Injector(Arc<Handed>),
}

impl Hosts {
    /// This address is that webhook, reached over TLS in memory.
    pub fn add(&mut self, address: SocketAddr, hook: Arc<Hook>) {
        self.0.insert(address, Host::Hook(hook));
    }

    /// This address is that injector, which is handed the requests as they are.
    pub fn hand(&mut self, address: SocketAddr, injector: Arc<Injector>) {
        self.0.insert(address, Host::Injector(Arc::new(Handed(injector))));
    }

    fn at(&self, host: &str, port: u16) -> Option<(SocketAddr, &Host)> {
        let address = SocketAddr::new(host.parse().ok()?, port);
        Some((address, self.0.get(&address)?))
    }
}

impl Connector for Hosts {
    fn in_process(&self, host: &str, port: u16) -> Option<Arc<dyn InProcess>> {
        match self.at(host, port)? {
            (_, Host::Injector(injector)) => Some(injector.clone()),
            (_, Host::Hook(_)) => None,
        }
    }

    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, String>> + Send + 'a>> {
        let Some((address, Host::Hook(hook))) = self.at(host, port) else {
            return TcpConnector.connect(host, port);
        };
        Box::pin(async move {
            match hook.connect() {
                Some(io) => {
                    let (local, remote) = ("10.96.0.1:40000".to_owned(), address.to_string());
                    Ok(Connection { io: Box::new(io), local, remote })
                }
                None => Err(format!("dial tcp {address}: connect: connection refused")),
            }
        })
    }
}

/// An injector that is handed requests.
struct Handed(Arc<Injector>);

impl InProcess for Handed {
    fn answer(&self, request: Request<Bytes>) -> Pending<'_, Response<Bytes>> {
        Box::pin(async move {
            stage().await;
            let reply = self.0.review(request.body(), request.uri().path()).body;
            stage().await;
            Response::new(reply.into())
        })
    }
}
