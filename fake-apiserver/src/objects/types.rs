//! How the apiserver's own types write the fields that the schema knows: which are always there, which are left out when zero.
//!
//! OpenAPI does not say which optional fields are pointers (a pointer to zero is kept, a plain zero is left out) nor which times
//! are written as null; the lists below do.

use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use apimachinery::schema;
use apimachinery::schema::Kind;
use apimachinery::value::Value;

use super::Target;

/// A type of the API with the habits of the apiserver's type.
#[derive(Debug)]
pub(crate) struct Type {
    /// What the schema says.
    pub(crate) schema: &'static schema::Type,
    /// The name as error texts use it: `PodSpec`.
    pub(crate) name: &'static str,
    /// Sorted by the length of the name, then by the name: most are told apart by their length.
    fields: Vec<Field>,
    always: Vec<usize>,
    zero: OnceLock<Value>,
}

/// A field of a type.
#[derive(Debug)]
pub(crate) struct Field {
    /// What the schema says.
    pub(crate) schema: &'static schema::Field,
    /// Written even when it is zero: `""`, `0`, `null`, `{}`.
    pub(crate) always: bool,
    /// Left out when it is zero (it is no pointer).
    pub(crate) plain: bool,
    /// Name of a string type in error texts.
    named: Option<&'static str>,
    /// The type of the objects that the field holds: itself, its elements, its values.
    inner: OnceLock<&'static Type>,
}

/// Optional integers and booleans that are no pointers, unless `KEPT` names them. Sorted.
const PLAIN: [&str; 50] = [
    "active",
    "authenticated",
    "availableReplicas",
    "chapAuthDiscovery",
    "chapAuthSession",
    "clusterScope",
    "code",
    "count",
    "currentReplicas",
    "denied",
    "deprecated",
    "deprecatedCount",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "failed",
    "failureThreshold",
    "fullyLabeledReplicas",
    "generation",
    "globalDefault",
    "healthCheckNodePort",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostPort",
    "initialDelaySeconds",
    "insecureSkipTLSVerify",
    "minReadySeconds",
    "nodePort",
    "nullable",
    "number",
    "numberAvailable",
    "numberUnavailable",
    "observedGeneration",
    "partition",
    "paused",
    "periodSeconds",
    "preserveUnknownFields",
    "priority",
    "publishNotReadyAddresses",
    "readOnly",
    "readyReplicas",
    "replicas",
    "retryAfterSeconds",
    "signal",
    "sizeBytes",
    "sslEnabled",
    "stdin",
    "stdinOnce",
    "succeeded",
    "successThreshold",
];
/// The rest of `PLAIN`. Sorted.
const PLAIN_TOO: [&str; 9] = [
    "timeoutSeconds",
    "tty",
    "unavailableReplicas",
    "uniqueItems",
    "unschedulable",
    "updatedNumberScheduled",
    "updatedReplicas",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
];
/// Pointers all the same.
const KEPT: [(&str, &str); 11] = [
    ("HorizontalPodAutoscalerStatus", "observedGeneration"),
    ("DeploymentSpec", "replicas"),
    ("ReplicaSetSpec", "replicas"),
    ("StatefulSetSpec", "replicas"),
    ("ReplicationControllerSpec", "replicas"),
    ("RollingUpdateStatefulSetStrategy", "partition"),
    ("VolumeNodeResources", "count"),
    ("MutatingWebhook", "timeoutSeconds"),
    ("ValidatingWebhook", "timeoutSeconds"),
    ("ClientIPConfig", "timeoutSeconds"),
    ("PodSpec", "priority"),
];
/// Optional strings that are pointers: an empty one is kept.
const POINTERS: [(&str, &[&str]); 42] = [
    ("AppArmorProfile", &["localhostProfile"]),
    ("ClusterTrustBundleProjection", &["name", "signerName"]),
    ("Container", &["restartPolicy"]),
    ("CronJobSpec", &["timeZone"]),
    ("CustomResourceDefinitionVersion", &["deprecationWarning"]),
    ("Endpoint", &["hostname", "nodeName", "zone"]),
    ("EndpointPort", &["appProtocol", "name", "protocol"]),
    ("EphemeralContainer", &["restartPolicy"]),
    ("GRPCAction", &["service"]),
    ("HTTPIngressPath", &["pathType"]),
    ("HostPathVolumeSource", &["type"]),
    ("IngressSpec", &["ingressClassName"]),
    ("JobSpec", &["completionMode", "managedBy", "podReplacementPolicy"]),
    ("LeaseSpec", &["holderIdentity", "preferredHolder", "strategy"]),
    ("MutatingWebhook", &["failurePolicy", "matchPolicy", "reinvocationPolicy", "sideEffects"]),
    ("NamedRuleWithOperations", &["scope"]),
    ("NetworkPolicyPort", &["protocol"]),
    ("PersistentVolumeClaimSpec", &["storageClassName", "volumeAttributesClassName", "volumeMode"]),
    ("PersistentVolumeSpec", &["volumeAttributesClassName", "volumeMode"]),
    ("PodDNSConfigOption", &["value"]),
    ("PodDisruptionBudgetSpec", &["unhealthyPodEvictionPolicy"]),
    ("PodResourceClaim", &["resourceClaimName", "resourceClaimTemplateName"]),
    ("PodSecurityContext", &["fsGroupChangePolicy", "seLinuxChangePolicy", "supplementalGroupsPolicy"]),
    ("PodSpec", &["hostnameOverride", "preemptionPolicy", "runtimeClassName"]),
    ("RuleWithOperations", &["scope"]),
    ("SeccompProfile", &["localhostProfile"]),
    ("SecurityContext", &["procMount"]),
    ("ServicePort", &["appProtocol"]),
    ("ServiceReference", &["path"]),
    ("ServiceSpec", &["internalTrafficPolicy", "ipFamilyPolicy", "loadBalancerClass"]),
    ("StorageClass", &["reclaimPolicy", "volumeBindingMode"]),
    ("TopologySpreadConstraint", &["nodeAffinityPolicy", "nodeTaintsPolicy"]),
    ("TypedLocalObjectReference", &["apiGroup"]),
    ("TypedObjectReference", &["apiGroup", "namespace"]),
    ("ValidatingWebhook", &["failurePolicy", "matchPolicy", "sideEffects"]),
    ("VolumeMount", &["mountPropagation", "recursiveReadOnly"]),
    ("WebhookClientConfig", &["url"]),
    ("WindowsSecurityContextOptions", &["gmsaCredentialSpec", "gmsaCredentialSpecName", "runAsUserName"]),
    ("FileKeySelector", &[]),
    ("ParamRef", &[]),
    ("MatchResources", &["matchPolicy"]),
    ("ValidatingAdmissionPolicySpec", &["failurePolicy"]),
];
/// Times that are no pointers: null when unset.
const NULL_TIMES: [&str; 14] = [
    "lastProbeTime",
    "lastTransitionTime",
    "lastHeartbeatTime",
    "startedAt",
    "finishedAt",
    "firstTimestamp",
    "lastTimestamp",
    "eventTime",
    "lastObservedTime",
    "deprecatedFirstTimestamp",
    "deprecatedLastTimestamp",
    "lastUpdateTime",
    "expirationTimestamp",
    "lastTimestamp",
];
/// Lists that the API reference calls optional and that are null when unset.
const NULL_LISTS: [(&str, &str); 6] = [
    ("EndpointSlice", "endpoints"),
    ("EndpointSlice", "ports"),
    ("Role", "rules"),
    ("ClusterRole", "rules"),
    ("HorizontalPodAutoscalerStatus", "currentMetrics"),
    ("CustomResourceDefinitionStatus", "conditions"),
];
/// Pointers to structs that are null when unset.
const NULL_STRUCTS: [(&str, &str); 1] = [("TokenRequestSpec", "boundObjectRef")];
/// Optional scalars with a zero default that are left out all the same.
const OMITTED: [&str; 6] = ["name", "readOnly", "optional", "service", "replicas", "minReadySeconds"];

