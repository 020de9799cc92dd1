//! The mesh configuration of Istio 1.0 to 1.8: fields and built-in defaults.

use apimachinery::value::{Value, json};

use super::Generation;
use crate::mesh::shape::{Field, Kind, Message};
use crate::mesh::{canonical, lay_over};

const fn f(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

use Kind::{Bool, Duration, Enum, Int, List, Messages, Open, String, Strings};

/// `mesh.v1alpha1.ProxyConfig` of these releases.
pub(crate) static PROXY_CONFIG: Message = Message { name: "ProxyConfig", fields: &PROXY_FIELDS };

/// The same with `concurrency` in a wrapper, as templates from 1.5 on expect it.
pub(crate) static PROXY_CONFIG_WRAPPED: Message = Message { name: "ProxyConfig", fields: &PROXY_FIELDS_WRAPPED };

static PROXY_FIELDS: [Field; 27] = proxy_fields(Int);
static PROXY_FIELDS_WRAPPED: [Field; 27] = proxy_fields(Kind::Wrapper);

const fn proxy_fields(concurrency: Kind) -> [Field; 27] {
    [
        f("configPath", String),
        f("binaryPath", String),
        f("serviceCluster", String),
        f("drainDuration", Duration),
        f("parentShutdownDuration", Duration),
        f("terminationDrainDuration", Duration),
        f("discoveryAddress", String),
        f("discoveryRefreshDelay", Duration),
        f("zipkinAddress", String),
        f("connectTimeout", Duration),
        f("statsdUdpAddress", String),
        f("envoyMetricsServiceAddress", String),
        f("proxyAdminPort", Int),
        f("availabilityZone", String),
        f("controlPlaneAuthPolicy", Enum("NONE")),
        f("customConfigFile", String),
        f("statNameLength", Int),
        f("concurrency", concurrency),
        f("proxyBootstrapTemplatePath", String),
        f("interceptionMode", Enum("REDIRECT")),
        f("tracing", Kind::Message(&TRACING)),
        f("envoyAccessLogService", Kind::Message(&REMOTE_SERVICE)),
        f("envoyMetricsService", Kind::Message(&REMOTE_SERVICE)),
        f("proxyMetadata", Strings),
        f("statusPort", Int),
        f("extraStatTags", List),
        f("gatewayTopology", Open),
    ]
}

static TRACING: Message = Message {
    name: "Tracing",
    fields: &[
        f("zipkin", Kind::Message(&TRACER)),
        f("lightstep", Kind::Message(&TRACER)),
        f("datadog", Kind::Message(&TRACER)),
        f("stackdriver", Open),
        f("tlsSettings", Kind::Message(&TLS)),
        f("customTags", Open),
        f("maxPathTagLength", Int),
        f("sampling", Kind::Number),
    ],
};

/// The tracers' settings; those that a tracer does not have stay empty.
static TRACER: Message = Message {
    name: "Tracing",
    fields: &[f("address", String), f("accessToken", String), f("secure", Bool), f("cacertPath", String)],
};

static REMOTE_SERVICE: Message = Message {
    name: "RemoteService",
    fields: &[f("address", String), f("tlsSettings", Kind::Message(&TLS)), f("tcpKeepalive", Open)],
};

static TLS: Message = Message {
    name: "TLSSettings",
    fields: &[
        f("mode", Enum("DISABLE")),
        f("clientCertificate", String),
        f("privateKey", String),
        f("caCertificates", String),
        f("credentialName", String),
        f("sni", String),
        f("subjectAltNames", List),
    ],
};

/// `mesh.v1alpha1.MeshConfig` of these releases.
pub(crate) static MESH_CONFIG: Message = Message {
    name: "MeshConfig",
    fields: &[
        f("mixerCheckServer", String),
        f("mixerReportServer", String),
        f("disablePolicyChecks", Bool),
        f("disableMixerHttpReports", Bool),
        f("policyCheckFailOpen", Bool),
        f("sidecarToTelemetrySessionAffinity", Bool),
        f("proxyListenPort", Int),
        f("proxyHttpPort", Int),
        f("proxyInboundListenPort", Int),
        f("connectTimeout", Duration),
        f("protocolDetectionTimeout", Duration),
        f("tcpKeepalive", Open),
        f("ingressClass", String),
        f("ingressService", String),
        f("ingressSelector", String),
        f("ingressControllerMode", Enum("UNSPECIFIED")),
        f("authPolicy", Enum("NONE")),
        f("rdsRefreshDelay", Duration),
        f("sdsRefreshDelay", Duration),
        f("sdsUdsPath", String),
        f("enableSdsTokenMount", Bool),
        f("sdsUseK8sSaJwt", Bool),
        f("enableTracing", Bool),
        f("accessLogFile", String),
        f("accessLogFormat", String),
        f("accessLogEncoding", Enum("TEXT")),
        f("enableEnvoyAccessLogService", Bool),
        f("defaultConfig", Kind::Message(&PROXY_CONFIG)),
        f("mixerAddress", String),
        f("outboundTrafficPolicy", Kind::Message(&OUTBOUND)),
        f("enableClientSidePolicyCheck", Bool),
        f("configSources", Messages),
        f("enableAutoMtls", Kind::Wrapper),
        f("trustDomain", String),
        f("trustDomainAliases", List),
        f("defaultServiceExportTo", List),
        f("defaultVirtualServiceExportTo", List),
        f("defaultDestinationRuleExportTo", List),
        f("rootNamespace", String),
        f("localityLbSetting", Open),
        f("dnsRefreshRate", Duration),
        f("disableReportBatch", Bool),
        f("reportBatchMaxEntries", Int),
        f("reportBatchMaxTime", Duration),
        f("h2UpgradePolicy", Enum("DO_NOT_UPGRADE")),
        f("inboundClusterStatName", String),
        f("outboundClusterStatName", String),
        f("certificates", Messages),
        f("thriftConfig", Open),
        f("serviceSettings", Messages),
        f("enablePrometheusMerge", Kind::Wrapper),
    ],
};

static OUTBOUND: Message = Message { name: "OutboundTrafficPolicy", fields: &[f("mode", Enum("REGISTRY_ONLY"))] };

/// The mesh configuration that an empty one stands for.
fn defaults(generation: Generation) -> Value {
    match generation {
        Generation::V1_0 => json!({
            "proxyListenPort": 15001, "connectTimeout": "1s", "ingressClass": "istio", "ingressControllerMode": "STRICT",
            "rdsRefreshDelay": "1s", "sdsRefreshDelay": "15s", "enableTracing": true, "accessLogFile": "/dev/stdout",
            "defaultConfig": {
                "configPath": "/etc/istio/proxy", "binaryPath": "/usr/local/bin/envoy", "serviceCluster": "istio-proxy",
                "drainDuration": "2s", "parentShutdownDuration": "3s", "discoveryAddress": "istio-pilot:15007",
                "discoveryRefreshDelay": "1s", "connectTimeout": "1s", "proxyAdminPort": 15000,
            },
        }),
        Generation::V1_1 | Generation::V1_2 => json!({
            "proxyListenPort": 15001, "connectTimeout": "1s", "ingressService": "istio-ingressgateway", "enableTracing": true,
            "accessLogFile": "/dev/stdout", "disablePolicyChecks": true, "outboundTrafficPolicy": {"mode": "ALLOW_ANY"},
            "defaultServiceExportTo": ["*"], "defaultVirtualServiceExportTo": ["*"], "defaultDestinationRuleExportTo": ["*"],
            "rootNamespace": "istio-system", "dnsRefreshRate": "5s",
            "defaultConfig": {
                "configPath": "/etc/istio/proxy", "binaryPath": "/usr/local/bin/envoy", "serviceCluster": "istio-proxy",
                "drainDuration": "45s", "parentShutdownDuration": "60s", "discoveryAddress": "istio-pilot:15010",
                "connectTimeout": "1s", "proxyAdminPort": 15000, "statNameLength": 189,
            },
        }),
    }
}

/// The user's mesh configuration over the defaults of its time.
pub(crate) fn effective(user: &Value, generation: Generation) -> Result<Value, std::string::String> {
    let mut mesh = defaults(generation);
    let user = canonical(user, &MESH_CONFIG)?;
    if let (Some(base), Value::Object(user)) = (mesh.as_object_mut(), user) {
        for (key, value) in user {
            match base.get_mut(&key) {
                Some(config) if key == "defaultConfig" => lay_over(config, value),
                _ => {
                    base.insert(key, value);
                }
            }
        }
    }
    Ok(mesh)
}

/// Fields that only the mesh configuration of 1.1 and later has.
pub(crate) fn is_after_1_0(user: &Value) -> bool {
    const MESH: [&str; 6] = [
        "rootNamespace",
        "dnsRefreshRate",
        "defaultServiceExportTo",
        "defaultVirtualServiceExportTo",
        "defaultDestinationRuleExportTo",
        "localityLbSetting",
    ];
    const PROXY: [&str; 3] = ["tracing", "envoyMetricsService", "envoyAccessLogService"];
    MESH.iter().any(|key| user.get(*key).is_some()) || PROXY.iter().any(|key| user["defaultConfig"].get(*key).is_some())
}
