//! The recorded cases: read from the pack beside these tests, and how the pack is made.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use apimachinery::value::Value;

const PACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/vectors.jsonl.zst");
/// Where the recordings are looked for when the pack is made, unless `APISERVER_VECTORS` says otherwise.
const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/apiserver/vectors");
/// Log2 of zstd's window: cases repeat what others, megabytes away, have said.
const WINDOW: u32 = 27;

static LINES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let packed = std::fs::read(PACK).unwrap_or_else(|error| panic!("{PACK}: {error}"));
    let text = zstd::decode_all(packed.as_slice()).unwrap();
    String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
});

/// The group of a case, `deny` of `deny/no-message`: a line begins with the case's id.
fn group_of(line: &str) -> &str {
    line.strip_prefix("{\"id\":\"").and_then(|rest| rest.split('/').next()).unwrap_or_default()
}

/// The cases of a group, each as recorded.
pub(crate) fn cases(group: &str) -> Vec<Value> {
    LINES.iter().filter(|line| group_of(line) == group).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// All groups in the pack, sorted.
pub(crate) fn groups() -> Vec<String> {
    let mut groups: Vec<String> = LINES.iter().map(|line| group_of(line).to_owned()).collect();
    groups.sort();
    groups.dedup();
    groups
}

/// The ids of all cases.
pub(crate) fn ids() -> Vec<String> {
    let id = |line: &str| line.split('"').nth(3).unwrap_or_default().to_owned();
    LINES.iter().map(|line| id(line)).collect()
}

/// JSON without spaces between its tokens; everything else, the order of keys included, stays.
pub(crate) fn minified(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for letter in json.chars() {
        if quoted {
            quoted = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
        } else if letter.is_ascii_whitespace() {
            continue;
        } else {
            quoted = letter == '"';
        }
        out.push(letter);
    }
    out
}

/// Makes the pack anew from the recordings.
pub(crate) fn make() {
    let root = std::env::var_os("APISERVER_VECTORS").map_or_else(|| PathBuf::from(RECORDINGS), PathBuf::from);
    let sorted = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let mut lines = String::new();
    for group in sorted(&root).iter().filter(|path| path.is_dir()) {
        for case in sorted(group).iter().filter(|path| path.extension().is_some_and(|name| name == "json")) {
            lines.push_str(&minified(&std::fs::read_to_string(case).unwrap()));
            lines.push('\n');
        }
    }
    let mut encoder = zstd::Encoder::new(Vec::new(), 19).unwrap();
    encoder.long_distance_matching(true).unwrap();
    encoder.window_log(WINDOW).unwrap();
    std::io::Write::write_all(&mut encoder, lines.as_bytes()).unwrap();
    std::fs::write(PACK, encoder.finish().unwrap()).unwrap();
}
