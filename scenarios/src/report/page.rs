//! What a report shows, whatever it is about: the renderers know only this.

use std::collections::BTreeMap;

use apimachinery::value::Value;
use apimachinery::yaml;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

/// Lines of an object that are shown; what is longer is cut.
const LINES: usize = 3000;

/// A report, before it is rendered.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// What it is about.
    pub title: String,
    /// Whether all is well.
    pub ok: bool,
    /// The outcome in a sentence.
    pub summary: String,
    /// Figures, as label and value.
    pub facts: Vec<(String, String)>,
    /// How long answers took.
    pub latencies: Vec<Latencies>,
    /// What the entries are called: `Differences`, `Laws`.
    pub heading: String,
    /// What was found.
    pub entries: Vec<Entry>,
    /// What the list is called: `Pods`.
    pub listed: String,
    /// Names of the list's columns.
    pub columns: Vec<String>,
    /// The list.
    pub rows: Vec<Row>,
    /// Items that belong into the list and are not in it.
    pub unlisted: u64,
}

/// A histogram.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Latencies {
    /// Of what.
    pub name: String,
    /// Times in microseconds and how many were that long, ascending.
    pub counts: Vec<(u64, u64)>,
}

/// How an entry is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Nothing to do.
    #[default]
    Fine,
    /// Something is wrong, or differs unexpectedly.
    Bad,
    /// Somebody said that it would be so.
    Expected,
    /// For information.
    Note,
}

/// Something that was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Rows refer to it.
    pub id: String,
    /// In a line.
    pub title: String,
    /// How it is meant.
    pub status: Status,
    /// How many reviews.
    pub count: u64,
    /// More about it, a line each.
    pub lines: Vec<String>,
    /// Blast radius: by what, and how many reviews of each.
    pub radius: Vec<(String, BTreeMap<String, u64>)>,
    /// The example: `namespace/name`.
    pub example: String,
    /// Names of the sides.
    pub sides: (String, String),
    /// The example side by side: `=`, `~`, `-` or `+`, the left line and the right line.
    pub diff: Vec<(char, String, String)>,
    /// The smallest object that shows it, as YAML.
    pub minimal: String,
    /// Seconds it took, where it took any.
    pub seconds: f64,
}

/// A row of the list.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// One for each column.
    pub cells: Vec<String>,
    /// Ids of its entries.
    pub entries: Vec<String>,
}

impl Page {
    pub(super) fn fact(&mut self, label: &str, value: impl ToString) {
        self.facts.push((label.to_owned(), value.to_string()));
    }
}

/// Two objects side by side; nothing if there are none.
pub(super) fn side_by_side(before: &Value, after: &Value) -> Vec<(char, String, String)> {
    if before.is_null() && after.is_null() {
        return Vec::new();
    }
    let (before, after) = (text(before), text(after));
    let diff = TextDiff::from_lines(&before, &after);
    let (mut out, mut gone, mut come) = (Vec::new(), Vec::new(), Vec::new());
    for change in diff.iter_all_changes() {
        let line = change.value().trim_end_matches('\n').to_owned();
        match change.tag() {
            ChangeTag::Delete => gone.push(line),
            ChangeTag::Insert => come.push(line),
            ChangeTag::Equal => {
                pair(&mut gone, &mut come, &mut out);
                out.push(('=', line.clone(), line));
            }
        }
    }
    pair(&mut gone, &mut come, &mut out);
    out
}

fn pair(gone: &mut Vec<String>, come: &mut Vec<String>, out: &mut Vec<(char, String, String)>) {
    let (mut left, mut right) = (gone.drain(..), come.drain(..));
    loop {
        match (left.next(), right.next()) {
            (Some(left), Some(right)) => out.push(('~', left, right)),
            (Some(left), None) => out.push(('-', left, String::new())),
            (None, Some(right)) => out.push(('+', String::new(), right)),
            (None, None) => return,
        }
    }
}

/// An object as YAML, cut to what a page can show.
pub(super) fn text(value: &Value) -> String {
    if value.is_null() {
        return String::new();
    }
    let text = yaml::to_string(value);
    match text.match_indices('\n').nth(LINES) {
        Some((end, _)) => format!("{}\n… cut after {LINES} lines\n", &text[..end]),
        None => text,
    }
}
