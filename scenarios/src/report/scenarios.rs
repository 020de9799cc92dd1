//! Scenarios as text: a line each, and all about those that failed.

use std::fmt::Write;

use super::text::short;
use crate::run::Outcome;
use crate::style::Style;

/// Columns for a title: longer ones push the time to the right.
const TITLE: usize = 46;

/// One scenario: a line if it went well, otherwise everything that helps to see why not. With `trace`, the requests are
/// shown in any case.
#[must_use]
pub fn line(outcome: &Outcome, style: Style, trace: bool) -> String {
    let mut out = String::new();
    // Writing into a String does not fail.
    let mut time = short(outcome.real_time);
    if outcome.virtual_time.as_millis() >= 1000 {
        let _ = write!(time, ", {} virtual", short(outcome.virtual_time));
    }
    let word = if outcome.is_ok() { style.good("ok    ") } else { style.bad("FAILED") };
    let _ = writeln!(out, "{word}  {:TITLE$}  {}", outcome.title, style.dim(time));
    if let Some(failure) = &outcome.failure {
        let place = if failure.step == 0 {
            format!("{}: setting up the cluster", outcome.file)
        } else {
            format!("{}:{}: step {} ({})", outcome.file, failure.line, failure.step, failure.word)
        };
        let _ = writeln!(out, "        {}", style.strong(place));
        for line in failure.message.lines() {
            let _ = writeln!(out, "        {}", coloured(line, style));
        }
        if !outcome.trace.is_empty() {
            let _ = writeln!(out, "        requests that led there (seed {}):", outcome.seed);
        }
    }
    if trace || !outcome.is_ok() {
        for line in outcome.trace.lines() {
            let _ = writeln!(out, "        {}", style.dim(line));
        }
    }
    out
}

fn coloured(line: &str, style: Style) -> String {
    match line.trim_start().as_bytes() {
        [b'-', b' ', ..] => style.good(line),
        [b'+', b' ', ..] => style.bad(line),
        _ => line.to_owned(),
    }
}

/// How many went well.
#[must_use]
pub fn summary(outcomes: &[Outcome], style: Style) -> String {
    let failed = outcomes.iter().filter(|outcome| !outcome.is_ok()).count();
    let text = format!("{} scenarios: {} ok, {failed} failed", outcomes.len(), outcomes.len() - failed);
    if failed == 0 { style.strong(text) } else { style.bad(text) }
}
