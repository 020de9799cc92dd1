//! The corpora of the fuzz targets, through the same functions that the fuzzer calls: see fuzz/README.md.

#[allow(unreachable_pub, reason = "a library where the fuzzer builds it")]
#[path = "../../../fuzz/src/entry.rs"]
mod entry;

use std::path::Path;

/// Every file of a corpus; the target panics if something does not hold.
fn replay(target: &str, function: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 6, "{}: only {} files", folder.display(), paths.len());
    for path in paths {
        let data = std::fs::read(&path).unwrap();
        let done = std::panic::catch_unwind(|| function(&data));
        assert!(done.is_ok(), "{} does not hold: see the message above", path.display());
    }
}

#[test]
fn reviews() {
    replay("review", entry::review);
}

#[test]
fn config_maps() {
    replay("configmap", entry::configmap);
}

#[test]
fn templates() {
    replay("template", entry::template);
}
