//! Go's error texts where no other module has them: encoding/base64.

mod base64;
mod json;

pub(crate) use apimachinery::go::quote;
pub(crate) use apimachinery::go_json::{check as check_json, kind_of};
pub(crate) use base64::decode as decode_base64;
pub(crate) use json::patch;
