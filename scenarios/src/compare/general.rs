//! Names of a pod's own replaced by placeholders, so that the same change in many pods is one class.

use apimachinery::value::{Map, Value};

use super::differ::{Difference, Step, plain};
use super::{Change, ChangeKind};

/// Shortest text that is taken for a name of the pod's own: shorter ones stand in other words by chance.
const SHORTEST: usize = 3;

/// What an object calls itself and those around it: texts and their placeholders, the longest text first.
#[derive(Debug, Default)]
pub(super) struct Own {
    names: Vec<(String, &'static str)>,
    /// Containers that the object came with; a sidecar's own name stays.
    containers: Vec<String>,
}

impl Own {
    /// Of this object, in this namespace, under review by this uid.
    pub(super) fn of(object: &Value, namespace: &str, uid: &str) -> Self {
        let metadata = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut names = vec![
            (uid.to_owned(), "<uid>"),
            (text(&metadata["uid"]), "<uid>"),
            (text(&metadata["name"]), "<name>"),
            (text(&metadata["generateName"]), "<generateName>"),
            (text(&metadata["generateName"]).trim_end_matches('-').to_owned(), "<owner>"),
            (namespace.to_owned(), "<namespace>"),
            (text(&object["spec"]["serviceAccountName"]), "<serviceAccount>"),
        ];
        for owner in metadata["ownerReferences"].as_array().into_iter().flatten() {
            let name = text(&owner["name"]);
            // A Deployment's pods know only its ReplicaSet.
            if let Some((workload, hash)) = name.rsplit_once('-')
                && hash.bytes().any(|byte| byte.is_ascii_digit())
            {
                names.push((workload.to_owned(), "<workload>"));
            }
            names.extend([(name, "<owner>"), (text(&owner["uid"]), "<ownerUid>")]);
        }
        for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
            let placeholder = match &**key {
                "app" | "app.kubernetes.io/name" | "service.istio.io/canonical-name" => "<app>",
                "version" | "app.kubernetes.io/version" | "service.istio.io/canonical-revision" => "<version>",
                _ => continue,
            };
            names.push((text(value), placeholder));
        }
        // "default" is a word of many a value, and the name of a namespace and an account in every cluster.
        names.retain(|(name, _)| name.len() >= SHORTEST && name != "default");
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names.dedup_by(|(later, _), (first, _)| later == first);
        let lists = ["containers", "initContainers"].map(|list| object["spec"][list].as_array());
        let containers = lists.into_iter().flatten().flatten().filter_map(|container| container["name"].as_str());
        // A pod may bring a part of the sidecar along, to override it.
        let containers = containers.filter(|name| !name.starts_with("istio-")).map(str::to_owned).collect();
        Self { names, containers }
    }

    /// A text with placeholders. A name counts only where it stands as a word of its own.
    pub(super) fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        'outer: while let Some(next) = rest.chars().next() {
            if !out.chars().next_back().is_some_and(char::is_alphanumeric) {
                for (name, placeholder) in &self.names {
                    let Some(after) = rest.strip_prefix(name.as_str()) else { continue };
                    let ends = name.ends_with('-') || !after.chars().next().is_some_and(char::is_alphanumeric);
                    if ends {
                        out.push_str(placeholder);
                        rest = after;
                        continue 'outer;
                    }
                }
            }
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
        out
    }

    /// A text with placeholders, and its own containers in them where they are a whole part between slashes or commas.
    fn part(&self, text: &str) -> String {
        let is_own = |part: &str| self.containers.iter().any(|name| name == part);
        if !text.split(['/', ',']).any(is_own) {
            return self.text(text);
        }
        let parts = text.split_inclusive(['/', ',']).map(|part| {
            let bare = part.trim_end_matches(['/', ',']);
            if is_own(bare) { format!("<container>{}", &part[bare.len()..]) } else { self.text(part) }
        });
        parts.collect()
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.part(text).into(),
            Value::Array(list) => list.iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => {
                let pairs = map.iter().map(|(key, value)| (self.text(key), self.value(value)));
                Value::Object(pairs.collect::<Map>())
            }
            other => other.clone(),
        }
    }

    /// Where a difference is, the pod's own names left as they are.
    pub(super) fn literal_path(&self, difference: &Difference) -> String {
        let literal = Self { names: Vec::new(), containers: self.containers.clone() };
        literal.path(&difference.path, difference.kind)
    }

    /// Where a difference is, with placeholders.
    pub(super) fn path_of(&self, difference: &Difference) -> String {
        self.path(&difference.path, difference.kind)
    }

    /// The change that a difference is.
    pub(super) fn change(&self, difference: &Difference) -> Change {
        Change {
            kind: difference.kind,
            path: self.path(&difference.path, difference.kind),
            before: difference.before.as_ref().map(|value| self.value(value)),
            after: difference.after.as_ref().map(|value| self.value(value)),
        }
    }

    /// Whether an item in the list at this place is a container that the object came with.
    fn is_container(&self, path: &str, keys: &[(String, Value)]) -> bool {
        let listed = path == "/spec/containers" || path == "/spec/initContainers";
        let own = |value: &Value| self.containers.iter().any(|name| value == name.as_str());
        listed && matches!(keys, [(_, name)] if own(name))
    }

    fn path(&self, steps: &[Step], kind: ChangeKind) -> String {
        let mut path = String::new();
        for step in steps {
            match step {
                Step::Key(key) => {
                    // What is not in the object has no pointer.
                    if !(path.is_empty()
                        && matches!(kind, ChangeKind::Decision | ChangeKind::Warning | ChangeKind::AuditAnnotation))
                    {
                        path.push('/');
                    }
                    let key = if key.contains('/') { self.part(key) } else { self.text(key) };
                    path.push_str(&key.replace('~', "~0").replace('/', "~1"));
                }
                Step::Item(keys) if self.is_container(&path, keys) => path.push_str("[name=<container>]"),
                Step::Item(keys) => {
                    let keys: Vec<_> =
                        keys.iter().map(|(key, value)| format!("{key}={}", self.text(&plain(value)))).collect();
                    path.push_str(&format!("[{}]", keys.join(",")));
                }
                Step::Index(at) => path.push_str(&format!("[{at}]")),
                Step::Flag(flag) => path.push_str(&format!("[{}]", self.text(flag))),
                Step::Json => path.push_str(":json"),
                // A place is what it was.
                Step::Moved { from, .. } => {
                    path.push('/');
                    path.push_str(from);
                }
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::*;

    #[test]
    fn names_become_placeholders_where_they_stand_as_words() {
        let pod = json!({
            "metadata": {
                "generateName": "web-6d4cf56db6-", "labels": {"app": "web"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "web-6d4cf56db6", "uid": "abc-1"}],
            },
            "spec": {"serviceAccountName": "teller"},
        });
        let own = Own::of(&pod, "shop", "1234-5");
        assert_eq!(own.text("web-6d4cf56db6-x.shop.svc"), "<generateName>x.<namespace>.svc");
        assert_eq!(
            own.text("kubernetes://apis/apps/v1/namespaces/shop/deployments/web"),
            "kubernetes://apis/apps/v1/namespaces/<namespace>/deployments/<workload>"
        );
        assert_eq!(own.text("workshop shopping webhook teller é"), "workshop shopping webhook <serviceAccount> é");
        assert_eq!(own.text("1234-5/abc-1"), "<uid>/<ownerUid>");
        assert_eq!(Own::default().text("web"), "web");
    }
}
