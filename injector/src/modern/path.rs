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
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.starts_with(":ENV:") {
        for pair in rest.split(":ENV:") {
            if let Some((name, value)) = pair.split_once('=').filter(|(n, _)| !n.is_empty()) {
                set(variable(name), value.to_owned());
            }
        }
    } else {
        if !rest.is_empty() {
            let parts: Vec<&str> = rest.split('/').collect();
            for pair in parts.chunks(2) {
                match pair {
                    ["", _] => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_istio_reads_them() {
        for (path, expected) in [
            ("/inject", &[][..]),
            ("/inject/", &[]),
            ("/inject/cluster/c1/net/n1/", &[(CLUSTER, "c1"), (NETWORK, "n1")]),
            ("/inject/cluster//net/n1", &[(CLUSTER, ""), (NETWORK, "n1")]),
            ("/inject/a/b--slash--c/odd", &[("A", "b/c")]),
            ("/inject//v/a/b", &[("A", "b")]),
            ("/inject/a--slash--b/c", &[("A--SLASH--B", "c")]),
            ("/inject/:ENV:a=b/c:ENV:net=n=1:ENV:=x:ENV:y:ENV:z=", &[("A", "b/c"), (NETWORK, "n=1"), ("Z", "")]),
            ("/inject/:ENV:a=b/", &[("A", "b")]),
        ] {
            let found = variables(path, &mut Vec::new());
            let found: Vec<(&str, &str)> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            assert_eq!(found, expected, "{path}");
        }
    }
}
