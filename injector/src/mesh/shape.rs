//! The fields of Istio's `MeshConfig` and `ProxyConfig` messages, by their protobuf JSON names.

/// A message's name and fields.
#[derive(Debug)]
pub struct Message {
    /// The message's name, for error texts.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// One field of a message.
#[derive(Debug)]
pub struct Field {
    /// JSON name (lower camel case).
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A string.
    String,
    /// A boolean.
    Bool,
    /// An integer.
    Int,
    /// A floating-point number.
    Number,
    /// An enumeration, with the name of its zero value.
    Enum(&'static str),
    /// A duration, `45s` in JSON.
    Duration,
    /// A wrapper message, its bare value in JSON.
    Wrapper,
    /// A message that is tabled here.
    Message(&'static Message),
    /// A message that is not.
    Open,
    /// A map of strings.
    Strings,
    /// A list of plain values.
    List,
    /// A list of messages.
    Messages,
}

const fn f(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

use Kind::{Bool, Duration, Enum, Int, List, Messages, Number, Open, String, Strings, Wrapper};

/// `mesh.v1alpha1.ProxyConfig`.
pub static PROXY_CONFIG: Message = Message {
    name: "ProxyConfig",
    fields: &[
        f("configPath", String),
        f("binaryPath", String),
        f("serviceCluster", String),
        f("tracingServiceName", Enum("APP_LABEL_AND_NAMESPACE")),
        f("drainDuration", Duration),
        f("discoveryAddress", String),
        f("zipkinAddress", String),
        f("statsdUdpAddress", String),
        f("proxyAdminPort", Int),
        f("controlPlaneAuthPolicy", Enum("NONE")),
        f("customConfigFile", String),
        f("statNameLength", Int),
        f("concurrency", Wrapper),
        f("proxyBootstrapTemplatePath", String),
        f("interceptionMode", Enum("REDIRECT")),
        f("tracing", Kind::Message(&TRACING)),
        f("envoyAccessLogService", Kind::Message(&REMOTE_SERVICE)),
        f("envoyMetricsService", Kind::Message(&REMOTE_SERVICE)),
        f("proxyMetadata", Strings),
        f("runtimeValues", Strings),
        f("statusPort", Int),
        f("extraStatTags", List),
        f("gatewayTopology", Open),
        f("terminationDrainDuration", Duration),
        f("meshId", String),
        f("readinessProbe", Open),
        f("proxyStatsMatcher", Open),
        f("holdApplicationUntilProxyStarts", Wrapper),
        f("caCertificatesPem", List),
        f("image", Kind::Message(&PROXY_IMAGE)),
        f("privateKeyProvider", Open),
        f("proxyHeaders", Open),
        f("fileFlushInterval", Duration),
        f("fileFlushMinSizeKb", Int),
        f("statsCompression", Wrapper),
        f("statsEvictionInterval", Duration),
    ],
};

static PROXY_IMAGE: Message = Message { name: "ProxyImage", fields: &[f("imageType", String)] };

static REMOTE_SERVICE: Message = Message {
    name: "RemoteService",
    fields: &[f("address", String), f("tlsSettings", Kind::Message(&TLS_SETTINGS)), f("tcpKeepalive", Open)],
};

static TRACING: Message = Message {
    name: "Tracing",
    fields: &[
        f("zipkin", Kind::Message(&ADDRESS)),
        f("lightstep", Kind::Message(&LIGHTSTEP)),
        f("datadog", Kind::Message(&ADDRESS)),
        f("stackdriver", Open),
        f("openCensusAgent", Open),
        f("customTags", Open),
        f("maxPathTagLength", Int),
        f("sampling", Number),
        f("tlsSettings", Kind::Message(&TLS_SETTINGS)),
        f("enableIstioTags", Wrapper),
    ],
};

static ADDRESS: Message = Message { name: "Tracer", fields: &[f("address", String)] };

static LIGHTSTEP: Message = Message {
    name: "Lightstep",
    fields: &[f("address", String), f("accessToken", String), f("secure", Bool), f("cacertPath", String)],
};

static TLS_SETTINGS: Message = Message {
    name: "ClientTLSSettings",
    fields: &[
        f("mode", Enum("DISABLE")),
        f("clientCertificate", String),
        f("privateKey", String),
        f("caCertificates", String),
        f("credentialName", String),
        f("subjectAltNames", List),
        f("sni", String),
        f("insecureSkipVerify", Wrapper),
        f("caCrl", String),
    ],
};

/// `mesh.v1alpha1.MeshConfig`.
pub static MESH_CONFIG: Message = Message {
    name: "MeshConfig",
    fields: &[
        f("proxyListenPort", Int),
        f("proxyInboundListenPort", Int),
        f("proxyHttpPort", Int),
        f("connectTimeout", Duration),
        f("hboneIdleTimeout", Duration),
        f("tcpKeepalive", Open),
        f("ingressClass", String),
        f("ingressService", String),
        f("ingressControllerMode", Enum("UNSPECIFIED")),
        f("ingressSelector", String),
        f("enableTracing", Bool),
        f("accessLogFile", String),
        f("accessLogFormat", String),
        f("accessLogEncoding", Enum("TEXT")),
        f("enableEnvoyAccessLogService", Bool),
        f("disableEnvoyListenerLog", Bool),
        f("defaultConfig", Kind::Message(&PROXY_CONFIG)),
        f("outboundTrafficPolicy", Open),
        f("inboundTrafficPolicy", Open),
        f("configSources", Messages),
        f("enableAutoMtls", Wrapper),
        f("trustDomain", String),
        f("trustDomainAliases", List),
        f("caCertificates", Messages),
        f("defaultServiceExportTo", List),
        f("defaultVirtualServiceExportTo", List),
        f("defaultDestinationRuleExportTo", List),
        f("rootNamespace", String),
        f("localityLbSetting", Open),
        f("dnsRefreshRate", Duration),
        f("h2UpgradePolicy", Enum("DO_NOT_UPGRADE")),
        f("inboundClusterStatName", String),
        f("outboundClusterStatName", String),
        f("certificates", Messages),
        f("serviceSettings", Messages),
        f("enablePrometheusMerge", Wrapper),
        f("verifyCertificateAtClient", Wrapper),
        f("ca", Open),
        f("extensionProviders", Messages),
        f("defaultProviders", Open),
        f("discoverySelectors", Messages),
        f("pathNormalization", Open),
        f("defaultHttpRetryPolicy", Open),
        f("meshMTLS", Open),
        f("tlsDefaults", Open),
        f("serviceScopeConfigs", Messages),
    ],
};
