//! Objects: fields in the order of their names, which copies share until one of them is written to.

use std::fmt;

use ecow::EcoVec;

use super::{Text, Value};

/// A map that is filled in any order and put in order once, at its end.
#[derive(Default)]
pub struct Unordered(EcoVec<(Text, Value)>);

impl Unordered {
    /// Adds a field; of two with the same name the later one stays.
    pub fn push(&mut self, name: impl Into<Text>, value: Value) {
        self.0.push((name.into(), value));
    }

    /// The map.
    #[must_use]
    pub fn into_map(self) -> Map {
        Map::of_fields(self.0)
    }
}

/// Up to so many fields are looked through one by one.
const SHORT: usize = 16;

/// So many fields are set one by one.
const FEW: usize = 8;

/// The fields of an object, with the methods of `serde_json`'s map.
#[derive(Clone, Default)]
pub struct Map(EcoVec<(Text, Value)>);

impl Map {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self(EcoVec::new())
    }

    /// An empty one with room.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(EcoVec::with_capacity(capacity))
    }

    /// Of fields in any order; of two with the same name the later one stays.
    pub(super) fn of_fields(mut fields: EcoVec<(Text, Value)>) -> Self {
        if !fields.is_sorted_by(|a, b| a.0 < b.0) {
            fields.make_mut().sort_by(|a, b| a.0.cmp(&b.0));
            if fields.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                let mut once = EcoVec::with_capacity(fields.len());
                for (at, field) in fields.iter().enumerate() {
                    if fields.get(at + 1).is_none_or(|next| next.0 != field.0) {
                        once.push(field.clone());
                    }
                }
                fields = once;
            }
        }
        Self(fields)
    }

    /// Where a field stands, or would stand.
    fn search(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(key, _)| key.as_str().cmp(name))
    }

    /// Where a field stands. In a short run most names differ by their length already.
    fn position(&self, name: &str) -> Option<usize> {
        if self.0.len() > SHORT {
            return self.search(name).ok();
        }
        self.0.iter().position(|(key, _)| key.len() == name.len() && key.as_str() == name)
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.position(name).map(|at| &self.0[at].1)
    }

    /// The value of a field, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        let at = self.position(name)?;
        Some(&mut self.0.make_mut()[at].1)
    }

    /// A field with its name.
    #[must_use]
    pub fn get_key_value(&self, name: &str) -> Option<(&Text, &Value)> {
        self.position(name).map(|at| (&self.0[at].0, &self.0[at].1))
    }

    /// Whether there is such a field.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// Sets a field; the value that it had.
    pub fn insert(&mut self, name: impl Into<Text> + AsRef<str>, value: Value) -> Option<Value> {
        match self.search(name.as_ref()) {
            // What is there already is not written again: a shared map stays shared.
            Ok(at) if self.0[at].1 == value => Some(value),
            Ok(at) => Some(std::mem::replace(&mut self.0.make_mut()[at].1, value)),
            Err(at) => {
                self.0.insert(at, (name.into(), value));
                None
            }
        }
    }

    /// Takes a field away.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.remove_entry(name).map(|(_, value)| value)
    }

    /// Takes a field away, with its name.
    pub fn remove_entry(&mut self, name: &str) -> Option<(Text, Value)> {
        self.position(name).map(|at| self.0.remove(at))
    }

    /// Sets fields. Many are put in order together: each by itself would move all that lies behind it.
    pub fn insert_all(&mut self, fields: Vec<(Text, Value)>) {
        if fields.len() > FEW {
            self.extend(fields);
        } else {
            for (name, value) in fields {
                self.insert(name, value);
            }
        }
    }

    /// Takes fields away; the names are in order.
    pub fn remove_all(&mut self, names: &[Text]) {
        if names.iter().any(|name| self.contains_key(name)) {
            self.0.retain(|(name, _)| names.binary_search(name).is_err());
        }
    }

    /// A field that may be there.
    pub fn entry(&mut self, name: impl Into<Text> + AsRef<str>) -> Entry<'_> {
        match self.search(name.as_ref()) {
            Ok(at) => Entry { map: self, at, missing: None },
            Err(at) => Entry { map: self, at, missing: Some(name.into()) },
        }
    }

    /// Takes all fields of another.
    pub fn append(&mut self, other: &mut Map) {
        self.extend(std::mem::take(other));
    }

    /// Keeps the fields of which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&Text, &mut Value) -> bool) {
        self.0.retain(|(name, value)| keep(name, value));
    }

    /// Takes all fields away.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Names and values.
    pub fn iter(&self) -> Iter<'_> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Names and values, which may be changed.
    pub fn iter_mut(&mut self) -> IterMut<'_> {
        self.0.make_mut().iter_mut().map(|(name, value)| (&*name, value))
    }

    /// The names.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Text> + ExactSizeIterator + Clone {
        self.0.iter().map(|(name, _)| name)
    }

    /// The values.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// The values, which may be changed.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Value> + ExactSizeIterator {
        self.0.make_mut().iter_mut().map(|(_, value)| value)
    }

    /// The values alone.
    pub fn into_values(self) -> impl DoubleEndedIterator<Item = Value> + ExactSizeIterator {
        self.0.into_iter().map(|(_, value)| value)
    }

    pub(super) fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }

    /// Whether both stand in the same memory.
    #[must_use]
    pub fn is_same(&self, other: &Map) -> bool {
        self.0.len() == other.0.len() && std::ptr::eq(self.0.as_ptr(), other.0.as_ptr())
    }
}

