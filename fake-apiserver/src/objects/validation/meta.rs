//! `metadata`: what every kind has to keep.

use apimachinery::value::Value;

use crate::objects::field::{FieldError, Path};
use crate::objects::get::{entries, flag, int, list, sub, text};
use crate::objects::names::{self, Messages};

/// Most bytes that all annotations of an object may have together, keys included.
const ANNOTATION_BYTES: usize = 256 * 1024;

/// What a name of a kind must look like.
pub(crate) type NameFormat = fn(&str) -> Messages;

/// Adds one `Invalid` error per message.
pub(crate) fn invalid_each(errors: &mut Vec<FieldError>, path: &Path<'_>, value: &str, messages: Messages) {
    errors.extend(messages.into_iter().map(|message| FieldError::invalid_str(path, value, message)));
}

/// `metadata` of an object about to be created.
pub(crate) fn create(object: &Value, namespaced: bool, format: NameFormat, errors: &mut Vec<FieldError>) {
    create_with(object, namespaced, format, false, errors);
}

/// The same; labels and annotations that are known to be `sound` are not looked at again.
pub(crate) fn create_with(
    object: &Value,
    namespaced: bool,
    format: NameFormat,
    sound: bool,
    errors: &mut Vec<FieldError>,
) {
    let root = Path::root("metadata");
    let metadata = sub(object, "metadata");
    let generate_name = text(metadata, "generateName");
    if !generate_name.is_empty() {
        let messages = names::object_name(generate_name, true, format);
        invalid_each(errors, &root.child("generateName"), generate_name, messages);
    }
    let name = text(metadata, "name");
    if name.is_empty() {
        errors.push(FieldError::required(&root.child("name"), "name or generateName is required"));
    } else {
        invalid_each(errors, &root.child("name"), name, format(name));
    }
    let namespace = text(metadata, "namespace");
    let namespace_path = root.child("namespace");
    if namespaced {
        if namespace.is_empty() {
            errors.push(FieldError::required(&namespace_path, ""));
        } else {
            invalid_each(errors, &namespace_path, namespace, names::dns1123_label(namespace));
        }
    } else if !namespace.is_empty() {
        errors.push(FieldError::forbidden(&namespace_path, "not allowed on this type"));
    }
    if let Some(generation) = int(metadata, "generation").filter(|generation| *generation < 0) {
        let path = root.child("generation");
        errors.push(FieldError::invalid(&path, &Value::from(generation), "must be greater than or equal to 0"));
    }
    if !sound {
        labels(metadata, "labels", &root, errors);
        annotations(metadata, &root.child("annotations"), errors);
    }
    owners_and_finalizers(metadata, &root, errors);
    for (index, finalizer) in list(metadata, "finalizers").iter().enumerate() {
        let name = finalizer.as_str().unwrap_or_default();
        if !name.contains('/') && !matches!(name, "kubernetes" | "orphan" | "foregroundDeletion") {
            let list_path = root.child("finalizers");
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid_str(&list_path.index(index), name, detail));
        }
    }
}

/// What is checked alike on creation and on update, behind labels and annotations.
fn owners_and_finalizers(metadata: &Value, root: &Path<'_>, errors: &mut Vec<FieldError>) {
    owner_references(metadata, &root.child("ownerReferences"), errors);
    let path = root.child("finalizers");
    let mut orphan = false;
    let mut foreground = false;
    for finalizer in list(metadata, "finalizers") {
        let name = finalizer.as_str().unwrap_or_default();
        invalid_each(errors, &path, name, names::qualified_name(name));
        orphan |= name == "orphan";
        foreground |= name == "foregroundDeletion";
    }
    if orphan && foreground {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid(&path, sub(metadata, "finalizers"), detail));
    }
}

