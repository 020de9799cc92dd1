//! A comparison as text.

use std::fmt::Write;

use crate::compare::{Class, Comparison};
use crate::report::Style;

/// Classes that are shown; `--json` has all.
const SHOWN: usize = 40;
/// Parts of a class that are shown.
const PARTS: usize = 4;
/// Namespaces and owners that are named.
const NAMED: usize = 4;

pub(super) fn text(comparison: &Comparison, style: Style) -> String {
    let mut out = String::new();
    // Writing into a String does not fail.
    let _ = write_text(&mut out, comparison, style);
    out
}

fn write_text(out: &mut String, comparison: &Comparison, style: Style) -> std::fmt::Result {
    let names = comparison.names();
    for (role, name, side) in
        [("baseline ", names.0, &comparison.baseline), ("candidate", names.1, &comparison.candidate)]
    {
        let counts = side.counts;
        writeln!(
            out,
            "{role}  {name}: {} injected, {} skipped, {} denied, {} failed",
            counts.injected, counts.skipped, counts.denied, counts.failed
        )?;
    }
    writeln!(out)?;
    for class in comparison.classes.iter().take(SHOWN) {
        let title = if class.allowed.is_some() { style.dim(&class.title) } else { style.strong(&class.title) };
        writeln!(out, "{:>7}  {title}", class.count)?;
        for part in class.parts.iter().take(if class.parts.len() > 1 { PARTS } else { 0 }) {
            writeln!(out, "         {:>7}  {}", part.count, part.title)?;
        }
        if class.parts.len() > PARTS {
            writeln!(out, "                  and {} more", class.parts.len() - PARTS)?;
        }
        writeln!(out, "         {}", style.dim(about(class)))?;
    }
    if comparison.classes.len() > SHOWN {
        writeln!(out, "         and {} more classes (--json has them)", comparison.classes.len() - SHOWN)?;
    }
    if !comparison.classes.is_empty() {
        writeln!(out)?;
    }
    for (count, what) in [
        (comparison.unclassified, "differences beyond the classes that are kept apart"),
        (comparison.not_recorded, "records without a response"),
        (comparison.unanswered, "reviews that neither side gave a valid answer to"),
        (comparison.unreadable, "lines that could not be read"),
    ] {
        if count > 0 {
            writeln!(out, "{}", style.bad(format!("{count} {what}")))?;
        }
    }
    for problem in &comparison.problems {
        writeln!(out, "    {problem}")?;
    }
    for pattern in &comparison.allowed_unused {
        writeln!(out, "allow-list: no difference matches {pattern:?}")?;
    }
    let tallies = comparison.tallies();
    let expected = if tallies.allowed > 0 { format!(", {} of them expected", tallies.allowed) } else { String::new() };
    let line = format!(
        "{} reviews: {} the same, {} different in {} classes{expected}",
        comparison.reviews,
        comparison.equal,
        comparison.different + comparison.one_sided,
        comparison.classes.len(),
    );
    writeln!(out, "{}", if comparison.is_ok() { style.good(line) } else { style.bad(line) })?;
    if comparison.interrupted {
        writeln!(out, "{}", style.bad("interrupted: this is not the whole log"))?;
    }
    Ok(())
}

/// Whom it concerns, and where an example is.
fn about(class: &Class) -> String {
    let mut text = format!("{}; {}", named(&class.namespaces, "namespace"), named(&class.owners, "owner"));
    if let Some(example) = &class.example {
        let _ = write!(text, "; line {}", example.line);
        if let Some(file) = &example.scenario {
            let _ = write!(text, "; {file}");
        }
    }
    if let Some(reason) = &class.allowed {
        let _ = write!(text, "; expected: {reason}");
    }
    text
}

fn named(counts: &std::collections::BTreeMap<String, u64>, what: &str) -> String {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
    match &sorted[..] {
        [] => format!("no {what}"),
        few if few.len() <= NAMED => {
            few.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
        }
        many => {
            let first: Vec<_> = many.iter().take(NAMED - 1).map(|(name, count)| format!("{name} {count}")).collect();
            format!("{} and {} more {what}s", first.join(", "), many.len() + 1 - NAMED)
        }
    }
}