/// Names and values.
pub(crate) type Iter<'a> =
    std::iter::Map<std::slice::Iter<'a, (Text, Value)>, fn(&'a (Text, Value)) -> (&'a Text, &'a Value)>;

/// Names and values, which may be changed.
pub(crate) type IterMut<'a> =
    std::iter::Map<std::slice::IterMut<'a, (Text, Value)>, fn(&'a mut (Text, Value)) -> (&'a Text, &'a mut Value)>;

/// A field that may be there.
pub struct Entry<'a> {
    map: &'a mut Map,
    at: usize,
    missing: Option<Text>,
}

impl<'a> Entry<'a> {
    /// The field's value, which is `value` if there was none.
    pub fn or_insert(self, value: Value) -> &'a mut Value {
        self.or_insert_with(|| value)
    }

    /// The field's value, which is made if there was none.
    pub fn or_insert_with(self, value: impl FnOnce() -> Value) -> &'a mut Value {
        let Self { map, at, missing } = self;
        if let Some(name) = missing {
            map.0.insert(at, (name, value()));
        }
        &mut map.0.make_mut()[at].1
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Map) -> bool {
        self.is_same(other) || self.0 == other.0
    }
}

impl Eq for Map {}

impl std::hash::Hash for Map {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl std::ops::Index<&str> for Map {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }
}

impl std::ops::IndexMut<&str> for Map {
    fn index_mut(&mut self, name: &str) -> &mut Value {
        self.entry(name).or_insert(Value::Null)
    }
}

impl<K: Into<Text>> FromIterator<(K, Value)> for Map {
    fn from_iter<T: IntoIterator<Item = (K, Value)>>(fields: T) -> Self {
        Self::of_fields(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl Extend<(Text, Value)> for Map {
    fn extend<T: IntoIterator<Item = (Text, Value)>>(&mut self, fields: T) {
        self.0.extend(fields);
        *self = Self::of_fields(std::mem::take(&mut self.0));
    }
}

impl Extend<(String, Value)> for Map {
    fn extend<T: IntoIterator<Item = (String, Value)>>(&mut self, fields: T) {
        self.extend(fields.into_iter().map(|(name, value)| (Text::from(name), value)));
    }
}

impl IntoIterator for Map {
    type Item = (Text, Value);
    type IntoIter = ecow::vec::IntoIter<(Text, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a Text, &'a Value);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Map {
    type Item = (&'a Text, &'a mut Value);
    type IntoIter = IterMut<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}
