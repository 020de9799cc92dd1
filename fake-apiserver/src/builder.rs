//! Starting a cluster, and what can be done with it from the same process.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use apimachinery::clock::Clock;
use apimachinery::value::{Value, json};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tokio::net::TcpListener;

use crate::Error;
use crate::admission::{Chain, Connector, PluginChoice, UserInfo};
use crate::audit::{Audit, Policy};
use crate::auth::rbac::Authorization;
use crate::auth::tokens::Tokens;
use crate::auth::{Authority, Identity, kubeconfig};
use crate::controllers::{self, Controllers};
use crate::core::{Core, Shared};
use crate::fault::{Fault, Faults};
use crate::http::{Listener, Peer, bind, handle};
use crate::kinds::Registry;
use crate::metrics::Metrics;
use crate::random::Random;
use crate::registry::bootstrap;
use crate::registry::{internal, snapshot};
use crate::service::Service;
use crate::store::{DEFAULT_HISTORY, Store};
use crate::trace::{Log, Requests, followed};
use crate::version::KubernetesVersion;

/// The user of the kubeconfig and of in-process requests, and its groups.
const ADMIN: (&str, &[&str]) = ("admin", &["system:masters"]);

/// A running cluster. Dropping it stops it: the listener and all connections are closed.
pub struct FakeApiserver {
    core: Shared,
    address: SocketAddr,
    kubeconfig: String,
    admin: Peer,
    listener: Listener,
    _controllers: Option<Controllers>,
}

/// How a cluster is to be started; see [`FakeApiserver::builder`].
pub struct Builder {
    seed: u64,
    clock: Clock,
    listen: SocketAddr,
    authorization: Authorization,
    history: usize,
    services: HashMap<(String, String, u16), SocketAddr>,
    objects: Vec<Value>,
    restored: Vec<Value>,
    connector: Option<Arc<dyn Connector>>,
    controllers: bool,
    nodes: u32,
    workloads: crate::node::Workloads,
    audit_policy: Option<Policy>,
    audit_log: Option<Box<dyn Write + Send>>,
    faults: Vec<Fault>,
    version: KubernetesVersion,
    plugins: PluginChoice,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            seed: 0,
            clock: Clock::system(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            authorization: Authorization::default(),
            history: DEFAULT_HISTORY,
            services: HashMap::new(),
            objects: Vec::new(),
            restored: Vec::new(),
            connector: None,
            controllers: true,
            nodes: 0,
            workloads: crate::node::Workloads::default(),
            audit_policy: None,
            audit_log: None,
            faults: Vec::new(),
            version: KubernetesVersion::default(),
            plugins: PluginChoice::default(),
        }
    }
}

