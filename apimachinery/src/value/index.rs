//! `value["field"]` and `value[0]`.

use std::ops;

use super::{Map, Text, Value};

/// What a value can be indexed by: a field's name, or a position.
pub trait Index {
    /// What is there.
    fn look_up<'a>(&self, value: &'a Value) -> Option<&'a Value>;
    /// What is there, to be changed.
    fn look_up_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value>;
    /// What is there, made if it is missing: a `null` becomes an object.
    ///
    /// # Panics
    /// The value is neither null nor an object, or not an array that is long enough.
    fn look_up_or_insert<'a>(&self, value: &'a mut Value) -> &'a mut Value;
}

impl Index for str {
    fn look_up<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        value.as_object()?.get(self)
    }

    fn look_up_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        value.as_object_mut()?.get_mut(self)
    }

    #[allow(clippy::panic)]
    fn look_up_or_insert<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        if value.is_null() {
            *value = Value::Object(Map::new());
        }
        match value {
            Value::Object(map) => map.entry(self).or_insert(Value::Null),
            _ => panic!("cannot set the field {self:?} of a JSON value that is no object"),
        }
    }
}

impl Index for usize {
    fn look_up<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        value.as_array()?.get(*self)
    }

    fn look_up_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        value.as_array_mut()?.get_mut(*self)
    }

    #[allow(clippy::panic)]
    fn look_up_or_insert<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        match self.look_up_mut(value) {
            Some(found) => found,
            None => panic!("no element {self} in the JSON value"),
        }
    }
}

impl Index for String {
    fn look_up<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.as_str().look_up(value)
    }

    fn look_up_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        self.as_str().look_up_mut(value)
    }

    fn look_up_or_insert<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        self.as_str().look_up_or_insert(value)
    }
}

impl Index for Text {
    fn look_up<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.as_str().look_up(value)
    }

    fn look_up_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        self.as_str().look_up_mut(value)
    }

    fn look_up_or_insert<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        self.as_str().look_up_or_insert(value)
    }
}

impl<T: Index + ?Sized> Index for &T {
    fn look_up<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        (**self).look_up(value)
    }

    fn look_up_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        (**self).look_up_mut(value)
    }

    fn look_up_or_insert<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        (**self).look_up_or_insert(value)
    }
}

impl<I: Index> ops::Index<I> for Value {
    type Output = Value;

    /// What is there, `null` if nothing is.
    fn index(&self, index: I) -> &Value {
        index.look_up(self).unwrap_or(&Value::Null)
    }
}

impl<I: Index> ops::IndexMut<I> for Value {
    fn index_mut(&mut self, index: I) -> &mut Value {
        index.look_up_or_insert(self)
    }
}
