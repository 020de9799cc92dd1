//! What the apiserver knows about the fields of its types: kinds, merge keys, list types, defaults, enumerations.
//!
//! The table behind it is compacted from the OpenAPI v3 documents that kube-apiserver v1.36.2 serves, by
//! `cargo run -p apimachinery --example schema-tables`. It is read once, at first use.

mod tables;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Deref;

use crate::value::Value;

/// The type of an object or of a part of one.
#[derive(Debug)]
pub struct Type {
    name: &'static str,
    atomic: bool,
    kinds: Vec<GroupVersionKind>,
    /// Sorted by name.
    fields: Vec<Field>,
}

/// A kind with its API group and version; the core group is `""`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupVersionKind {
    /// `""` for the core group.
    pub group: &'static str,
    /// Such as `v1`.
    pub version: &'static str,
    /// Such as `Pod`.
    pub kind: &'static str,
}

/// One field of a [`Type`].
#[derive(Debug)]
pub struct Field {
    /// As it stands in JSON.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether the API reference lists it as required.
    pub required: bool,
    /// `x-kubernetes-patch-strategy`.
    pub strategy: Strategy,
    /// Whether `x-kubernetes-patch-strategy` has `retainKeys` in it.
    pub retain_keys: bool,
    /// `x-kubernetes-patch-merge-key`: by which field strategic merge tells list items apart.
    pub merge_key: Option<&'static str>,
    /// `x-kubernetes-list-type`; `None` where the API says nothing, which server-side apply takes as atomic.
    pub list_type: Option<ListType>,
    /// `x-kubernetes-list-map-keys`: by which fields server-side apply tells list items apart.
    pub list_map_keys: Vec<&'static str>,
    /// `x-kubernetes-map-type: atomic` on the field or on its type: server-side apply owns it as a whole.
    pub atomic: bool,
    /// What the apiserver writes when the field is absent, as its OpenAPI says. `{}` marks a part that is always there,
    /// `""` and `0` a scalar that Go's encoder always prints.
    pub default: Option<Value>,
    /// The values allowed; empty if any.
    pub enum_values: Vec<&'static str>,
}

/// How strategic merge treats a list or a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Nothing said: maps are merged, lists replaced.
    #[default]
    Unset,
    /// Lists are merged as well.
    Merge,
    /// Maps are replaced as well.
    Replace,
}

/// How server-side apply treats a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListType {
    /// One owner for the whole list.
    Atomic,
    /// Scalars without order, each with its owner.
    Set,
    /// Items told apart by [`Field::list_map_keys`].
    Map,
}

/// What a field, a map's values or a list's items hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// A double.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A `resource.Quantity`: a string, or a number on the way in.
    Quantity,
    /// A number or a string such as `25%` or a port's name.
    IntOrString,
    /// RFC 3339 to the second.
    Time,
    /// RFC 3339 to the microsecond.
    MicroTime,
    /// Base64.
    Bytes,
    /// An object with arbitrary keys.
    Map(Box<Kind>),
    /// A list.
    List(Box<Kind>),
    /// An object with known fields.
    Object(TypeRef),
    /// Anything at all.
    Any,
}

/// A reference to a [`Type`] of the table; types refer to each other in circles (`JSONSchemaProps`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeRef(u16);

impl Deref for TypeRef {
    type Target = Type;

    fn deref(&self) -> &'static Type {
        tables::tables().get(self.0)
    }
}

impl TypeRef {
    /// The type, for as long as the program runs.
    pub fn get(self) -> &'static Type {
        tables::tables().get(self.0)
    }
}

impl fmt::Debug for TypeRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TypeRef({})", self.name)
    }
}

impl Type {
    /// The name in the OpenAPI, such as `io.k8s.api.core.v1.PodSpec`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The name Go's error messages give a field's owner: `PodSpec`.
    pub fn short_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// The name Go's error messages give a value's type: `v1.PodSpec`.
    pub fn go_name(&self) -> &'static str {
        match self.name.rmatch_indices('.').nth(1) {
            Some((at, _)) => &self.name[at + 1..],
            None => self.name,
        }
    }

    /// The kinds that objects of this type go by; none for a part of an object.
    pub fn kinds(&self) -> &[GroupVersionKind] {
        &self.kinds
    }

    /// Whether server-side apply owns values of this type as a whole.
    pub fn atomic(&self) -> bool {
        self.atomic
    }

    /// All fields, sorted by name.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let at = self.fields.binary_search_by(|field| field.name.cmp(name)).ok()?;
        self.fields.get(at)
    }
}

impl Field {
    /// The type of the field's value, or of its items or values if it is a list or a map of objects.
    pub fn object(&self) -> Option<&'static Type> {
        let mut kind = &self.kind;
        loop {
            match kind {
                Kind::List(inner) | Kind::Map(inner) => kind = inner,
                Kind::Object(reference) => return Some(reference.get()),
                _ => return None,
            }
        }
    }
}

impl Kind {
    /// The name Go's error messages give a value of this kind: `string`, `[]v1.Container`, `map[string]string`.
    pub fn go_name(&self) -> String {
        match self {
            Kind::String | Kind::Time | Kind::MicroTime | Kind::Quantity | Kind::IntOrString => "string".to_owned(),
            Kind::Int32 => "int32".to_owned(),
            Kind::Int64 => "int64".to_owned(),
            Kind::Number => "float64".to_owned(),
            Kind::Boolean => "bool".to_owned(),
            Kind::Bytes => "[]uint8".to_owned(),
            Kind::Map(inner) => format!("map[string]{}", inner.go_name()),
            Kind::List(inner) => format!("[]{}", inner.go_name()),
            Kind::Object(reference) => reference.go_name().to_owned(),
            Kind::Any => "interface {}".to_owned(),
        }
    }
}

/// The type of a kind: group `""` for the core one.
pub fn lookup(group: &str, version: &str, kind: &str) -> Option<&'static Type> {
    tables::tables().by_kind(group, version, kind)
}

/// The type with that OpenAPI name, such as `io.k8s.api.core.v1.Container`.
pub fn named(name: &str) -> Option<&'static Type> {
    tables::tables().by_name(name)
}

/// `v1` `Pod`.
pub fn pod() -> &'static Type {
    tables::tables().pod()
}
