//! patch: JSON Patch, merge patch, strategic merge patch, and server-side apply.

use super::call::{Call, Reply};
use super::meta;
use super::seam;
use super::update::{self, Change};
use crate::admission::Rejection;
use crate::core::Shared;
use crate::refusal;

/// The media types of patches, in the order in which the 415 lists them.
const MEDIA_TYPES: [&str; 5] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "application/apply-patch+cbor",
];

/// Server-side apply.
pub(crate) const APPLY: &str = "application/apply-patch+yaml";

/// The media type of a body without its parameters.
pub(crate) fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// PATCH of a named object or of a subresource in the object's own kind.
pub(crate) async fn patch(core: &Shared, call: &mut Call) -> Result<Reply, Rejection> {
    let media = media_type(&call.content_type).to_owned();
    let custom = call.resource.is_custom();
    let known = MEDIA_TYPES.contains(&media.as_str()) && !(custom && media.contains("strategic"));
    if !known || media.ends_with("cbor") {
        let refusal = Rejection::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
        return Err(refusal.with_details(apimachinery::value::Map::new()));
    }
    call.audit_patch();
    let options = meta::options_of(call, "UpdateOptions", "PatchOptions")?;
    seam::check_patch_options(call, media == APPLY)?;
    match core.store.get(&call.resource.table, &call.namespace, &call.name) {
        Some(stored) => update::write(core, call, stored, Change::Patch, options).await,
        None if media == APPLY && call.subresource.is_none() => {
            let options = meta::options_of(call, "CreateOptions", "PatchOptions")?;
            let mut object = seam::apply_to_nothing(core, call)?;
            let uid = meta::text(&object["metadata"], "uid");
            if !uid.is_empty() {
                let why =
                    format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
                return Err(refusal::conflict(&call.resource.gvk.group, &call.resource.plural, &call.name, &why));
            }
            meta::check_name(call, &mut object)?;
            super::create::create_decoded(core, call, object, options, false).await
        }
        None => Err(call.not_found()),
    }
}
