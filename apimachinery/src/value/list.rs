//! Arrays: a run of values that copies share until one of them is written to.

use std::fmt;
use std::ops::{Deref, DerefMut};

use ecow::EcoVec;

use super::Value;

/// The elements of an array: a slice, with what of `Vec`'s methods is used.
#[derive(Clone, Default)]
pub struct List(EcoVec<Value>);

impl List {
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

    /// Appends a value.
    pub fn push(&mut self, value: Value) {
        self.0.push(value);
    }

    /// Takes the last value.
    pub fn pop(&mut self) -> Option<Value> {
        self.0.pop()
    }

    /// Puts a value before the one at `index`.
    ///
    /// # Panics
    /// `index` is beyond the end.
    pub fn insert(&mut self, index: usize, value: Value) {
        self.0.insert(index, value);
    }

    /// Takes the value at `index`.
    ///
    /// # Panics
    /// There is none.
    pub fn remove(&mut self, index: usize) -> Value {
        self.0.remove(index)
    }

    /// Keeps the values of which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&Value) -> bool) {
        // What is kept whole stays shared.
        let Some(first) = self.0.iter().position(|value| !keep(value)) else { return };
        let rest = self.0.iter().skip(first + 1).filter(|value| keep(value));
        let kept = self.0.iter().take(first).chain(rest).cloned().collect();
        self.0 = kept;
    }

    /// Keeps the values of which `keep` says so, which may change them.
    pub fn retain_mut(&mut self, keep: impl FnMut(&mut Value) -> bool) {
        self.0.retain(keep);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the first values.
    pub fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    /// Takes all values away.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Room for more values.
    pub fn reserve(&mut self, additional: usize) {
        self.0.reserve(additional);
    }

    /// The values as a slice.
    #[must_use]
    pub fn as_slice(&self) -> &[Value] {
        &self.0
    }

    /// Whether both stand in the same memory.
    #[must_use]
    pub fn is_same(&self, other: &List) -> bool {
        self.0.len() == other.0.len() && std::ptr::eq(self.0.as_ptr(), other.0.as_ptr())
    }
}

impl Deref for List {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.0
    }
}

impl DerefMut for List {
    fn deref_mut(&mut self) -> &mut [Value] {
        self.0.make_mut()
    }
}

impl PartialEq for List {
    fn eq(&self, other: &List) -> bool {
        self.is_same(other) || self.0 == other.0
    }
}

impl Eq for List {}

impl std::hash::Hash for List {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq<Vec<Value>> for List {
    fn eq(&self, other: &Vec<Value>) -> bool {
        *self.as_slice() == **other
    }
}

impl PartialEq<[Value]> for List {
    fn eq(&self, other: &[Value]) -> bool {
        self.as_slice() == other
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl From<Vec<Value>> for List {
    fn from(values: Vec<Value>) -> Self {
        Self(values.into())
    }
}

impl From<&[Value]> for List {
    fn from(values: &[Value]) -> Self {
        Self(values.into())
    }
}

impl From<List> for Vec<Value> {
    fn from(list: List) -> Self {
        list.into_iter().collect()
    }
}

impl<const N: usize> From<[Value; N]> for List {
    fn from(values: [Value; N]) -> Self {
        Self(values.into())
    }
}

impl FromIterator<Value> for List {
    fn from_iter<T: IntoIterator<Item = Value>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

impl Extend<Value> for List {
    fn extend<T: IntoIterator<Item = Value>>(&mut self, values: T) {
        self.0.extend(values);
    }
}

impl IntoIterator for List {
    type Item = Value;
    type IntoIter = ecow::vec::IntoIter<Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a List {
    type Item = &'a Value;
    type IntoIter = std::slice::Iter<'a, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a mut List {
    type Item = &'a mut Value;
    type IntoIter = std::slice::IterMut<'a, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.make_mut().iter_mut()
    }
}
