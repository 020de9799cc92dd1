//! Claims of storage.

use apimachinery::quantity::Quantity;
use apimachinery::value::Value;

use super::meta::invalid_each;
use super::selector::label_selector;
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{list, object, sub, text};
use crate::objects::names;

/// The spec of a PersistentVolumeClaim, or of a claim's template.
pub(crate) fn claim_spec(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let modes = list(spec, "accessModes");
    let modes_path = path.child("accessModes");
    if modes.is_empty() {
        errors.push(FieldError::required(&modes_path, "at least 1 access mode is required"));
    }
    label_selector(object(spec, "selector"), &path.child("selector"), errors);
    let known = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    let (mut once, mut other) = (false, false);
    for mode in modes.iter().filter_map(Value::as_str) {
        match mode {
            "ReadWriteOncePod" => once = true,
            mode if known.contains(&mode) => other = true,
            mode => errors.push(FieldError::not_supported(&modes_path, mode, &known)),
        }
    }
    if once && other {
        let detail = "may not use ReadWriteOncePod with other access modes";
        errors.push(FieldError::forbidden(&modes_path, detail));
    }
    let resources = path.child("resources");
    let path_of_storage = resources.key("storage");
    match sub(sub(spec, "resources"), "requests").get("storage").and_then(Value::as_str) {
        None => errors.push(FieldError::required(&path_of_storage, "")),
        Some(amount) => {
            if Quantity::parse(amount).is_some_and(|amount| amount.is_negative()) || amount == "0" {
                errors.push(FieldError::invalid_str(&path_of_storage, amount, "must be greater than zero"));
            }
        }
    }
    let class = text(spec, "storageClassName");
    if !class.is_empty() {
        invalid_each(errors, &path.child("storageClassName"), class, names::dns1123_subdomain(class));
    }
    if let Some(mode) = spec.get("volumeMode").and_then(Value::as_str)
        && !["Block", "Filesystem"].contains(&mode)
    {
        errors.push(FieldError::not_supported(&path.child("volumeMode"), mode, &["Block", "Filesystem"]));
    }
}
