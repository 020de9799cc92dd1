//! The built-in plugins that webhooks can see the work of, in the order of kube-apiserver.

use tokio::time::Instant;

use super::attributes::Attributes;
use super::cluster::Cluster;
use super::rejection::Rejection;
use crate::metrics::Metrics;

mod default_storage_class;
mod limit_ranger;
mod namespace_lifecycle;
mod pod;
mod pod_security;
mod priority;
mod quantity;
pub(crate) mod resource_quota;
mod runtime_class;
mod service_account;
mod tolerations;

type Run = fn(&dyn Cluster, &mut Attributes) -> Result<(), Rejection>;

/// One plugin: its name, and what it does in either phase.
struct Plugin {
    name: &'static str,
    mutate: Option<Run>,
    validate: Option<Run>,
}

const ALL: [Plugin; 10] = [
    Plugin { name: "NamespaceLifecycle", mutate: Some(namespace_lifecycle::admit), validate: None },
    Plugin { name: "LimitRanger", mutate: Some(limit_ranger::mutate), validate: Some(limit_ranger::validate) },
    Plugin { name: "ServiceAccount", mutate: Some(service_account::mutate), validate: Some(service_account::validate) },
    Plugin { name: "TaintNodesByCondition", mutate: Some(tolerations::taint_node), validate: None },
    Plugin { name: "PodSecurity", mutate: None, validate: Some(pod_security::validate) },
    Plugin { name: "Priority", mutate: Some(priority::mutate), validate: Some(priority::validate) },
    Plugin { name: "DefaultTolerationSeconds", mutate: Some(tolerations::tolerate), validate: None },
    Plugin { name: "DefaultStorageClass", mutate: Some(default_storage_class::mutate), validate: None },
    Plugin { name: "RuntimeClass", mutate: Some(runtime_class::mutate), validate: Some(runtime_class::validate) },
    Plugin { name: "ResourceQuota", mutate: None, validate: None },
];

/// One plugin at work, for the metrics.
pub(crate) struct Measured<'a> {
    metrics: Option<&'a Metrics>,
    name: &'static str,
    mutating: bool,
    operation: &'static str,
    started: Instant,
}

impl<'a> Measured<'a> {
    pub(crate) fn start(
        cluster: &'a dyn Cluster,
        attributes: &Attributes,
        name: &'static str,
        mutating: bool,
    ) -> Measured<'a> {
        let operation = attributes.operation.as_str();
        Measured { metrics: cluster.metrics(), name, mutating, operation, started: Instant::now() }
    }

    /// The plugin's result, counted.
    pub(crate) fn end<T>(self, result: Result<T, Rejection>) -> Result<T, Rejection> {
        if let Some(metrics) = self.metrics {
            metrics.plugin(self.name, self.mutating, self.operation, result.is_err(), self.started.elapsed());
        }
        result
    }
}

/// Plugins that are part of the chain itself.
const CHAIN: [&str; 4] =
    ["MutatingAdmissionPolicy", "MutatingAdmissionWebhook", "ValidatingAdmissionPolicy", "ValidatingAdmissionWebhook"];

/// Plugins of kube-apiserver v1.36 that are not imitated.
const OTHERS: [&str; 26] = [
    "AlwaysAdmit",
    "AlwaysDeny",
    "AlwaysPullImages",
    "CertificateApproval",
    "CertificateSigning",
    "CertificateSubjectRestriction",
    "ClusterTrustBundleAttest",
    "DefaultIngressClass",
    "DenyServiceExternalIPs",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "ImagePolicyWebhook",
    "LimitPodHardAntiAffinityTopology",
    "NamespaceAutoProvision",
    "NamespaceExists",
    "NodeDeclaredFeatureValidator",
    "NodeRestriction",
    "OwnerReferencesPermissionEnforcement",
    "PersistentVolumeClaimResize",
    "PersistentVolumeLabel",
    "PodNodeSelector",
    "PodPreset",
    "PodSecurityPolicy",
    "PodTolerationRestriction",
    "PodTopologyLabels",
    "StorageObjectInUseProtection",
];

fn is_imitated(name: &str) -> bool {
    CHAIN.contains(&name) || ALL.iter().any(|plugin| plugin.name == name)
}

/// Which plugins are to run, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// These and no other, if given.
    pub(crate) exactly: Option<Vec<String>>,
    pub(crate) enable: Vec<String>,
    pub(crate) disable: Vec<String>,
}

