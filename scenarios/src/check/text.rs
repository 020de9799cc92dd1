//! The result for a terminal.

use std::fmt::{self, Write};

use super::result::{Checked, LawResult, LawVerdict};
use crate::style::Style;

/// Lines of evidence that are shown; the rest is counted.
const LINES: usize = 6;
/// Columns of the terminal.
const WIDTH: usize = 80;

/// A line for each law, and all about those that are broken.
#[must_use]
pub fn render(checked: &Checked, style: Style) -> String {
    let mut out = String::new();
    // Writing into a String does not fail.
    let _ = write(&mut out, checked, style);
    out
}

impl fmt::Display for Checked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&render(self, Style::default()))
    }
}

fn write(out: &mut String, checked: &Checked, style: Style) -> fmt::Result {
    for law in &checked.laws {
        let word = match law.verdict {
            LawVerdict::Holds => style.good("holds "),
            LawVerdict::Broken => style.bad("BROKEN"),
            LawVerdict::Silent => style.dim("silent"),
        };
        writeln!(out, "{word}  {:15}  {}", law.name, style.dim(counts(law)))?;
        if law.verdict == LawVerdict::Broken {
            broken(out, law, style)?;
        }
    }
    if checked.unreadable > 0 {
        writeln!(out, "{}", style.bad(format!("{} records hold no review", checked.unreadable)))?;
        for problem in &checked.problems {
            wrapped(out, 8, problem)?;
        }
    }
    let (broken, silent) = (checked.broken().count(), silent(checked));
    let summary = format!(
        "{} laws, {} reviews of {}: {} hold, {broken} broken, {silent} silent",
        checked.laws.len(),
        checked.reviews,
        checked.read,
        checked.laws.len() - broken - silent,
    );
    writeln!(out, "{}", if checked.is_ok() { style.strong(summary) } else { style.bad(summary) })?;
    let p = |share| checked.latency.percentile(share).as_secs_f64() * 1e3;
    writeln!(
        out,
        "{} calls in {:.1} s; latency p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        checked.calls,
        checked.seconds,
        p(50.0),
        p(99.0),
        p(100.0),
    )
}

fn silent(checked: &Checked) -> usize {
    checked.laws.iter().filter(|law| law.verdict == LawVerdict::Silent).count()
}

fn counts(law: &LawResult) -> String {
    match law.verdict {
        LawVerdict::Silent => law.silence.clone().unwrap_or_else(|| "applies to no review".to_owned()),
        LawVerdict::Broken => format!("{} of {} reviews break it", law.broken, law.broken + law.held),
        LawVerdict::Holds => format!("{} reviews", law.held),
    }
}

fn broken(out: &mut String, law: &LawResult, style: Style) -> fmt::Result {
    wrapped(out, 8, &law.claim)?;
    if let Some(finding) = &law.finding {
        writeln!(out, "        {}", style.strong(format!("{}:", finding.review)))?;
        for line in finding.evidence.iter().take(LINES) {
            wrapped(out, 10, line)?;
        }
        if finding.evidence.len() > LINES {
            writeln!(out, "          and {} more", finding.evidence.len() - LINES)?;
        }
        if finding.tests > 0 {
            let (from, to) = finding.bytes;
            writeln!(
                out,
                "        {}",
                style.dim(format!("shrunk from {from} to {to} bytes, {} tests", finding.tests))
            )?;
            wrapped(out, 10, &finding.minimal["request"]["object"].to_string())?;
        }
        for file in &finding.saved {
            writeln!(out, "        saved: {file}")?;
        }
    }
    wrapped(out, 8, &format!("why: {}", law.why))?;
    wrapped(out, 8, &format!("remedy: {}", law.remedy))
}

/// A text behind an indent, broken at the terminal's width; what has no blanks is broken where it must be.
fn wrapped(out: &mut String, indent: usize, text: &str) -> fmt::Result {
    let width = WIDTH - indent;
    let mut column = 0;
    write!(out, "{:indent$}", "")?;
    for word in text.split_whitespace() {
        let mut word = word;
        loop {
            let length = word.chars().count();
            if column > 0 && column + 1 + length > width {
                write!(out, "\n{:indent$}", "")?;
                column = 0;
            }
            if column > 0 {
                out.push(' ');
                column += 1;
            }
            if length <= width {
                out.push_str(word);
                column += length;
                break;
            }
            let cut = word.char_indices().nth(width).map_or(word.len(), |(at, _)| at);
            write!(out, "{}\n{:indent$}", &word[..cut], "")?;
            word = &word[cut..];
        }
    }
    out.push('\n');
    Ok(())
}
