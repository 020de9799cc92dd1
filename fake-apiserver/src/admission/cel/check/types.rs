//! The static types of CEL, the fields of those that conditions know, and what functions yield.

/// A static type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ty {
    /// Not known before it runs.
    Dyn,
    /// bool
    Bool,
    /// int
    Int,
    /// uint
    Uint,
    /// double
    Double,
    /// string
    String,
    /// bytes
    Bytes,
    /// null_type
    Null,
    /// list(T)
    List(Box<Ty>),
    /// map(K, V)
    Map(Box<Ty>, Box<Ty>),
    /// optional_type(T)
    Optional(Box<Ty>),
    /// A type of Kubernetes with its name.
    Named(&'static str),
}

impl Ty {
    /// As cel-go writes it.
    pub(crate) fn text(&self) -> String {
        match self {
            Ty::Dyn => "dyn".to_owned(),
            Ty::Bool => "bool".to_owned(),
            Ty::Int => "int".to_owned(),
            Ty::Uint => "uint".to_owned(),
            Ty::Double => "double".to_owned(),
            Ty::String => "string".to_owned(),
            Ty::Bytes => "bytes".to_owned(),
            Ty::Null => "null_type".to_owned(),
            Ty::List(of) => format!("list({})", of.text()),
            Ty::Map(key, value) => format!("map({}, {})", key.text(), value.text()),
            Ty::Optional(of) => format!("optional_type({})", of.text()),
            Ty::Named(name) => (*name).to_owned(),
        }
    }

    pub(super) fn is_dyn(&self) -> bool {
        *self == Ty::Dyn
    }
}

/// Fields of the types that match conditions know.
pub(super) const FIELDS: &[(&str, &str, &str)] = &[
    ("kubernetes.AdmissionRequest", "kind", "kubernetes.GroupVersionKind"),
    ("kubernetes.AdmissionRequest", "resource", "kubernetes.GroupVersionResource"),
    ("kubernetes.AdmissionRequest", "subResource", "string"),
    ("kubernetes.AdmissionRequest", "requestKind", "kubernetes.GroupVersionKind"),
    ("kubernetes.AdmissionRequest", "requestResource", "kubernetes.GroupVersionResource"),
    ("kubernetes.AdmissionRequest", "requestSubResource", "string"),
    ("kubernetes.AdmissionRequest", "name", "string"),
    ("kubernetes.AdmissionRequest", "namespace", "string"),
    ("kubernetes.AdmissionRequest", "operation", "string"),
    ("kubernetes.AdmissionRequest", "userInfo", "kubernetes.UserInfo"),
    ("kubernetes.AdmissionRequest", "dryRun", "bool"),
    ("kubernetes.AdmissionRequest", "options", "dyn"),
    ("kubernetes.GroupVersionKind", "group", "string"),
    ("kubernetes.GroupVersionKind", "version", "string"),
    ("kubernetes.GroupVersionKind", "kind", "string"),
    ("kubernetes.GroupVersionResource", "group", "string"),
    ("kubernetes.GroupVersionResource", "version", "string"),
    ("kubernetes.GroupVersionResource", "resource", "string"),
    ("kubernetes.UserInfo", "username", "string"),
    ("kubernetes.UserInfo", "uid", "string"),
    ("kubernetes.UserInfo", "groups", "strings"),
    ("kubernetes.UserInfo", "extra", "map"),
    ("kubernetes.Namespace", "metadata", "kubernetes.NamespaceMetadata"),
    ("kubernetes.Namespace", "spec", "kubernetes.NamespaceSpec"),
    ("kubernetes.Namespace", "status", "kubernetes.NamespaceStatus"),
    ("kubernetes.NamespaceMetadata", "name", "string"),
    ("kubernetes.NamespaceMetadata", "generateName", "string"),
    ("kubernetes.NamespaceMetadata", "namespace", "string"),
    ("kubernetes.NamespaceMetadata", "labels", "map"),
    ("kubernetes.NamespaceMetadata", "annotations", "map"),
    ("kubernetes.NamespaceMetadata", "UID", "string"),
    ("kubernetes.NamespaceMetadata", "creationTimestamp", "timestamp"),
    ("kubernetes.NamespaceMetadata", "deletionGracePeriodSeconds", "int"),
    ("kubernetes.NamespaceMetadata", "deletionTimestamp", "timestamp"),
    ("kubernetes.NamespaceMetadata", "generation", "int"),
    ("kubernetes.NamespaceMetadata", "resourceVersion", "string"),
    ("kubernetes.NamespaceMetadata", "finalizers", "strings"),
    ("kubernetes.NamespaceSpec", "finalizers", "strings"),
    ("kubernetes.NamespaceStatus", "phase", "string"),
    ("kubernetes.authorization.Authorizer", "requestResource", "kubernetes.authorization.ResourceCheck"),
];

