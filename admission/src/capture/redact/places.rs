//! Where in an object a value stands, and so which rule is for it.

use super::spans::Node;

/// The rule that is for the strings of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The members of a Kubernetes object itself.
    Top(Kind),
    /// Anywhere else within one. `custom`: of a kind that is not Kubernetes' own, or of none that is known.
    In {
        custom: bool,
    },
    /// `managedFields`: field names, no values.
    Nothing,
    Annotations,
    /// Labels and selectors: they have a syntax of their own.
    Labels,
    /// A Secret's `data`: base64, all of it secret.
    SecretData,
    /// A Secret's `stringData`.
    SecretText,
    ConfigData,
    /// A ConfigMap's `binaryData`: base64.
    ConfigBinary,
    /// `args` and `command`.
    Arguments,
    /// A map whose keys are somebody's own names: options of a volume, `userInfo.extra`.
    ByName,
}

/// What kind of object it is, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Secret,
    ConfigMap,
    Builtin,
    Custom,
}

impl Kind {
    fn of(api_version: &str, kind: &str) -> Self {
        match (api_version, kind) {
            ("v1", "Secret") => Self::Secret,
            ("v1", "ConfigMap") => Self::ConfigMap,
            _ => {
                let group = api_version.split_once('/').map_or("", |(group, _)| group);
                // Without a dot: v1, apps, batch, autoscaling, policy; and the groups of Kubernetes itself.
                if !group.contains('.') || group.ends_with(".k8s.io") { Self::Builtin } else { Self::Custom }
            }
        }
    }
}

impl Place {
    /// The place of an object that may say what it is.
    pub(super) fn enter(self, object: &Node<'_>) -> Self {
        let text = |key| object.get(key).and_then(Node::text);
        match (self, text("apiVersion"), text("kind")) {
            (Self::Top(_) | Self::In { .. }, Some(api_version), Some(kind)) => Self::Top(Kind::of(api_version, kind)),
            _ => self,
        }
    }

    /// The place of what stands under this name.
    pub(super) fn inner(self, key: &str) -> Self {
        match (self, key) {
            (Self::Top(_) | Self::In { .. }, "managedFields") | (Self::Nothing, _) => Self::Nothing,
            (Self::Top(_) | Self::In { .. }, "annotations") => Self::Annotations,
            (Self::Top(_) | Self::In { .. }, "labels" | "matchLabels" | "nodeSelector") => Self::Labels,
            (Self::Top(Kind::Secret), "data") => Self::SecretData,
            (Self::Top(Kind::Secret), "stringData") => Self::SecretText,
            (Self::Top(Kind::ConfigMap), "data") => Self::ConfigData,
            (Self::Top(Kind::ConfigMap), "binaryData") => Self::ConfigBinary,
            (Self::Top(_) | Self::In { .. }, "args" | "command") => Self::Arguments,
            (Self::Top(_) | Self::In { .. }, "extra" | "volumeAttributes" | "options" | "parameters") => Self::ByName,
            (Self::Top(kind), _) => Self::In { custom: kind == Kind::Custom },
            (place, _) => place,
        }
    }
}

/// Members that name something: their values have a syntax, and others refer to them.
pub(super) fn is_reference(key: &str) -> bool {
    matches!(key, "name" | "namespace" | "generateName" | "uid" | "kind" | "apiVersion" | "image" | "imageID")
}
