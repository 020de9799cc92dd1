//! What runs on a node that is not there: a pod's containers as a person would find them.
//!
//! ```text
//! life ──► program ──► shell     when containers start, become ready, end, are started again
//!   process ─────────────┘       what `ps` shows in them
//!   log                          what they print
//! ```
//!
//! Everything here is a pure function of the pod and of the time: no image is pulled, nothing runs. Commands of a few
//! well-known programs (`sleep`, `echo`, `sh -c …`) do what they say, in virtual time; any other program runs until it is
//! stopped and prints nothing.

pub(crate) mod exec;
pub(crate) mod life;
pub(crate) mod log;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod shell;
mod workload;

use apimachinery::value::{List, Value};

use crate::objects::get::at;

pub use workload::Workload;
pub(crate) use workload::Workloads;

/// The text at a JSON pointer, `""` if there is none.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The list at a JSON pointer, empty if there is none.
fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    at(value, pointer).and_then(Value::as_array).map_or(&[], List::as_slice)
}

/// The containers of a pod by field of its spec.
const FIELDS: [(&str, &str); 3] = [
    ("/spec/containers", "/status/containerStatuses"),
    ("/spec/initContainers", "/status/initContainerStatuses"),
    ("/spec/ephemeralContainers", "/status/ephemeralContainerStatuses"),
];

/// A container of a pod and its status, by name.
pub(crate) fn container<'a>(pod: &'a Value, name: &str) -> Option<(&'a Value, Option<&'a Value>)> {
    FIELDS.iter().find_map(|(spec, status)| {
        let container = items(pod, spec).iter().find(|container| container["name"] == name)?;
        Some((container, items(pod, status).iter().find(|status| status["name"] == name)))
    })
}