/// The type that a table names.
pub(super) fn named(name: &'static str) -> Ty {
    match name {
        "dyn" => Ty::Dyn,
        "bool" => Ty::Bool,
        "int" => Ty::Int,
        "string" => Ty::String,
        "strings" => Ty::List(Box::new(Ty::String)),
        "map" => Ty::Map(Box::new(Ty::String), Box::new(Ty::Dyn)),
        name => Ty::Named(name),
    }
}

/// Functions and what they yield.
pub(super) fn result_of(function: &str) -> Option<Ty> {
    let text = Ty::String;
    Some(match function {
        "startsWith"
        | "endsWith"
        | "contains"
        | "matches"
        | "has"
        | "hasValue"
        | "allowed"
        | "errored"
        | "isSorted"
        | "isURL"
        | "isIP"
        | "isCIDR"
        | "isQuantity"
        | "isSemver"
        | "isInteger"
        | "isGreaterThan"
        | "isLessThan"
        | "containsIP"
        | "containsCIDR"
        | "isCanonical"
        | "isUnspecified"
        | "isLoopback"
        | "isGlobalUnicast"
        | "isLinkLocalMulticast"
        | "isLinkLocalUnicast"
        | "ip.isCanonical"
        | "sets.contains"
        | "sets.intersects"
        | "sets.equivalent"
        | "bool"
        | "charIn"
        | "math.isNaN"
        | "math.isInf"
        | "math.isFinite" => Ty::Bool,
        "size" | "indexOf" | "lastIndexOf" | "int" | "getFullYear" | "getMonth" | "getDayOfYear" | "getDayOfMonth"
        | "getDate" | "getDayOfWeek" | "getHours" | "getMinutes" | "getSeconds" | "getMilliseconds" | "compareTo"
        | "asInteger" | "family" | "prefixLength" | "major" | "minor" | "patch" => Ty::Int,
        "uint" => Ty::Uint,
        "double" | "asApproximateFloat" => Ty::Double,
        "bytes" | "base64.decode" => Ty::Bytes,
        "string"
        | "lowerAscii"
        | "upperAscii"
        | "replace"
        | "substring"
        | "trim"
        | "charAt"
        | "join"
        | "format"
        | "reverse"
        | "quote"
        | "strings.quote"
        | "base64.encode"
        | "reason"
        | "error"
        | "find"
        | "getScheme"
        | "getHost"
        | "getHostname"
        | "getPort"
        | "getEscapedPath"
        | "jsonpatch.escapeKey" => text,
        "split" | "findAll" => Ty::List(Box::new(text)),
        "timestamp" => Ty::Named("timestamp"),
        "duration" => Ty::Named("duration"),
        "url" => Ty::Named("kubernetes.URL"),
        "ip" | "masked" => Ty::Named("net.IP"),
        "cidr" => Ty::Named("net.CIDR"),
        "quantity" => Ty::Named("kubernetes.Quantity"),
        "semver" => Ty::Named("kubernetes.Semver"),
        "check" => Ty::Named("kubernetes.authorization.Decision"),
        "group" => Ty::Named("kubernetes.authorization.GroupCheck"),
        "path" => Ty::Named("kubernetes.authorization.PathCheck"),
        "serviceAccount" => Ty::Named("kubernetes.authorization.Authorizer"),
        "resource" | "subresource" | "namespace" | "name" | "fieldSelector" | "labelSelector" => {
            Ty::Named("kubernetes.authorization.ResourceCheck")
        }
        "dyn"
        | "min"
        | "max"
        | "sum"
        | "orValue"
        | "or"
        | "value"
        | "optional.none"
        | "optional.of"
        | "optional.ofNonZeroValue"
        | "type"
        | "slice"
        | "flatten"
        | "sort"
        | "distinct"
        | "add"
        | "sub"
        | "sign"
        | "math.greatest"
        | "math.least"
        | "math.abs"
        | "math.ceil"
        | "math.floor"
        | "math.round"
        | "math.sign"
        | "math.trunc"
        | "math.bitAnd"
        | "math.bitOr"
        | "math.bitXor"
        | "math.bitNot"
        | "math.bitShiftLeft"
        | "math.bitShiftRight"
        | "math.sqrt"
        | "format.named"
        | "validate"
        | "getQuery"
        | "lists.range"
        | "first"
        | "last"
        | "namedFormat"
        | "ip.string"
        | "host" => Ty::Dyn,
        _ => return None,
    })
}
