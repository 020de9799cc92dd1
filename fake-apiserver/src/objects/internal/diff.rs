//! Unified diffs, three lines of context, with the hunks that Python's difflib (and its ports) would make.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

const CONTEXT: usize = 3;
/// From this many lines on, lines that make up more than a hundredth of the text are no anchors.
const POPULAR_FROM: usize = 200;

/// The difference of two texts, without the lines that name the files; empty when there is none.
pub(super) fn unified(old: &str, new: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
    let mut out = String::new();
    for hunk in hunks(&changes(&a, &b)) {
        write_hunk(&mut out, &a, &b, &hunk);
    }
    out
}

/// A stretch of lines that differs.
#[derive(Debug, Clone)]
struct Change {
    old: Range<usize>,
    new: Range<usize>,
}

fn changes(a: &[&str], b: &[&str]) -> Vec<Change> {
    let mut matches = matching_blocks(a, b);
    matches.push((a.len(), b.len(), 0));
    let mut changes: Vec<Change> = Vec::new();
    let (mut i, mut j) = (0, 0);
    for (at_a, at_b, length) in matches {
        if i < at_a || j < at_b {
            changes.push(Change { old: i..at_a, new: j..at_b });
        }
        (i, j) = (at_a + length, at_b + length);
    }
    changes
}

/// Stretches that are equal: the longest first, then what is left and right of it.
fn matching_blocks(a: &[&str], b: &[&str]) -> Vec<(usize, usize, usize)> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, line) in b.iter().enumerate() {
        places.entry(line).or_default().push(index);
    }
    if b.len() >= POPULAR_FROM {
        let most = b.len() / 100 + 1;
        places.retain(|_, found| found.len() <= most);
    }
    let mut queue = vec![(0..a.len(), 0..b.len())];
    let mut blocks = Vec::new();
    while let Some((in_a, in_b)) = queue.pop() {
        let (i, j, length) = longest(a, b, &places, in_a.clone(), in_b.clone());
        if length > 0 {
            blocks.push((i, j, length));
            queue.push((in_a.start..i, in_b.start..j));
            queue.push((i + length..in_a.end, j + length..in_b.end));
        }
    }
    blocks.sort_unstable();
    blocks
}

fn longest(
    a: &[&str],
    b: &[&str],
    places: &HashMap<&str, Vec<usize>>,
    in_a: Range<usize>,
    in_b: Range<usize>,
) -> (usize, usize, usize) {
    let (mut best_a, mut best_b, mut best) = (in_a.start, in_b.start, 0);
    let mut lengths: HashMap<usize, usize> = HashMap::new();
    for i in in_a.clone() {
        let mut next = HashMap::new();
        for &j in places.get(a[i]).map_or(&[][..], Vec::as_slice) {
            if j < in_b.start {
                continue;
            }
            if j >= in_b.end {
                break;
            }
            let length = j.checked_sub(1).and_then(|before| lengths.get(&before)).copied().unwrap_or(0) + 1;
            next.insert(j, length);
            if length > best {
                (best_a, best_b, best) = (i + 1 - length, j + 1 - length, length);
            }
        }
        lengths = next;
    }
    // Popular lines are no anchors, but they belong to the stretch when they are next to it.
    while best_a > in_a.start && best_b > in_b.start && a[best_a - 1] == b[best_b - 1] {
        (best_a, best_b, best) = (best_a - 1, best_b - 1, best + 1);
    }
    while best_a + best < in_a.end && best_b + best < in_b.end && a[best_a + best] == b[best_b + best] {
        best += 1;
    }
    (best_a, best_b, best)
}

/// Changes that share their context go together.
fn hunks(changes: &[Change]) -> Vec<Vec<Change>> {
    let mut hunks: Vec<Vec<Change>> = Vec::new();
    for change in changes {
        let near = hunks
            .last()
            .and_then(|hunk| hunk.last())
            .is_some_and(|last| change.old.start - last.old.end <= 2 * CONTEXT);
        match hunks.last_mut() {
            Some(hunk) if near => hunk.push(change.clone()),
            _ => hunks.push(vec![change.clone()]),
        }
    }
    hunks
}

fn write_hunk(out: &mut String, a: &[&str], b: &[&str], hunk: &[Change]) {
    let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { return };
    let before = first.old.start.min(first.new.start).min(CONTEXT);
    let after = (a.len() - last.old.end).min(CONTEXT);
    let old = first.old.start - before..last.old.end + after;
    let new = first.new.start - before..last.new.end + after;
    let _ = writeln!(out, "@@ -{} +{} @@", range(&old), range(&new));
    let mut at = old.start;
    let mut lines = |mark: char, lines: &[&str]| {
        for line in lines {
            let _ = writeln!(out, "{mark}{line}");
        }
    };
    for change in hunk {
        lines(' ', &a[at..change.old.start]);
        lines('-', &a[change.old.clone()]);
        lines('+', &b[change.new.clone()]);
        at = change.old.end;
    }
    lines(' ', &a[at..old.end]);
}

fn range(lines: &Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => format!("{}", lines.start + 1),
        length => format!("{},{length}", lines.start + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_with_context() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16";
        let new = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n11\n12\n13\n15\n16";
        assert_eq!(
            unified(old, new),
            "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n@@ -11,6 +11,5 @@\n 11\n 12\n 13\n-14\n 15\n 16\n"
        );
        assert_eq!(unified(old, old), "");
    }
}
