//! `fake-apiserver`.

fn main() {}
