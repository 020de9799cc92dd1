//! Which check belongs to which standard since which version.

use apimachinery::value::Value;

use super::policy::{Level, Standard};
use super::{Violation, baseline, restricted};

type Run = fn(&Value) -> Option<Violation>;

/// A check: its versions by the minor that brought them, in order.
struct Check {
    id: &'static str,
    versions: &'static [(u32, Run)],
    /// The baseline check that it stands in for.
    overrides: &'static str,
}

const fn check(id: &'static str, versions: &'static [(u32, Run)]) -> Check {
    Check { id, versions, overrides: "" }
}

/// In the order of their ids, in which violations are listed.
const BASELINE: [Check; 12] = [
    check("appArmorProfile", &[(0, baseline::app_armor)]),
    check("capabilities_baseline", &[(0, baseline::capabilities)]),
    check("hostNamespaces", &[(0, baseline::host_namespaces)]),
    check("hostPathVolumes", &[(0, baseline::host_paths)]),
    check("hostPorts", &[(0, baseline::host_ports)]),
    check("hostProbesAndHostLifecycle", &[(34, baseline::probe_hosts)]),
    check("privileged", &[(0, baseline::privileged)]),
    check("procMount", &[(0, baseline::proc_mount), (35, baseline::proc_mount_1_35)]),
    check("seLinuxOptions", &[(0, baseline::se_linux_1_0), (31, baseline::se_linux_1_31)]),
    check("seccompProfile_baseline", &[(0, baseline::seccomp_1_0), (19, baseline::seccomp_1_19)]),
    check(
        "sysctls",
        &[
            (0, baseline::sysctls_1_0),
            (27, baseline::sysctls_1_27),
            (29, baseline::sysctls_1_29),
            (32, baseline::sysctls_1_32),
        ],
    ),
    check("windowsHostProcess", &[(0, baseline::host_process)]),
];

/// The same for what the restricted standard adds; these come after those of the baseline.
const RESTRICTED: [Check; 7] = [
    check(
        "allowPrivilegeEscalation",
        &[(8, restricted::privilege_escalation_1_8), (25, restricted::privilege_escalation_1_25)],
    ),
    Check {
        id: "capabilities_restricted",
        versions: &[(22, restricted::capabilities_1_22), (25, restricted::capabilities_1_25)],
        overrides: "capabilities_baseline",
    },
    Check { id: "procMount_restricted", versions: &[(35, baseline::proc_mount)], overrides: "procMount" },
    Check { id: "restrictedVolumes", versions: &[(0, restricted::volumes)], overrides: "hostPathVolumes" },
    check("runAsNonRoot", &[(0, restricted::non_root_1_0), (35, restricted::non_root_1_35)]),
    check("runAsUser", &[(23, restricted::user_1_23), (35, restricted::user_1_35)]),
    Check {
        id: "seccompProfile_restricted",
        versions: &[(19, restricted::seccomp_1_19), (25, restricted::seccomp_1_25)],
        overrides: "seccompProfile_baseline",
    },
];

impl Check {
    /// The check as of a minor version; none before it came.
    fn at(&self, minor: u32) -> Option<Run> {
        self.versions.iter().rev().find(|(since, _)| *since <= minor).map(|(_, run)| *run)
    }
}

/// What is wrong with a pod (or a template) by a standard.
pub(super) fn evaluate(standard: &Standard, pod: &Value) -> Vec<Violation> {
    let minor = standard.minor.unwrap_or(u32::MAX);
    let mut runs: Vec<Run> = Vec::new();
    let restricted: Vec<(&Check, Run)> = match standard.level {
        Level::Privileged => return Vec::new(),
        Level::Baseline => Vec::new(),
        Level::Restricted => RESTRICTED.iter().filter_map(|check| Some((check, check.at(minor)?))).collect(),
    };
    let overridden = |id: &str| restricted.iter().any(|(check, _)| check.overrides == id);
    runs.extend(BASELINE.iter().filter(|check| !overridden(check.id)).filter_map(|check| check.at(minor)));
    runs.extend(restricted.iter().map(|(_, run)| *run));
    runs.into_iter().filter_map(|run| run(pod)).collect()
}

#[cfg(test)]
mod tests {
    use super::{BASELINE, RESTRICTED};

    #[test]
    fn checks_are_in_the_order_of_their_ids_and_versions() {
        for checks in [&BASELINE[..], &RESTRICTED[..]] {
            assert!(checks.is_sorted_by_key(|check| check.id));
            assert!(checks.iter().all(|check| check.versions.is_sorted_by_key(|(since, _)| *since)));
        }
        let known = |id: &str| id.is_empty() || BASELINE.iter().any(|check| check.id == id);
        assert!(RESTRICTED.iter().all(|check| known(check.overrides)));
    }
}
