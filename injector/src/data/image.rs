//! The proxy's image names.

use apimachinery::value::Value;

use crate::value::{Value as View, format};

/// Image types that may stand at the end of a tag.
const TYPES: [&str; 2] = ["distroless", "debug"];

/// `hub/name:tag[-type]`.
///
/// `image` is the name from the values; `kind` the image type asked for, `default` meaning none. A known type at the end of
/// the tag is replaced. A tag that is a number prints as Go prints a float.
pub(crate) fn url(values: &Value, image: Option<&str>, kind: &str) -> String {
    let global = values.get("global");
    let text = |key: &str| match global.and_then(|g| g.get(key)) {
        None | Some(Value::Null) => String::new(),
        Some(value) => format::sprint(&View::free(value)),
    };
    let hub = text("hub");
    let mut tag = text("tag");
    let name = image.filter(|n| !n.is_empty()).unwrap_or("proxyv2");
    if !kind.is_empty() {
        for known in TYPES {
            if let Some(base) = tag.strip_suffix(known).and_then(|t| t.strip_suffix('-')) {
                tag = base.to_owned();
                break;
            }
        }
        if kind != "default" {
            tag = format!("{tag}-{kind}");
        }
    }
    format!("{hub}/{name}:{tag}")
}
