//! What happens to the pod after the templates: environment, metrics, probes, labels and annotations, order.

pub(crate) mod metrics;
pub(crate) mod order;
pub(crate) mod probes;

use apimachinery::value::{Map, Value};

use crate::engine::Error;
use crate::pod;
use crate::status;

/// What the steps need to know beside the pod.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    /// The mesh configuration.
    pub(crate) mesh: &'a Value,
    /// The values.
    pub(crate) values: &'a Value,
    /// The pod's effective ProxyConfig.
    pub(crate) proxy_config: &'a Value,
    /// Variables for the proxy from the URL, sorted by name.
    pub(crate) environment: &'a [(String, String)],
    /// The pod's network, if known.
    pub(crate) network: Option<&'a str>,
    /// The revision for the status annotation.
    pub(crate) revision: &'a str,
    /// Annotations that the configuration puts on every pod.
    pub(crate) injected_annotations: &'a Map,
    /// Whether the pod had been injected before.
    pub(crate) again: bool,
}

/// Runs all steps in Istio's order. `template_pod` is what the templates alone make.
pub(crate) fn run(
    target: &mut Value,
    template_pod: &Value,
    settings: &Settings<'_>,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    environment(target, settings.environment);
    metrics::merge(target, settings.mesh, warnings)?;
    metrics::secure_port(target);
    probes::rewrite(target, settings, warnings);
    if let Some(network) = settings.network
        && let Some(labels) = pod::strings_mut(target, "labels")
    {
        labels.insert("topology.istio.io/network".to_owned(), network.into());
    }
    if let Some(annotations) = pod::strings_mut(target, "annotations") {
        annotations.insert(status::STATUS.to_owned(), status::annotation(template_pod, settings.revision).into());
        annotations.extend(settings.injected_annotations.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    order::arrange(target, hold_application(settings));
    Ok(())
}

/// Puts the URL's variables at the end of the proxy's environment.
fn environment(target: &mut Value, variables: &[(String, String)]) {
    if variables.is_empty() {
        return;
    }
    let Some(env) = pod::proxy_mut(target).and_then(pod::env_mut) else { return };
    env.retain(|e| !variables.iter().any(|(k, _)| k == pod::name(e)));
    env.extend(variables.iter().map(|(k, v)| apimachinery::value::json!({ "name": k, "value": v })));
}

fn hold_application(settings: &Settings<'_>) -> bool {
    let set = |v: Option<&Value>| v.and_then(Value::as_bool).unwrap_or(false);
    set(settings.proxy_config.get("holdApplicationUntilProxyStarts"))
        || set(settings.values.pointer("/global/proxy/holdApplicationUntilProxyStarts"))
}

/// The port of the agent's status server.
pub(crate) fn status_port(mesh: &Value) -> i64 {
    mesh.pointer("/defaultConfig/statusPort").and_then(Value::as_i64).unwrap_or(15020)
}
