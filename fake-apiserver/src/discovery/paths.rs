//! The list of paths at `/`.

use crate::kinds::Kinds;

/// Paths that are there whatever resources are served.
const FIXED: &str = include_str!("paths.txt");

/// All paths, sorted.
pub(super) fn all(kinds: &Kinds) -> Vec<String> {
    let mut paths: Vec<String> = FIXED.lines().map(str::to_owned).collect();
    paths.extend(["/api", "/api/v1", "/apis", "/apis/"].map(str::to_owned));
    for served in kinds.group_versions.iter().filter(|served| !served.group.is_empty()) {
        paths.push(format!("/apis/{}", served.group));
        paths.push(format!("/apis/{}/{}", served.group, served.version));
    }
    paths.sort_unstable();
    paths.dedup();
    paths
}
