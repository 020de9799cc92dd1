//! Many pods through the controllers.

use crate::Outcome;

pub(crate) fn table(_pods: usize) -> Outcome {
    Err("not yet".into())
}
