use crate::value::{Map, Value};

use crate::go;

/// Why a strategic merge patch cannot be applied, in the apiserver's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A list item lacks the field that tells items apart.
    #[error("map: {map} does not contain declared merge key: {key}")]
    NoMergeKey {
        /// The item, as Go prints it.
        map: String,
        /// The field.
        key: String,
    },
    /// One type was needed and another given, in Go's names.
    #[error("expected a {expected}, but received a {actual}")]
    Argument {
        /// Such as `[]interface {}`.
        expected: &'static str,
        /// Such as `string`; `%!s(<nil>)` for null.
        actual: &'static str,
    },
    /// `$patch` has an unknown value.
    #[error("unknown patch type: {directive} in map: {map}")]
    Directive {
        /// The value.
        directive: String,
        /// The map, as Go prints it.
        map: String,
    },
    /// `$patch: merge` on a list item.
    #[error("merging lists cannot yet be specified in the patch")]
    MergeDirective,
    /// Lists within a merged list.
    #[error("lists of lists are not supported")]
    ListOfLists,
    /// A merged list mixes types.
    #[error("list element types are not identical: {lists}")]
    MixedTypes {
        /// Original and patch, as Go prints them.
        lists: String,
    },
    /// `$setElementOrder` names a list without items on either side.
    #[error("no elements in any of the given slices")]
    NoElements,
    /// A merged list of objects whose type names no merge key.
    #[error("cannot merge lists without merge key for type {kind}")]
    WithoutMergeKey {
        /// Go's kind of the items.
        kind: &'static str,
    },
    /// `$retainKeys` is not a list, or does not name every field of the patch.
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    /// `$deleteFromPrimitiveList` without a field name.
    #[error("invalid patch format of primitive list")]
    PrimitiveList,
    /// `$setElementOrder` without a field name.
    #[error("invalid patch format of setElementOrder list")]
    SetElementOrder,
    /// The patch's items stand in another order than `$setElementOrder` says, or are not named there.
    #[error("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n")]
    Order {
        /// As Go prints it.
        patch: String,
        /// As Go prints it.
        order: String,
    },
}

impl Error {
    pub(super) fn argument(expected: &Value, actual: &Value) -> Error {
        Error::Argument { expected: go::type_name(expected), actual: go::type_name(actual) }
    }

    pub(super) fn list_wanted(actual: &Value) -> Error {
        Error::Argument { expected: "[]interface {}", actual: go::type_name(actual) }
    }

    pub(super) fn map_wanted(actual: &Value) -> Error {
        Error::Argument { expected: "map[string]interface {}", actual: go::type_name(actual) }
    }

    pub(super) fn no_merge_key(map: &Map, key: &str) -> Error {
        Error::NoMergeKey { map: go::plain(&Value::Object(map.clone())), key: key.to_owned() }
    }

    pub(super) fn directive(directive: &Value, map: &Map) -> Error {
        Error::Directive { directive: go::plain(directive), map: go::plain(&Value::Object(map.clone())) }
    }
}
