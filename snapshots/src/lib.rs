//! Snapshot and property tests of patches.