impl Builder {
    /// The seed of uids and generated names (default 0): the same seed and the same requests give the same cluster. Keys of
    /// certificates and tokens do not come from it.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = seed;
        self
    }

    /// The clock of timestamps (default: the machine's). It follows tokio's time, so tests can pause and advance it.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Builder {
        self.clock = clock;
        self
    }

    /// The address to listen on (default `127.0.0.1:0`, any free port).
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Builder {
        self.listen = address;
        self
    }

    /// Who decides what users may do (default [`Authorization::Rbac`]). The kubeconfig's user may do everything either way.
    #[must_use]
    pub fn authorization(mut self, authorization: Authorization) -> Builder {
        self.authorization = authorization;
        self
    }

    /// How many events of each resource are kept for watches (default 4096). A watch that falls further behind gets a 410.
    #[must_use]
    pub fn watch_history(mut self, events: usize) -> Builder {
        self.history = events;
        self
    }

    /// A namespace with labels, there from the start.
    #[must_use]
    pub fn namespace<'a>(self, name: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Builder {
        let labels: apimachinery::value::Map =
            labels.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
        self.object(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}))
    }

    /// An object that is created, by the rules of the API, before [`Builder::start`] returns. In order of the calls. A
    /// [`serde_json::Value`] does, too.
    #[must_use]
    pub fn object(mut self, object: impl Into<Value>) -> Builder {
        self.objects.push(object.into());
        self
    }

    /// Objects that are put into the store as they are, past admission: uids, times and statuses stay. What
    /// [`FakeApiserver::export`] gave, or `kubectl get -o yaml` of a real cluster, lists included; what every cluster has
    /// from the start is replaced.
    #[must_use]
    pub fn restore(mut self, objects: impl IntoIterator<Item = impl Into<Value>>) -> Builder {
        self.restored.extend(objects.into_iter().map(Into::into));
        self
    }

    /// Whether controllers run (default: they do): Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs and the like make
    /// pods, what has no owner left is collected, namespaces are emptied.
    #[must_use]
    pub fn controllers(mut self, run: bool) -> Builder {
        self.controllers = run;
        self
    }

    /// So many simulated nodes, `node-1` and on (default none: pods stay pending). Pods are scheduled, their containers start,
    /// become ready and end; nothing is pulled or run. Needs [`Builder::controllers`].
    #[must_use]
    pub fn nodes(mut self, count: u32) -> Builder {
        self.nodes = count;
        self
    }

    /// What stands behind the pods of a namespace that have these labels: their logs and ports are not simulated.
    #[must_use]
    pub fn workload<'a>(
        mut self,
        namespace: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        workload: Arc<dyn crate::Workload>,
    ) -> Builder {
        let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        self.workloads.0.push((namespace.to_owned(), labels, workload));
        self
    }

    /// Something that is to go wrong; of several that concern a call or request the first does. Their clock starts with
    /// the cluster.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Builder {
        self.faults.push(fault);
        self
    }

    /// The version of Kubernetes that is imitated, as far as a webhook can see it (default: 1.36).
    #[must_use]
    pub fn kubernetes_version(mut self, version: KubernetesVersion) -> Builder {
        self.version = version;
        self
    }

    /// Exactly these admission plugins run, and no other (`--admission-plugins`).
    #[must_use]
    pub fn admission_plugins<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Builder {
        self.plugins.exactly = Some(names.into_iter().map(str::to_owned).collect());
        self
    }

    /// Admission plugins that run besides those that are on by default (`--enable-admission-plugins`). The real names are
    /// known; those that are not imitated have no effect.
    #[must_use]
    pub fn enable_admission_plugins<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Builder {
        self.plugins.enable.extend(names.into_iter().map(str::to_owned));
        self
    }

    /// Admission plugins that do not run (`--disable-admission-plugins`).
    #[must_use]
    pub fn disable_admission_plugins<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Builder {
        self.plugins.disable.extend(names.into_iter().map(str::to_owned));
        self
    }

    /// Which requests the audit log has (default: none is audited). The last 1024 events are kept for
    /// [`FakeApiserver::audit`].
    #[must_use]
    pub fn audit_policy(mut self, policy: Policy) -> Builder {
        self.audit_policy = Some(policy);
        self
    }

    /// Where audit events are written besides, one JSON line each, as kube-apiserver's log has them; without a policy it is
    /// [`Policy::everything`]. The writer is called from request handlers and blocks them: a file is fine, a pipe is not.
    #[must_use]
    pub fn audit_log(mut self, writer: impl Write + Send + 'static) -> Builder {
        self.audit_log = Some(Box::new(writer));
        self
    }

    /// Where webhooks' `clientConfig.service` of this name and port is really served; other services are dialled at their
    /// clusterIP.
    #[must_use]
    pub fn resolve_service(mut self, namespace: &str, name: &str, port: u16, address: SocketAddr) -> Builder {
        self.services.insert((namespace.to_owned(), name.to_owned(), port), address);
        self
    }

    /// How webhooks are dialled (default: TCP). With connections in memory nothing waits for the machine, and tokio's paused
    /// clock makes every timeout cost nothing.
    #[must_use]
    pub fn connector(mut self, connector: Arc<dyn Connector>) -> Builder {
        self.connector = Some(connector);
        self
    }

    /// Starts the cluster in the current tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be listened on, or one of the objects is refused.
    pub async fn start(self) -> Result<FakeApiserver, Error> {
        let listener = bind(self.listen).await?;
        let address = listener.local_addr().map_err(|source| Error::Listen { address: self.listen, source })?;
        let chain = self.connector.map_or_else(Chain::default, Chain::with_connector);
        let chain = chain.with_plugins(&self.plugins).map_err(Error::AdmissionPlugins)?;
        let core = Arc::new(Core {
            store: Arc::new(Store::new(self.history)),
            has_controllers: self.controllers,
            nodes: self.nodes,
            workloads: self.workloads,
            registry: Registry::new(self.version),
            random: Random::new(self.seed),
            clock: self.clock,
            authority: Authority::new()?,
            tokens: Tokens::new()?,
            authorization: self.authorization,
            chain,
            services: self.services,
            traces: Log::default(),
            metrics: Metrics::default(),
            memory: Default::default(),
            audit: Audit::new(self.audit_policy, self.audit_log),
            faults: Faults::new(self.faults),
            version: self.version,
            address: OnceLock::from(address),
        });
        bootstrap::fill(&core);
        snapshot::import(&core, self.restored)
            .map_err(|message| Error::Object { object: "the restored cluster".to_owned(), message })?;
        let cluster = serve(core, listener, address)?;
        for object in self.objects {
            cluster.create(object).await?;
        }
        Ok(cluster)
    }
}