/// A map of labels (`metadata.labels`, `spec.nodeSelector`).
pub(crate) fn labels(parent: &Value, field: &str, parent_path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = parent_path.child(field);
    for (key, value) in entries(parent, field) {
        invalid_each(errors, &path, key, names::qualified_name(key));
        let value = value.as_str().unwrap_or_default();
        invalid_each(errors, &path, value, names::label_value(value));
    }
}

/// A map of annotations.
pub(crate) fn annotations(metadata: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut size = 0;
    for (key, value) in entries(metadata, "annotations") {
        // Case does not matter in annotation keys.
        invalid_each(errors, path, key, names::qualified_name(&key.to_lowercase()));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATION_BYTES {
        errors.push(FieldError::too_long(path, ANNOTATION_BYTES));
    }
}

/// A reference to an owner, its fields in the order of the type.
fn owner(reference: &Value) -> String {
    let fields = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let shown = fields.iter().filter_map(|field| Some(format!("\"{field}\":{}", reference.get(*field)?)));
    format!("{{{}}}", shown.collect::<Vec<_>>().join(","))
}

/// How many controllers beside the first are told: each time all owners are.
const FURTHER_CONTROLLERS: usize = 8;

fn owner_references(metadata: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (mut controller, mut further): (Option<String>, usize) = (None, 0);
    for reference in list(metadata, "ownerReferences") {
        let api_version = text(reference, "apiVersion");
        let version = api_version.rsplit('/').next().unwrap_or_default();
        if version.is_empty() {
            errors.push(FieldError::invalid_str(&path.child("apiVersion"), api_version, "version must not be empty"));
        }
        for field in ["kind", "name", "uid"] {
            if text(reference, field).is_empty() {
                errors.push(FieldError::invalid_str(&path.child(field), "", "must not be empty"));
            }
        }
        if api_version == "v1" && text(reference, "kind") == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid_printed(path, owner(reference), detail));
        }
        if flag(reference, "controller") == Some(true) {
            let name = format!("{}/{}", text(reference, "kind"), text(reference, "name"));
            if let Some(first) = &controller {
                further += 1;
                if further > FURTHER_CONTROLLERS {
                    continue;
                }
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                );
                let all: Vec<String> = list(metadata, "ownerReferences").iter().map(owner).collect();
                errors.push(FieldError::invalid_printed(path, format!("[{}]", all.join(",")), detail));
            } else {
                controller = Some(name);
            }
        }
    }
}

/// `metadata` of an object that replaces another one.
pub(crate) fn update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let root = Path::root("metadata");
    let (new, old) = (sub(new, "metadata"), sub(old, "metadata"));
    if old.get("deletionTimestamp").is_some() {
        let before = list(old, "finalizers");
        let added: Vec<&str> =
            list(new, "finalizers").iter().filter(|name| !before.contains(name)).filter_map(Value::as_str).collect();
        if !added.is_empty() {
            let quoted: Vec<String> = added.iter().map(|name| apimachinery::go::quote(name)).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                quoted.join(", ")
            );
            errors.push(FieldError::forbidden(&root.child("finalizers"), detail));
        }
    }
    let generation = int(new, "generation").unwrap_or(0);
    if generation < int(old, "generation").unwrap_or(0) {
        let path = root.child("generation");
        errors.push(FieldError::invalid(&path, &Value::from(generation), "must not be decremented"));
    }
    for field in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        immutable(new, old, field, &root, errors);
    }
    labels(new, "labels", &root, errors);
    annotations(new, &root.child("annotations"), errors);
    owners_and_finalizers(new, &root, errors);
}

/// An error if a field is not what it was.
pub(crate) fn immutable(new: &Value, old: &Value, field: &str, parent: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (new, old) = (new.get(field), old.get(field));
    if new != old {
        let empty = if matches!(field, "name" | "namespace" | "uid") { Value::from("") } else { Value::Null };
        errors.push(FieldError::invalid(&parent.child(field), new.unwrap_or(&empty), "field is immutable"));
    }
}
