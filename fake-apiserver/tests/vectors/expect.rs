//! Which cases cannot be replayed here, and which are known to differ.

use std::collections::BTreeMap;

const FAILING: &str = include_str!("../data/known-failing.txt");

/// Why a case is not replayed in a process.
pub(crate) fn excluded(id: &str) -> Option<&'static str> {
    match id {
        id if id.starts_with("kubectl/") => Some("needs the kubectl binary"),
        "propagation/latency" => Some("holds measurements only"),
        "api-basics/watch-rv-1" | "api-basics/watch-rv-1-configmaps" => {
            Some("a real server itself answers 410 or not, as revision 1 has left its watch cache or not")
        }
        "controllers/webhook-removes-selector-label" => Some(
            "pods are created without end: seconds of virtual time, in which nothing waits, are minutes of the machine's",
        ),
        "transport/alpn-h2-offered" => Some("which of Go's errors wins is a race in a real server"),
        _ => None,
    }
}

/// Places in which a real server itself differs from run to run.
pub(crate) fn is_unstable(id: &str, place: &str) -> bool {
    let places: &[&str] = match id {
        // A snapshot in the middle of a rollout.
        "controllers/deployment-lifecycle" => &["mid rollout"],
        _ => &[],
    };
    places.iter().any(|part| place.contains(part))
}

/// The known failing cases with their reasons: a line is `<id>  <reason>`.
pub(crate) fn failing() -> BTreeMap<&'static str, &'static str> {
    let lines = FAILING.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once("  ").unwrap_or_else(|| panic!("{line:?} gives no reason"))).collect()
}
