//! Istio's `otelResourceAttributes`.

use super::istio::text_of;
use super::{Context, any, list, map, string};
use crate::value::Value;

/// OpenTelemetry resource attributes of a pod, if a provider of the mesh configuration asks for the semantic conventions.
///
/// Each attribute can be given by an annotation `resource.opentelemetry.io/<attribute>`; the version falls back to the
/// label `app.kubernetes.io/version`, then to the tag or digest of the only container's image.
pub(super) fn resource_attributes<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Result<Value<'a>, String> {
    if !asked_for(&any(a, 0))? {
        return Ok(Value::text(""));
    }
    let (annotations, labels, containers) = (map(a, 1)?, map(a, 2)?, list(a, 4)?);
    let namespace = match any(a, 3) {
        Value::String(s) if s.is_empty() => "default".to_owned(),
        _ => string(a, 3)?.to_owned(),
    };
    let annotated =
        |attribute: &str| annotations.get(&format!("resource.opentelemetry.io/{attribute}")).and_then(text_of);
    let mut only = containers.iter();
    let only = only.next().filter(|_| only.next().is_none());
    let image_version = || {
        let image = only?.field("Image").ok()?;
        image.as_str().and_then(version_of).map(str::to_owned)
    };
    let version = annotated("service.version")
        .or_else(|| labels.get("app.kubernetes.io/version").and_then(text_of))
        .or_else(image_version);
    let instance = annotated("service.instance.id").or_else(|| {
        let name = only?.field("Name").ok()?;
        Some(format!("{namespace}.$(POD_NAME).{}", name.as_str()?))
    });
    let namespace = annotated("service.namespace").unwrap_or(namespace);
    let attributes =
        [("service.namespace", Some(namespace)), ("service.version", version), ("service.instance.id", instance)];
    let pairs: Vec<String> = attributes.into_iter().filter_map(|(k, v)| Some(format!("{k}={}", v?))).collect();
    Ok(Value::owned(pairs.join(",")))
}

fn asked_for(mesh: &Value<'_>) -> Result<bool, String> {
    for (_, provider) in mesh.field("ExtensionProviders")?.items()? {
        let wanted = provider.field("Opentelemetry")?;
        if let Value::Struct(Some(json), _) = wanted
            && json.get("serviceAttributeEnrichment").and_then(|v| v.as_str()) == Some("OTEL_SEMANTIC_CONVENTIONS")
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An image's tag, or else its digest.
fn version_of(image: &str) -> Option<&str> {
    let (name, digest) = image.split_once('@').map_or((image, None), |(n, d)| (n, Some(d)));
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split_once(':').map(|(_, tag)| tag).or(digest)
}