fn serve(core: Shared, listener: TcpListener, address: SocketAddr) -> Result<FakeApiserver, Error> {
    let credential = core.authority.issue(ADMIN.0, ADMIN.1)?;
    let tls = Arc::new(core.authority.server_config(address.ip())?);
    let url = format!("https://{address}");
    let kubeconfig = kubeconfig::render(&url, &core.authority.pem(), ADMIN.0, &credential);
    let identity = Identity {
        user: ADMIN.0.to_owned(),
        groups: ADMIN.1.iter().map(|&group| group.to_owned()).collect(),
        fingerprint: credential.fingerprint,
    };
    let admin = Peer { identity: Some(Arc::new(identity)), address: None };
    let listener = Listener::start(listener, tls, core.clone(), admin.clone());
    let controllers = core.has_controllers.then(|| controllers::start(&core));
    Ok(FakeApiserver { core, address, kubeconfig, admin, listener, _controllers: controllers })
}

/// An answer to a request made in the process.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Headers in order.
    pub headers: http::HeaderMap,
    /// The body; JSON unless something else was asked for.
    pub body: Bytes,
    /// What admission did; none for reads, and for what was refused before.
    pub admission: Option<crate::trace::Request>,
}

impl Response {
    /// The body as JSON, `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl FakeApiserver {
    /// A cluster with nothing in it but what every cluster has; the builder's defaults suit a test.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A kubeconfig for the user `admin` of the group `system:masters` (a client certificate). It is JSON, and so YAML.
    pub fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// A way for clients in this process, without a socket or TLS, as `admin`: `kube::Client::new(cluster.service(), "default")`.
    pub fn service(&self) -> Service {
        Service::new(self.listener.door())
    }

    /// The certificate of the cluster's authority, PEM.
    pub fn ca_pem(&self) -> String {
        self.core.authority.pem()
    }

    /// The whole cluster as one `v1` List: every stored object, for [`Builder::restore`].
    pub fn export(&self) -> Value {
        snapshot::list(snapshot::export(&self.core))
    }

    /// Changes with every write to the store.
    pub fn revision(&self) -> u64 {
        self.core.store.revision()
    }

    /// The last 256 requests that went through admission, with every webhook that was considered.
    pub fn trace(&self) -> Requests {
        self.core.traces.requests()
    }

