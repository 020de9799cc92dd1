//! The report as text, for a terminal of 80 columns.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use crate::replay::{Counts, Replayed};
use crate::style::Style;

/// Reasons that are listed; the rest is summed up.
const LISTED: usize = 12;

/// The whole report of a replay.
#[must_use]
pub fn render(replayed: &Replayed, style: Style) -> String {
    let mut out = String::new();
    // Writing into a String does not fail.
    let _ = write_report(&mut out, replayed, style);
    out
}

fn write_report(out: &mut String, replayed: &Replayed, style: Style) -> fmt::Result {
    if replayed.reviews() > 0 {
        for line in table(replayed).to_string().lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        writeln!(out)?;
        reasons(out, "skipped, and why", &replayed.skipped, style)?;
        reasons(out, "denied, and why", &replayed.denied, style)?;
        reasons(out, "not sent, and why", &replayed.not_replayable, style)?;
        reasons(out, "failed, and why", &replayed.failed, style)?;
    }
    if replayed.unreadable > 0 {
        writeln!(out, "{}", style.bad(format!("{} lines could not be read", replayed.unreadable)))?;
        for problem in &replayed.problems {
            wrapped(out, "    ", problem)?;
        }
        writeln!(out)?;
    }
    let Counts { injected, skipped, denied, not_replayable, failed } = replayed.totals;
    write!(
        out,
        "{} reviews in {}: {injected} injected, {skipped} skipped, {denied} denied, {failed} failed",
        replayed.reviews(),
        short(replayed.took),
    )?;
    writeln!(out, "{}", if not_replayable > 0 { format!(", {not_replayable} not sent") } else { String::new() })?;
    if replayed.reviews() > 0 {
        let latency: Vec<String> = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0)]
            .into_iter()
            .map(|(name, share)| format!("{name} {}", short(replayed.percentile(share))))
            .collect();
        writeln!(out, "{:.0} reviews a second", replayed.rate())?;
        writeln!(out, "latency: {}", latency.join(", "))?;
    }
    if replayed.interrupted {
        writeln!(out, "{}", style.bad("interrupted: this is not the whole log"))?;
    }
    Ok(())
}

fn table(replayed: &Replayed) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["namespace", "owner", "reviews", "injected", "skipped", "denied", "failed"]);
    let mut before = None;
    for (subject, counts) in &replayed.groups {
        let namespace = if before == Some(&subject.namespace) { "" } else { &subject.namespace };
        before = Some(&subject.namespace);
        row(&mut table, namespace, &subject.owner, counts);
    }
    row(&mut table, "total", "", &replayed.totals);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn row(table: &mut Table, namespace: &str, owner: &str, counts: &Counts) {
    let Counts { injected, skipped, denied, failed, .. } = *counts;
    let mut cells = vec![clipped(namespace, 28), clipped(owner, 22)];
    cells.push(counts.reviews().to_string());
    cells.extend(
        [injected, skipped, denied, failed].map(|count| if count == 0 { "·".into() } else { count.to_string() }),
    );
    table.add_row(cells);
}

fn clipped(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

fn reasons(out: &mut String, title: &str, reasons: &BTreeMap<String, u64>, style: Style) -> fmt::Result {
    if reasons.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<_> = reasons.iter().collect();
    sorted.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
    writeln!(out, "{}", style.strong(title))?;
    for (reason, count) in sorted.iter().take(LISTED) {
        wrapped(out, &format!("{count:>7}  "), reason)?;
    }
    if let Some(rest) = sorted.get(LISTED..).filter(|rest| !rest.is_empty()) {
        let count: u64 = rest.iter().map(|(_, count)| **count).sum();
        writeln!(out, "{count:>7}  {}", style.dim(format!("for {} other reasons (--json has them)", rest.len())))?;
    }
    writeln!(out)
}

/// A text behind a first column, broken at 80 columns.
fn wrapped(out: &mut String, first: &str, text: &str) -> fmt::Result {
    let indent = first.chars().count();
    let width = 80 - indent;
    let mut column = 0;
    out.push_str(first);
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            write!(out, "\n{:indent$}", "")?;
            column = 0;
        }
        if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
    Ok(())
}

/// Three digits and a unit.
pub(crate) fn short(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    let (value, unit) = match micros {
        m if m < 1e3 => (m, "us"),
        m if m < 1e6 => (m / 1e3, "ms"),
        m => (m / 1e6, "s"),
    };
    let digits = if value >= 100.0 || unit == "us" {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}
