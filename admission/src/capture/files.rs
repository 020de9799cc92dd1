//! Which files a path means.

use std::io;
use std::path::{Path, PathBuf};

/// The logs that a path means: the file itself, or the logs (`.jsonl`, `.jsonl.gz`, `.jsonl.zst`) of a directory, sorted by
/// name, which for recorded files is the order of their beginnings. Directories within are not entered.
///
/// # Errors
/// The path does not exist, or is a directory that cannot be read or holds no log.
pub fn logs(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files = recorded(path, "")?;
    if files.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "no .jsonl, .jsonl.gz or .jsonl.zst file in this directory",
        ));
    }
    Ok(files)
}

/// The logs of a directory whose names begin like this, sorted.
pub(super) fn recorded(directory: &Path, prefix: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let is_log = [".jsonl", ".jsonl.gz", ".jsonl.zst"].iter().any(|ending| name.ends_with(ending));
        if is_log && name.starts_with(prefix) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
