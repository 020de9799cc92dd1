//! Which version of Kubernetes the server says that it is, and what a webhook sees of it.

use std::fmt;
use std::str::FromStr;

use admission::review::Form;
use apimachinery::value::{Value, json};

/// The version whose behaviour is recorded.
const LATEST: u32 = 36;
/// The first with admission webhooks.
const OLDEST: u32 = 9;

/// A version of Kubernetes, 1.9 to 1.36 (the default). Old versions differ in what a webhook can see:
///
/// - up to 1.15 reviews are `admission.k8s.io/v1beta1`, whatever the configuration asks for;
/// - up to 1.14 they have no `options`, `requestKind` and `requestResource`, up to 1.11 no `dryRun`;
/// - up to 1.15 webhook configurations are `admissionregistration.k8s.io/v1beta1` only, with its defaults (`failurePolicy:
///   Ignore`, a timeout of 30 s), up to 1.21 also; fields that came later are dropped;
/// - up to 1.15 workloads are also `extensions/v1beta1`, `apps/v1beta1` and `apps/v1beta2`, other kinds in versions of the time;
/// - up to 1.26 `matchConditions` are not known, and so have no effect;
/// - up to 1.29 there are no ValidatingAdmissionPolicies, up to 1.33 no MutatingAdmissionPolicies;
/// - up to 1.17 the objects in a review have no `managedFields`;
/// - up to 1.33 the metadata in a review's objects says `creationTimestamp: null` where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubernetesVersion {
    minor: u32,
}

impl Default for KubernetesVersion {
    fn default() -> KubernetesVersion {
        KubernetesVersion { minor: LATEST }
    }
}

/// A text is no version that can be imitated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("kubernetes version {0:?}: give 1.{OLDEST} to 1.{LATEST}")]
pub struct KubernetesVersionError(String);

impl FromStr for KubernetesVersion {
    type Err = KubernetesVersionError;

    /// Reads `1.16`, `v1.16` or `1.16.3`; the patch version does not matter.
    fn from_str(text: &str) -> Result<KubernetesVersion, KubernetesVersionError> {
        let minor = text.trim_start_matches('v').strip_prefix("1.").and_then(|rest| {
            let (minor, patch) = rest.split_once('.').unwrap_or((rest, "0"));
            let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if is_number(minor) && is_number(patch) { minor.parse().ok() } else { None }
        });
        match minor.filter(|minor| (OLDEST..=LATEST).contains(minor)) {
            Some(minor) => Ok(KubernetesVersion { minor }),
            None => Err(KubernetesVersionError(text.to_owned())),
        }
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
    }
}

impl KubernetesVersion {
    /// What `/version` says.
    pub(crate) fn info(self, latest: Value) -> Value {
        if self.minor == LATEST {
            return latest;
        }
        let mut info = latest;
        info["minor"] = self.minor.to_string().into();
        info["gitVersion"] = format!("v1.{}.0", self.minor).into();
        for key in ["emulationMajor", "emulationMinor", "minCompatibilityMajor", "minCompatibilityMinor"] {
            // Emulation came with 1.33.
            if let Some(fields) = info.as_object_mut().filter(|_| self.minor < 33) {
                fields.remove(key);
            }
        }
        if self.minor >= 33 {
            info["emulationMinor"] = self.minor.to_string().into();
            info["minCompatibilityMinor"] = (self.minor - 1).to_string().into();
        }
        info
    }

    /// Whether it is `1.minor` or newer.
    pub(crate) fn is_from(self, minor: u32) -> bool {
        self.minor >= minor
    }

    /// Whether webhooks get v1beta1 reviews only.
    pub(crate) fn reviews_v1beta1(self) -> bool {
        self.minor < 16
    }

    /// Which fields the request of a review has.
    pub(crate) fn review_form(self) -> Form {
        match self.minor {
            15.. => Form::Whole,
            12.. => Form::BeforeOptions,
            _ => Form::BeforeDryRun,
        }
    }

    /// Whether match conditions are known.
    pub(crate) fn has_match_conditions(self) -> bool {
        self.minor >= 27
    }

    /// Whether there are policies of this kind.
    pub(crate) fn has_policies(self, mutating: bool) -> bool {
        self.minor >= if mutating { 34 } else { 30 }
    }

    /// The object as a review of this version has it, where that differs.
    pub(crate) fn in_review(self, object: &Value) -> Option<Value> {
        if self.minor >= 34 {
            return None;
        }
        let mut object = object.clone();
        null_timestamps(&mut object);
        // Only since 1.18 are the fields of all objects followed.
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut).filter(|_| self.minor < 18) {
            metadata.remove("managedFields");
        }
        Some(object)
    }
}

/// Writes `creationTimestamp: null` into metadata that has none: the object's own and that of its templates.
fn null_timestamps(object: &mut Value) {
    fn mark(holder: &mut Value) {
        if let Some(metadata) = holder.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.entry("creationTimestamp").or_insert(json!(null));
        }
    }
    mark(object);
    for pointer in ["/template", "/spec/template", "/spec/jobTemplate", "/spec/jobTemplate/spec/template"] {
        if let Some(template) = object.pointer_mut(pointer) {
            mark(template);
        }
    }
    let claims = object.pointer_mut("/spec/volumeClaimTemplates").and_then(Value::as_array_mut);
    claims.into_iter().flatten().for_each(mark);
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::KubernetesVersion;

    fn version(text: &str) -> KubernetesVersion {
        text.parse().unwrap()
    }

    #[test]
    fn versions_that_can_be_imitated() {
        assert_eq!(version("v1.16.3").to_string(), "1.16");
        assert_eq!(version("1.36"), KubernetesVersion::default());
        for bad in ["", "1", "1.8", "1.37", "2.1", "1.x", "1.16.", "1.16.x", "1.1e1"] {
            let error = bad.parse::<KubernetesVersion>().unwrap_err().to_string();
            assert_eq!(error, format!("kubernetes version {bad:?}: give 1.9 to 1.36"));
        }
    }

    #[test]
    fn old_reviews_say_that_there_is_no_creation_timestamp() {
        let deployment =
            json!({"metadata": {"name": "d"}, "spec": {"template": {"metadata": {"labels": {}}, "spec": {}}}});
        let old = version("1.20").in_review(&deployment).unwrap();
        assert_eq!(old["metadata"], json!({"name": "d", "creationTimestamp": null}));
        assert_eq!(old["spec"]["template"]["metadata"], json!({"labels": {}, "creationTimestamp": null}));
        assert_eq!(version("1.34").in_review(&deployment), None);
        let followed = json!({"metadata": {"managedFields": []}});
        assert_eq!(version("1.17").in_review(&followed).unwrap(), json!({"metadata": {"creationTimestamp": null}}));
        assert!(version("1.18").in_review(&followed).unwrap()["metadata"].get("managedFields").is_some());
    }

    #[test]
    fn the_version_endpoint_knows_emulation_since_1_33() {
        let latest = json!({"major": "1", "minor": "36", "emulationMinor": "36", "gitVersion": "v1.36.2"});
        assert_eq!(version("1.20").info(latest.clone()), json!({"major": "1", "minor": "20", "gitVersion": "v1.20.0"}));
        assert_eq!(version("1.36").info(latest.clone()), latest);
    }
}
