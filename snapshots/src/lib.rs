//! Pods to try an injector with: generated ones for property tests, large ones for tests of cost. The snapshots of what
//! an injector makes of the pods in `inputs/` are in `tests/`.
//!
//! ```text
//! generate::text ──► generate::container ──► generate::pod (legal)
//!                              └────────────► generate::wild
//! large: one pod, as big as asked for
//! ```

pub mod generate;
pub mod large;
