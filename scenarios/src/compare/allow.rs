//! Classes of differences that are expected.

use apimachinery::value::{List, Value};
use apimachinery::yaml;
use serde::Deserialize;

use super::differ::plain;
use super::{Comparison, Part, Values};

/// An allow-list: a YAML list of entries, each with a `pattern` and a `reason`.
///
/// ```yaml
/// - pattern: /spec/containers[name=istio-proxy]/image
///   after: "*:1.30.*"
///   reason: the new release
/// ```
/// `pattern` is the path, the title or the id of a part, or the title or the id of a class with all its parts; `before` and
/// `after` are values: each pair that was found has to be so, and all have to be known; any are if they are left out. `*` stands
/// for any text. A class is expected if all its parts are.
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
            Value::Null => List::new(),
            Value::Array(items) => items,
            _ => return Err("want a list of entries with pattern and reason".to_owned()),
        };
        let entry = |(index, item)| {
            apimachinery::value::from_value(item).map_err(|error| format!("entry {}: {error}", index + 1))
        };
        items.into_iter().enumerate().map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// Marks the classes that are expected, and names the entries that match none.
    pub fn mark(&self, comparison: &mut Comparison) {
        let mut used = vec![false; self.0.len()];
        for class in &mut comparison.classes {
            let (title, id) = (class.title.clone(), class.id.clone());
            for (entry, used) in self.0.iter().zip(&mut used) {
                let whole = wild(&entry.pattern, &title) || wild(&entry.pattern, &id);
                for part in &mut class.parts {
                    if entry.matches(part, whole) {
                        *used = true;
                        part.allowed.get_or_insert_with(|| entry.reason.clone());
                    }
                }
            }
            let reasons: Option<Vec<&str>> = class.parts.iter().map(|part| part.allowed.as_deref()).collect();
            class.allowed = reasons.filter(|reasons| !reasons.is_empty()).map(|mut reasons| {
                reasons.dedup();
                reasons.join("; ")
            });
        }
        let unused = self.0.iter().zip(used).filter(|(_, used)| !used).map(|(entry, _)| entry.pattern.clone());
        comparison.allowed_unused = unused.collect();
    }
}

impl Entry {
    fn matches(&self, part: &Part, whole: bool) -> bool {
        let value = |pattern: &Option<Value>, found: &Option<Value>| match (pattern, found) {
            (None, _) => true,
            (Some(pattern), None) => pattern.is_null(),
            (Some(pattern), Some(found)) => wild(&plain(pattern), &plain(found)),
        };
        let named = [&part.change.path, &part.title, &part.id].into_iter().any(|text| wild(&self.pattern, text));
        let any = self.before.is_none() && self.after.is_none();
        let all = part.values.len() as u64 == part.variants;
        let each = |pair: &Values| value(&self.before, &pair.before) && value(&self.after, &pair.after);
        (named || whole) && (any || (all && part.values.iter().all(each)))
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
    fn a_class_is_expected_if_all_its_parts_are() {
        let values = |after: &str| Values { after: Some(after.into()), count: 1, ..Values::default() };
        let part = |path: &str, after: &[&str], variants| Part {
            change: super::super::Change { path: path.to_owned(), ..super::super::Change::default() },
            values: after.iter().map(|after| values(after)).collect(),
            variants,
            ..Part::default()
        };
        let allowed = |text: &str, parts: Vec<Part>| {
            let class = super::super::Class { title: "container p: all".to_owned(), parts, ..Default::default() };
            let mut comparison = Comparison { classes: vec![class], ..Comparison::default() };
            Allowed::parse(text).unwrap().mark(&mut comparison);
            (comparison.classes.remove(0).allowed, comparison.allowed_unused)
        };
        let two = || vec![part("/image", &["a:1.30.0", "b:1.30.1"], 2), part("/args", &["x"], 1)];
        let (image, args) =
            ("- {pattern: /image, after: '*:1.30.*', reason: new}", "- {pattern: /args, reason: flags}");
        assert_eq!(allowed(image, two()), (None, vec![]));
        assert_eq!(allowed(&format!("{image}\n{args}"), two()), (Some("new; flags".to_owned()), vec![]));
        assert_eq!(allowed("- {pattern: 'container p*', reason: all}", two()).0.as_deref(), Some("all"));
        // One of the values is another, or not all of them are known.
        let other = vec![part("/image", &["a:1.30.0", "b:1.29.1"], 2)];
        assert_eq!(allowed(image, other), (None, vec!["/image".to_owned()]));
        assert_eq!(allowed(image, vec![part("/image", &["a:1.30.0"], 40)]).0, None);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(Allowed::parse("a: b").unwrap_err().contains("want a list"));
        assert!(Allowed::parse("- pattern: a").unwrap_err().contains("entry 1: missing field `reason`"));
        assert!(Allowed::parse("- {pattern: a, reason: b, befor: c}").unwrap_err().contains("befor"));
        assert!(Allowed::parse("").unwrap().0.is_empty());
    }
}
