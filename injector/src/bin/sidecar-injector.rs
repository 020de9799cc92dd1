//! `sidecar-injector`.

fn main() {}
