//! `towtank`.

fn main() {}
