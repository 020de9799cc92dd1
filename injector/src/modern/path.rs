//! Variables for the proxy in the webhook's URL path.

/// Reads `/inject/key/value/...`, or the old form `:ENV:key=value:ENV:...`, sorted by name.
///
/// `cluster` and `net` have names of their own; any other key is upper-cased. `--slash--` in a value is a slash.
pub(super) fn variables(path: &str, warnings: &mut Vec<String>) -> Vec<(String, String)> {
    let Some(rest) = path.strip_prefix("/inject") else { return Vec::new() };
    let mut out: Vec<(String, String)> = Vec::new();
    let mut set = |name: String, value: String| match out.iter_mut().find(|(n, _)| *n == name) {
        Some(found) => found.1 = value,
        None => out.push((name, value)),
    };
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    if rest.starts_with(":ENV:") {
        for pair in rest.split(":ENV:") {
            if let Some((name, value)) = pair.split_once('=').filter(|(n, _)| !n.is_empty()) {
                set(variable(name), value.to_owned());
            }
        }
    } else {
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if !rest.is_empty() {
            let parts: Vec<&str> = rest.split('/').collect();
            for pair in parts.chunks(2) {
                match pair {
                    [key, value] => set(variable(key), value.replace("--slash--", "/")),
                    [key] => {
                        warnings.push(format!("the webhook's path has a key {key:?} without a value, it is ignored"))
                    }
                    _ => {}
                }
            }
        }
    }
    out.sort();
    out
}

fn variable(key: &str) -> String {
    match key {
        "cluster" => CLUSTER.to_owned(),
        "net" => NETWORK.to_owned(),
        other => other.to_uppercase(),
    }
}

/// The cluster's id.
pub(super) const CLUSTER: &str = "ISTIO_META_CLUSTER_ID";
/// The pod's network.
pub(super) const NETWORK: &str = "ISTIO_META_NETWORK";
