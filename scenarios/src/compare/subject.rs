//! What a change is about: the thing that a person has in mind who reads a list of changes.

use super::title::{Segment, segments};
use super::{Change, ChangeKind};

/// The thing that a change is about. It follows from the change's place alone, so that it is the same for every log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    /// What tells it from others.
    pub(super) key: String,
    /// In words, such as `container istio-proxy`.
    pub(super) heading: String,
    /// Among others of its area, such as `istio-token`.
    pub(super) name: String,
    /// Those with which it is told together if they always change together, in words, such as `volumes`; empty: none.
    pub(super) area: String,
    /// The change's place within it, as segments.
    depth: usize,
}

/// Lists of containers.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];
/// What one rewrites together with the others.
const PROBES: [&str; 4] = ["startupProbe", "readinessProbe", "livenessProbe", "lifecycle"];
/// A container that the pod came with.
const OWN: &str = "<container>";

impl Subject {
    pub(super) fn of(change: &Change) -> Self {
        let segments = segments(&change.path);
        match change.kind {
            // Each message is a thing of its own.
            ChangeKind::Decision | ChangeKind::Warning => {
                let key = format!("{:?} {}\n{:?}\n{:?}", change.kind, change.path, change.before, change.after);
                let heading = change.path.clone();
                return Self { key, heading, ..Self::default() };
            }
            ChangeKind::AuditAnnotation => {
                return Self { key: change.path.clone(), heading: change.path.clone(), ..Self::default() };
            }
            _ => {}
        }
        let within =
            |depth: usize| segments.iter().take(depth).map(|part| part.name.as_str()).collect::<Vec<_>>().join("/");
        for (at, segment) in segments.iter().enumerate() {
            let depth = at + 1;
            let above = within(at);
            match (&segment.item, segment.name.as_str()) {
                (Some(name), list) if CONTAINERS.contains(&list) => {
                    return Self::container(name, segments.get(depth), &above, change.kind, depth);
                }
                (Some(name), list) => {
                    return Self {
                        key: format!("{above}/{list}[{name}]"),
                        heading: format!("{} {name}", list.strip_suffix('s').unwrap_or(list)),
                        name: name.clone(),
                        area: list.to_owned(),
                        depth,
                    };
                }
                (None, map @ ("annotations" | "labels" | "nodeSelector")) => {
                    let Some(Segment { name, .. }) = segments.get(depth) else { break };
                    return Self {
                        key: format!("{above}/{map}/{name}"),
                        heading: format!("{} {name}", map.trim_end_matches('s')),
                        name: name.clone(),
                        area: map.to_owned(),
                        depth: depth + 1,
                    };
                }
                _ => {}
            }
        }
        // A field of the spec, whatever is below it.
        let depth = segments.len().min(2);
        let name = segments.get(depth.saturating_sub(1)).map(|part| part.name.clone()).unwrap_or_default();
        Self { key: within(depth), heading: name.clone(), name, area: within(depth.saturating_sub(1)), depth }
    }

    fn container(name: &str, field: Option<&Segment>, above: &str, kind: ChangeKind, depth: usize) -> Self {
        let own = name == OWN;
        let (heading, depth) = match field.map(|field| field.name.as_str()) {
            // One of the pod's own that comes or goes is another thing than what is changed in it.
            None if own => (format!("{} container {name}", verb(kind)), depth),
            Some(field) if own && PROBES.contains(&field) => (format!("probes of container {name}"), depth),
            Some(field) if own => (format!("{field} of container {name}"), depth),
            _ => (format!("container {name}"), depth),
        };
        let area = if own && field.is_some() { "the pod's own containers".to_owned() } else { String::new() };
        Self { key: format!("{above} {heading}"), name: heading.clone(), heading, area, depth }
    }

    /// What of it changed, such as `env` of a container; empty if all of it.
    pub(super) fn field(&self, change: &Change) -> String {
        segments(&change.path).get(self.depth).map(|part| part.name.clone()).unwrap_or_default()
    }
}

/// What can happen to something, in the order in which it is told.
pub(super) const VERBS: [&str; 5] = ["moved", "changed", "removed", "added", "reordered"];

/// What happened to something.
pub(super) fn verb(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "added",
        ChangeKind::Removed => "removed",
        ChangeKind::Reordered => "reordered",
        ChangeKind::Moved => "moved",
        _ => "changed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_change_is_about_follows_from_its_place() {
        let of = |kind, path: &str| {
            let change = Change { kind, path: path.to_owned(), ..Change::default() };
            let subject = Subject::of(&change);
            (subject.heading.clone(), subject.area.clone(), subject.field(&change))
        };
        let changed = |path| of(ChangeKind::Changed, path);
        for (path, heading, area, field) in [
            ("/spec/containers[name=istio-proxy]/image", "container istio-proxy", "", "image"),
            ("/spec/initContainers[name=istio-proxy]/env[name=A]/value", "container istio-proxy", "", "env"),
            ("/spec/volumes[name=x]/emptyDir/medium", "volume x", "volumes", "emptyDir"),
            ("/metadata/annotations/a.b~1c:json/x/y", "annotation a.b/c", "annotations", "x"),
            ("/spec/template/metadata/labels/app", "label app", "labels", ""),
            ("/spec/securityContext/sysctls", "securityContext", "spec", "sysctls"),
            ("/spec/volumes", "volumes", "spec", ""),
        ] {
            assert_eq!(changed(path), (heading.to_owned(), area.to_owned(), field.to_owned()), "{path}");
        }
        let probe = changed("/spec/containers[name=<container>]/startupProbe/httpGet/port");
        assert_eq!(probe, changed("/spec/containers[name=<container>]/startupProbe/httpGet/path"));
        assert_eq!(probe.0, "probes of container <container>");
        assert_eq!(of(ChangeKind::Removed, "/spec/containers[name=<container>]").0, "removed container <container>");
        // In a template and in a pod are two places.
        let key = |path: &str| Subject::of(&Change { path: path.to_owned(), ..Change::default() }).key;
        assert_ne!(key("/spec/containers[name=a]/image"), key("/spec/template/spec/containers[name=a]/image"));
        assert_eq!(key("/spec/containers[name=a]/image"), key("/spec/initContainers[name=a]/args"));
    }
}