    /// The last 1024 audit events (`audit.k8s.io/v1`), oldest first; none unless [`Builder::audit_policy`] or
    /// [`Builder::audit_log`] was given. A request's event is there once its answer is complete.
    pub fn audit(&self) -> Vec<Value> {
        self.core.audit.events()
    }

    /// What `/metrics` says: the apiserver's metrics by their real names, in Prometheus' text format. Families without a
    /// sample are left out.
    pub fn metrics(&self) -> String {
        crate::discovery::metrics(&self.core)
    }

    /// A request as `admin`, in the process: the same way through the server without a connection. `path` may have a query; a
    /// body is sent as JSON. Watches do not end by themselves: give them `timeoutSeconds`.
    pub async fn request(&self, method: http::Method, path: &str, body: Option<&Value>) -> Response {
        let content_type = match (&method, body) {
            (&http::Method::PATCH, _) => "application/merge-patch+json",
            _ => "application/json",
        };
        self.send(method, path, content_type, body.map_or_else(Bytes::new, |body| body.to_string().into())).await
    }

    /// The same with a body of any kind.
    pub async fn send(&self, method: http::Method, path: &str, content_type: &str, body: Bytes) -> Response {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .header("user-agent", "fake-apiserver")
            .body(body);
        let Ok(request) = request else {
            let message = format!("{path:?} is no path");
            return Response { status: 400, headers: http::HeaderMap::new(), body: message.into(), admission: None };
        };
        self.exchange(request).await
    }

    /// The same with any headers; `Impersonate-*` makes it another user's request.
    pub async fn exchange(&self, request: Request<impl Into<Bytes>>) -> Response {
        self.answer(&self.admin, request.map(Into::into)).await
    }

    /// The same without `admin`'s certificate: the request comes from whom its own headers name, `Authorization` with a
    /// service account's token, or else from `system:anonymous`.
    pub async fn exchange_without_certificate(&self, request: Request<impl Into<Bytes>>) -> Response {
        self.answer(&Peer::default(), request.map(Into::into)).await
    }

    async fn answer(&self, peer: &Peer, request: Request<Bytes>) -> Response {
        let request = request.map(Full::new);
        // Boxed, so that callers' futures stay small.
        let handling: Pin<Box<dyn Future<Output = _> + Send + '_>> = Box::pin(handle(&self.core, peer, request));
        let (answer, admission) = followed(handling).await;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Response { status: parts.status.as_u16(), headers: parts.headers, body, admission }
    }

    /// Creates an object (which says its `apiVersion` and `kind`; a [`serde_json::Value`] does, too) and gives it back as
    /// stored. Where an older version of
    /// Kubernetes is imitated that does not serve the `apiVersion`, it is created in the one that it serves.
    ///
    /// # Errors
    /// When the API refuses it, with the API's message.
    pub async fn create(&self, object: impl Into<Value>) -> Result<Value, Error> {
        let object = object.into();
        let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let named = format!("{kind} {}", text(&object["metadata"]["name"]));
        let refused = |message: String| Error::Object { object: named.clone(), message };
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kinds = self.core.registry.kinds();
        let mut sent = object.clone();
        let resource = kinds.find_kind(group, version, kind).or_else(|| {
            // An older version of Kubernetes serves some of today's kinds in its own versions only.
            let older = kinds.all().find(|served| served.storage.is(group, version, kind))?;
            sent["apiVersion"] = older.gvk.api_version().into();
            Some(older.clone())
        });
        let Some(resource) = resource else {
            return Err(refused(format!("no kind {kind:?} in {api_version:?} is served")));
        };
        let path = internal::collection_path(&resource, text(&object["metadata"]["namespace"]));
        let response = self.request(http::Method::POST, &path, Some(&sent)).await;
        let answer = response.json();
        if response.status < 300 { Ok(answer) } else { Err(refused(text(&answer["message"]).to_owned())) }
    }

    /// The user of in-process requests.
    pub fn admin(&self) -> UserInfo {
        crate::http::local_user(ADMIN.0, ADMIN.1)
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
