//! Markdown for a pull request.

use std::fmt::Write;

use super::page::{Entry, Page, Status};

/// Entries that are shown with an example.
const SHOWN: usize = 20;
/// Entries in the table; a comment on a pull request has a limit.
const TABLE: usize = 100;
/// Lines of an example.
const LINES: usize = 60;

/// The page as Markdown, of the kind that GitHub and GitLab show.
#[must_use]
pub fn markdown(page: &Page) -> String {
    let mut out = String::new();
    // Writing into a String does not fail.
    let _ = write!(
        out,
        "## {} {}\n\n{}\n\n",
        if page.ok { "✅" } else { "❌" },
        escaped(&page.title),
        escaped(&page.summary)
    );
    if !page.entries.is_empty() {
        let _ = writeln!(out, "| | {} | reviews | where |\n|---|---|--:|---|", page.heading);
        for entry in page.entries.iter().take(TABLE) {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} |",
                mark(entry.status),
                escaped(&entry.title),
                entry.count,
                escaped(&radius(entry))
            );
        }
        if page.entries.len() > TABLE {
            let _ = writeln!(out, "| | and {} more | | |", page.entries.len() - TABLE);
        }
        out.push('\n');
    }
    for entry in page.entries.iter().filter(|entry| entry.status == Status::Bad).take(SHOWN) {
        details(&mut out, entry);
    }
    let facts: Vec<String> =
        page.facts.iter().map(|(label, value)| format!("{}: {}", escaped(label), escaped(value))).collect();
    let _ = writeln!(out, "<sub>{}</sub>", facts.join(" · "));
    out
}

fn details(out: &mut String, entry: &Entry) {
    let _ = writeln!(out, "<details><summary>{}</summary>\n", escaped(&entry.title));
    for line in entry.lines.iter().take(LINES) {
        let _ = writeln!(out, "- {}", escaped(line));
    }
    let changed: Vec<&(char, String, String)> = entry.diff.iter().filter(|(tag, _, _)| *tag != '=').collect();
    if !changed.is_empty() {
        let mut text = String::new();
        for (_, left, right) in changed.iter().take(LINES) {
            for (sign, line) in [('-', left), ('+', right)] {
                if !line.is_empty() {
                    let _ = writeln!(text, "{sign}{line}");
                }
            }
        }
        if changed.len() > LINES {
            let _ = writeln!(text, " … {} more", changed.len() - LINES);
        }
        let _ = writeln!(out, "\n{}:\n\n{}", escaped(&entry.example), fenced("diff", &text));
    }
    out.push_str("\n</details>\n\n");
}

fn mark(status: Status) -> &'static str {
    match status {
        Status::Fine => "✅",
        Status::Bad => "❌",
        Status::Expected => "☑️",
        Status::Note => "ℹ️",
    }
}

fn radius(entry: &Entry) -> String {
    let Some((_, counts)) = entry.radius.first() else { return String::new() };
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
    let mut parts: Vec<String> = counts.iter().take(3).map(|(name, count)| format!("{name} {count}")).collect();
    if counts.len() > 3 {
        parts.push(format!("{} more", counts.len() - 3));
    }
    parts.join(", ")
}

/// A block whose fence is longer than any in it.
fn fenced(language: &str, text: &str) -> String {
    let mut longest = 2;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence}{language}\n{text}{fence}")
}

/// Text that Markdown takes as text, on one line, also within a table.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\r' => out.push(' '),
            // A mention would call somebody.
            '@' => out.push_str("@\u{200b}"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
