//! What the injector makes of pods: snapshots of the pods in `inputs/`, properties of generated ones, cost of large ones.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod cost;
mod files;
mod properties;
mod support;
