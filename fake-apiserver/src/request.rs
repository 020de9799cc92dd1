//! What a request's URL says: the resource and verb of its path, and its query.

mod counted;
pub(crate) mod path;
pub(crate) mod protobuf;
pub(crate) mod query;
