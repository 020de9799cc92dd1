//! Classes of differences that are expected.

use apimachinery::yaml;
use serde::Deserialize;
use serde_json::Value;

use super::differ::plain;
use super::{Class, Comparison};

/// An allow-list: a YAML list of entries, each with a `pattern` and a `reason`.
///
/// ```yaml
/// - pattern: /spec/containers[name=istio-proxy]/image
///   after: "*:1.30.*"
///   reason: the new release
/// ```
/// `pattern` is the path, the title or the id of a class; `before` and `after` are its values, any if they are left out.
/// `*` stands for any text.
#[derive(Clone, Debug, Default)]
pub struct Allowed(Vec<Entry>);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    pattern: String,
    reason: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl Allowed {
    /// Reads a list.
    ///
    /// # Errors
    /// Names the entry and the field.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value = yaml::parse(text).map_err(|error| error.to_string())?;
        let items = match value {
            Value::Null => Vec::new(),
            Value::Array(items) => items,
            _ => return Err("want a list of entries with pattern and reason".to_owned()),
        };
        let entry =
            |(index, item)| serde_json::from_value(item).map_err(|error| format!("entry {}: {error}", index + 1));
        items.into_iter().enumerate().map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// Marks the classes that are expected, and names the entries that match none.
    pub fn mark(&self, comparison: &mut Comparison) {
        let mut used = vec![false; self.0.len()];
        for class in &mut comparison.classes {
            for (entry, used) in self.0.iter().zip(&mut used) {
                if entry.matches(class) {
                    *used = true;
                    class.allowed.get_or_insert_with(|| entry.reason.clone());
                }
            }
        }
        let unused = self.0.iter().zip(used).filter(|(_, used)| !used).map(|(entry, _)| entry.pattern.clone());
        comparison.allowed_unused = unused.collect();
    }
}

impl Entry {
    fn matches(&self, class: &Class) -> bool {
        let value = |pattern: &Option<Value>, found: &Option<Value>| match (pattern, found) {
            (None, _) => true,
            (Some(pattern), None) => pattern.is_null(),
            (Some(pattern), Some(found)) => wild(&plain(pattern), &plain(found)),
        };
        let named = [&class.change.path, &class.title, &class.id].into_iter().any(|text| wild(&self.pattern, text));
        named && value(&self.before, &class.change.before) && value(&self.after, &class.change.after)
    }
}

/// Whether a text is of a pattern in which `*` stands for any text. Linear but for what stars repeat.
fn wild(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, want) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*c", "abc", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("*x*", "abc", false),
            ("é*", "éa", true),
        ] {
            assert_eq!(wild(pattern, text), want, "{pattern} {text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        assert!(Allowed::parse("a: b").unwrap_err().contains("want a list"));
        assert!(Allowed::parse("- pattern: a").unwrap_err().contains("entry 1: missing field `reason`"));
        assert!(Allowed::parse("- {pattern: a, reason: b, befor: c}").unwrap_err().contains("befor"));
        assert!(Allowed::parse("").unwrap().0.is_empty());
    }
}
