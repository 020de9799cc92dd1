//! What the fuzz targets call. `entry.rs` is also compiled into the injector's tests, which replay the corpora.

pub mod entry;