fn is_zero(value: &Value) -> bool {
    matches!(value, Value::Bool(false)) || value.as_i64() == Some(0) || value.as_str() == Some("")
}

/// The apiserver's names of string types, by field: they appear in decoding errors.
const NAMED: [(&str, &str, &str); 14] = [
    ("Container", "imagePullPolicy", "v1.PullPolicy"),
    ("Container", "terminationMessagePolicy", "v1.TerminationMessagePolicy"),
    ("PodSpec", "restartPolicy", "v1.RestartPolicy"),
    ("PodSpec", "dnsPolicy", "v1.DNSPolicy"),
    ("ContainerPort", "protocol", "v1.Protocol"),
    ("ServicePort", "protocol", "v1.Protocol"),
    ("ServiceSpec", "type", "v1.ServiceType"),
    ("Toleration", "operator", "v1.TolerationOperator"),
    ("Toleration", "effect", "v1.TaintEffect"),
    ("ObjectMeta", "uid", "types.UID"),
    ("OwnerReference", "uid", "types.UID"),
    ("Secret", "type", "v1.SecretType"),
    ("HTTPGetAction", "scheme", "v1.URIScheme"),
    ("RuleWithOperations", "scope", "v1.ScopeType"),
];

/// The type of a kind; `None` for custom resources and unknown kinds.
pub(crate) fn lookup(target: Target<'_>) -> Option<&'static Type> {
    schema::lookup(target.group, target.version, target.kind).map(of)
}

/// The habits of a type of the schema; worked out once.
pub(crate) fn of(schema: &'static schema::Type) -> &'static Type {
    static TYPES: OnceLock<RwLock<HashMap<&'static str, &'static Type>>> = OnceLock::new();
    let types = TYPES.get_or_init(RwLock::default);
    if let Some(known) = types.read().unwrap_or_else(PoisonError::into_inner).get(schema.name()) {
        return known;
    }
    let mut types = types.write().unwrap_or_else(PoisonError::into_inner);
    types.entry(schema.name()).or_insert_with(|| Box::leak(Box::new(Type::new(schema))))
}

impl Type {
    fn new(schema: &'static schema::Type) -> Type {
        let name = schema.short_name();
        let mut fields: Vec<Field> = schema.fields().iter().map(|field| Field::new(name, field)).collect();
        fields.sort_by_key(|field| (field.schema.name.len(), field.schema.name));
        let always = fields.iter().enumerate().filter(|(_, field)| field.always).map(|(index, _)| index).collect();
        Type { schema, name, fields, always, zero: OnceLock::new() }
    }

    /// The field of that name; case matters.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        let order = |field: &Field| field.schema.name.len().cmp(&name.len()).then_with(|| field.schema.name.cmp(name));
        self.fields.binary_search_by(order).ok().map(|index| &self.fields[index])
    }

    /// The object of this type in which nothing is set, made once.
    pub(crate) fn zero(&self, make: impl FnOnce() -> Value) -> &Value {
        self.zero.get_or_init(make)
    }

    /// The fields that are written even when zero.
    pub(crate) fn always(&self) -> impl Iterator<Item = &Field> {
        self.always.iter().map(|index| &self.fields[*index])
    }
}

impl Field {
    fn new(ty: &str, schema: &'static schema::Field) -> Field {
        let name = schema.name;
        let zero = schema.default.as_ref().is_some_and(is_zero);
        let always = match &schema.kind {
            Kind::Object(_) => {
                schema.default.as_ref().is_some_and(Value::is_object) || NULL_STRUCTS.contains(&(ty, name))
            }
            Kind::Time | Kind::MicroTime => NULL_TIMES.contains(&name) && ty != "PodCertificateRequestStatus",
            Kind::Quantity => schema.required || name == "divisor",
            Kind::List(_) | Kind::Map(_) => {
                (schema.required && name != "validationActions") || NULL_LISTS.contains(&(ty, name))
            }
            Kind::IntOrString | Kind::Any | Kind::Bytes => schema.required,
            _ => zero && (schema.required || !OMITTED.contains(&name)),
        };
        let plain = !always
            && match &schema.kind {
                Kind::Int32 | Kind::Int64 | Kind::Boolean => {
                    let listed = PLAIN.binary_search(&name).is_ok() || PLAIN_TOO.binary_search(&name).is_ok();
                    listed && !KEPT.contains(&(ty, name))
                }
                Kind::String => !POINTERS.iter().any(|(owner, fields)| *owner == ty && fields.contains(&name)),
                _ => false,
            };
        let named = NAMED.iter().find(|(owner, field, _)| *owner == ty && *field == name).map(|(_, _, go)| *go);
        Field { schema, always, plain, named, inner: OnceLock::new() }
    }

    /// The type of the objects that the field holds: itself, its elements, its values.
    pub(crate) fn inner(&self) -> Option<&'static Type> {
        fn object(kind: &Kind) -> Option<&'static schema::Type> {
            match kind {
                Kind::Object(ty) => Some(ty.get()),
                Kind::List(inner) | Kind::Map(inner) => object(inner),
                _ => None,
            }
        }
        if let Some(ty) = self.inner.get() {
            return Some(ty);
        }
        let ty = of(object(&self.schema.kind)?);
        Some(self.inner.get_or_init(|| ty))
    }

    /// The name of the field's type, or of a part of it, in the apiserver's error texts.
    pub(crate) fn go(&self, kind: &Kind) -> String {
        match (self.named, kind) {
            (Some(named), Kind::String) => named.to_owned(),
            (_, Kind::Map(value)) if matches!(**value, Kind::Quantity) => "v1.ResourceList".to_owned(),
            (_, Kind::Time | Kind::MicroTime) => "string".to_owned(),
            (_, other) => other.go_name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_habits_of_pods() {
        assert!(PLAIN.is_sorted() && PLAIN_TOO.is_sorted());
        let pod = lookup(Target::new("", "v1", "Pod")).expect("Pod");
        let spec = pod.field("spec").expect("spec");
        assert!(spec.always);
        let spec = spec.inner().expect("a struct");
        let containers = spec.field("containers").expect("containers");
        assert_eq!((containers.go(&containers.schema.kind).as_str(), containers.always), ("[]v1.Container", true));
        assert!(spec.field("hostNetwork").expect("hostNetwork").plain);
        assert!(!spec.field("enableServiceLinks").expect("enableServiceLinks").plain);
    }
}