/// The plugins that are switched on.
#[derive(Default)]
pub(crate) struct Plugins {
    disabled: Vec<&'static str>,
}

impl Plugins {
    /// The plugins of a choice.
    pub(crate) fn choose(choice: &Choice) -> Result<Plugins, String> {
        let both: Vec<&str> =
            choice.enable.iter().filter(|name| choice.disable.contains(name)).map(String::as_str).collect();
        if !both.is_empty() {
            let both = both.join(" ");
            return Err(format!("[{both}] in enable-admission-plugins and disable-admission-plugins overlapped"));
        }
        let lists = [
            ("enable-admission-plugins", choice.enable.as_slice()),
            ("disable-admission-plugins", &choice.disable),
            ("admission-plugins", choice.exactly.as_deref().unwrap_or_default()),
        ];
        for (flag, names) in lists {
            for name in names {
                if !is_imitated(name) && !OTHERS.contains(&name.as_str()) {
                    return Err(format!("{flag} plugin {name:?} is unknown"));
                }
                if !is_imitated(name) && flag != "disable-admission-plugins" {
                    tracing::warn!(plugin = name, "this admission plugin is not imitated: it has no effect");
                }
            }
        }
        let is_off = |name: &str| match &choice.exactly {
            Some(exactly) => !exactly.iter().chain(&choice.enable).any(|on| on == name),
            None => false,
        } || choice.disable.iter().any(|off| off == name);
        let all = ALL.iter().map(|plugin| plugin.name).chain(CHAIN);
        Ok(Plugins { disabled: all.filter(|name| is_off(name)).collect() })
    }

    /// Whether a plugin is on.
    pub(crate) fn has(&self, name: &str) -> bool {
        !self.disabled.contains(&name)
    }

    pub(crate) fn disable(&mut self, names: &[&str]) -> Result<(), String> {
        for name in names {
            match ALL.iter().find(|plugin| plugin.name == *name) {
                Some(plugin) => self.disabled.push(plugin.name),
                None => return Err((*name).to_owned()),
            }
        }
        Ok(())
    }

    fn on(&self) -> impl Iterator<Item = &'static Plugin> {
        ALL.iter().filter(|plugin| !self.disabled.contains(&plugin.name))
    }

    pub(crate) fn mutate(&self, cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
        self.on()
            .filter_map(|plugin| Some((plugin.name, plugin.mutate?)))
            .try_for_each(|(name, run)| Measured::start(cluster, attributes, name, true).end(run(cluster, attributes)))
    }

    pub(crate) fn validate(&self, cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
        self.on()
            .filter_map(|plugin| Some((plugin.name, plugin.validate?)))
            .try_for_each(|(name, run)| Measured::start(cluster, attributes, name, false).end(run(cluster, attributes)))
    }

    /// Quota comes after the validating webhooks.
    pub(crate) fn quota(&self, cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
        if self.disabled.contains(&"ResourceQuota") {
            return Ok(());
        }
        let measured = Measured::start(cluster, attributes, "ResourceQuota", false);
        measured.end(resource_quota::admit(cluster, attributes))
    }
}

#[cfg(test)]
mod tests {
    use super::{Choice, Plugins};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn names_are_the_real_ones_and_so_are_the_errors() {
        let choose = |enable: &[&str], disable: &[&str]| {
            Plugins::choose(&Choice { exactly: None, enable: names(enable), disable: names(disable) })
        };
        let error = |enable: &[&str], disable: &[&str]| choose(enable, disable).err().unwrap();
        assert_eq!(error(&["Nope"], &[]), "enable-admission-plugins plugin \"Nope\" is unknown");
        assert_eq!(error(&[], &["Nope"]), "disable-admission-plugins plugin \"Nope\" is unknown");
        assert_eq!(
            error(&["Priority"], &["Priority"]),
            "[Priority] in enable-admission-plugins and disable-admission-plugins overlapped"
        );
        let plugins = choose(&["NodeRestriction"], &["ServiceAccount", "MutatingAdmissionWebhook"]).unwrap();
        assert!(plugins.has("Priority") && !plugins.has("ServiceAccount") && !plugins.has("MutatingAdmissionWebhook"));
        let exactly = Choice { exactly: Some(names(&["MutatingAdmissionWebhook"])), ..Choice::default() };
        let plugins = Plugins::choose(&exactly).unwrap();
        assert!(plugins.has("MutatingAdmissionWebhook") && !plugins.has("NamespaceLifecycle"));
    }
}
