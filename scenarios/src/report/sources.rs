//! Pages from results: as they are in memory, or as they were saved as JSON.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use apimachinery::value::Value;

use super::page::{Entry, Latencies, Page, Row, Status, side_by_side, text};
use super::text::short;
use crate::check::{Checked, LawVerdict};
use crate::compare::{Comparison, Part};

/// Bytes of examples in a page; what is beyond them is named.
const EMBEDDED: usize = 4 << 20;
/// Pods in a page's list.
const ROWS: usize = 10_000;
/// Parts of a class that are told.
const PARTS: usize = 60;
/// Longest value on a line, in characters.
const VALUE: usize = 200;

/// A file that is no result.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// Not JSON, or a field of the wrong type.
    #[error("not a result of towtank: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON of something else.
    #[error("not a result of towtank run, replay, compare or check (print one with --json)")]
    Unknown,
    /// From the future.
    #[error("formatVersion {0} is newer than this towtank knows: use a newer one")]
    Newer(u64),
}

impl Page {
    /// The page of a result as `--json` prints it, of any command.
    ///
    /// # Errors
    /// See [`ResultError`].
    pub fn of(result: &Value) -> Result<Self, ResultError> {
        if let Some(version) = result["formatVersion"].as_u64().filter(|version| *version > 1) {
            return Err(ResultError::Newer(version));
        }
        if result["laws"].is_array() {
            Ok(check(&apimachinery::value::from_value(result.clone())?))
        } else if result["baseline"].is_object() && result["classes"].is_array() {
            Ok(compare(&apimachinery::value::from_value(result.clone())?))
        } else if result["totals"].is_object() && result["groups"].is_array() {
            Ok(replay(result))
        } else if let Some(list) = result.as_array().filter(|list| list.iter().all(|item| item["scenario"].is_string()))
        {
            Ok(scenarios(list))
        } else if let (Some(list), true) = (result["scenarios"].as_array(), result["replay"]["totals"].is_object()) {
            // The main job: both on one page.
            let (first, mut page) = (scenarios(list), replay(&result["replay"]));
            page.title = "Scenarios and replay".to_owned();
            page.ok &= first.ok;
            page.summary = format!("{}; {}", first.summary, page.summary);
            page.entries.splice(0..0, first.entries);
            Ok(page)
        } else {
            Err(ResultError::Unknown)
        }
    }
}

fn compare(comparison: &Comparison) -> Page {
    let tallies = comparison.tallies();
    let sides = comparison.names();
    let mut page = Page {
        title: format!("{} against {}", sides.1, sides.0),
        ok: comparison.is_ok(),
        summary: format!(
            "{} of {} reviews differ, in {} unexpected and {} expected ways",
            comparison.different + comparison.one_sided,
            comparison.reviews,
            tallies.unexpected,
            tallies.allowed
        ),
        heading: "Differences".to_owned(),
        listed: "Pods".to_owned(),
        columns: ["namespace", "pod", "owner", "line"].map(str::to_owned).to_vec(),
        unlisted: comparison.pods_unlisted,
        ..Page::default()
    };
    if comparison.interrupted {
        page.summary = format!("interrupted, not the whole log: {}", page.summary);
    }
    page.fact("log", comparison.logs.join(", "));
    for (label, count) in [
        ("reviews", comparison.reviews),
        ("equal", comparison.equal),
        ("different", comparison.different),
        ("answered by one side only", comparison.one_sided),
        ("answered by neither", comparison.unanswered),
        ("without a recorded answer", comparison.not_recorded),
        ("unreadable lines", comparison.unreadable),
        ("differences beyond the listed classes", comparison.unclassified),
    ] {
        if count > 0 || matches!(label, "reviews" | "equal" | "different") {
            page.fact(label, count);
        }
    }
    for (role, side, name) in
        [("baseline", &comparison.baseline, &sides.0), ("candidate", &comparison.candidate, &sides.1)]
    {
        let counts = side.counts;
        page.fact(
            role,
            format!(
                "{}: {} injected, {} skipped, {} denied, {} failed",
                side.name, counts.injected, counts.skipped, counts.denied, counts.failed
            ),
        );
        if !side.latency.is_empty() {
            page.latencies.push(Latencies { name: format!("{role} ({name})"), counts: side.latency.counts() });
        }
    }
    for pattern in &comparison.allowed_unused {
        page.fact("allowed, but did not occur", pattern);
    }
    for problem in &comparison.problems {
        page.fact("problem", problem);
    }
    let mut room = EMBEDDED;
    let mut without = 0_u64;
    for class in &comparison.classes {
        let mut entry = Entry {
            id: class.id.clone(),
            title: class.title.clone(),
            status: if class.allowed.is_some() { Status::Expected } else { Status::Bad },
            count: class.count,
            radius: vec![
                ("namespace".to_owned(), class.namespaces.clone()),
                ("owner".to_owned(), class.owners.clone()),
            ],
            sides: sides.clone(),
            lines: class.parts.iter().take(PARTS).flat_map(|part| part_lines(part, class.parts.len() > 1)).collect(),
            ..Entry::default()
        };
        if class.parts.len() > PARTS {
            entry.lines.push(format!("and {} more parts; the result as JSON has them", class.parts.len() - PARTS));
        }
        entry.lines.extend(class.allowed.iter().map(|why| format!("expected: {why}")));
        if let Some(example) = &class.example {
            entry.example = format!("{}/{} ({} line {})", example.namespace, example.name, example.log, example.line);
            entry.minimal = example.minimal.as_ref().map(text).unwrap_or_default();
            entry.diff = side_by_side(&example.before, &example.after);
            let bytes = entry.diff.iter().map(|(_, left, right)| left.len() + right.len()).sum::<usize>();
            // The largest classes come first, so theirs are the examples that a page has.
            match room.checked_sub(bytes) {
                Some(left) => room = left,
                None => {
                    entry.diff.clear();
                    entry.lines.push("the example is left out of this page; the result as JSON has it".to_owned());
                    without += 1;
                }
            }
            entry.lines.extend(example.scenario.iter().map(|file| format!("reproduction: {file}")));
        }
        page.entries.push(entry);
    }
    if without > 0 {
        page.fact(
            "classes without their example here",
            format!("{without}; the result as JSON has it, --save-scenarios a pod of each"),
        );
    }
    let counts: HashMap<&str, u64> = comparison.classes.iter().map(|class| (&*class.id, class.count)).collect();
    let row = |pod: &crate::compare::PodRow| {
        let mut entries = pod.classes.clone();
        // What few pods have says most about this one.
        entries.sort_by_key(|id| counts.get(id.as_str()).copied().unwrap_or_default());
        Row { cells: vec![pod.namespace.clone(), pod.name.clone(), pod.owner.clone(), pod.line.to_string()], entries }
    };
    page.rows = comparison.pods.iter().take(ROWS).map(row).collect();
    page.unlisted += comparison.pods.len().saturating_sub(ROWS) as u64;
    page
}

/// What a part is, and its values where there are several; what belongs to it is indented.
fn part_lines(part: &Part, of_several: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if of_several {
        let expected = part.allowed.as_ref().map_or_else(String::new, |why| format!("; expected: {why}"));
        lines.push(format!("{}: {}{expected}", part.count, part.title));
    }
    lines.push(format!("    at {}", part.change.path));
    if part.variants > 1 {
        let short = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), cut);
        let mut values: Vec<_> = part.values.iter().collect();
        values.sort_by_key(|pair| std::cmp::Reverse(pair.count));
        for pair in values {
            lines.push(format!("    {}: {} → {}", pair.count, short(&pair.before), short(&pair.after)));
        }
        if part.variants > part.values.len() as u64 {
            lines.push(format!("    and {} more pairs of values", part.variants - part.values.len() as u64));
        }
    }
    lines
}

/// A value on a line.
fn cut(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn check(checked: &Checked) -> Page {
    let broken = checked.broken().count();
    let mut page = Page {
        title: format!("Laws held against {}", checked.webhook),
        ok: checked.is_ok(),
        summary: format!("{} of {} laws broken, held against {} reviews", broken, checked.laws.len(), checked.reviews),
        heading: "Laws".to_owned(),
        listed: "Reviews that break a law".to_owned(),
        columns: ["review", "law"].map(str::to_owned).to_vec(),
        ..Page::default()
    };
    if broken == 0 {
        page.summary = format!("no law of {} is broken, with {} reviews", checked.laws.len(), checked.reviews);
    }
    page.fact("reviews", format!("{} of {}", checked.reviews, checked.read));
    page.fact("unreadable", checked.unreadable);
    page.fact("calls", checked.calls);
    page.fact("seconds", format!("{:.1}", checked.seconds));
    for problem in &checked.problems {
        page.fact("problem", problem);
    }
    page.latencies.push(Latencies { name: "answers".to_owned(), counts: checked.latency.counts() });
    for law in &checked.laws {
        let mut entry = Entry {
            id: law.name.clone(),
            title: format!("{}: {}", law.name, law.claim),
            status: match law.verdict {
                LawVerdict::Holds => Status::Fine,
                LawVerdict::Broken => Status::Bad,
                LawVerdict::Silent => Status::Note,
            },
            count: if law.verdict == LawVerdict::Broken { law.broken } else { law.held },
            sides: ("before".to_owned(), "after".to_owned()),
            ..Entry::default()
        };
        if let Some(finding) = &law.finding {
            entry.example.clone_from(&finding.review);
            entry.lines.extend(finding.evidence.iter().cloned());
            entry.diff = side_by_side(&finding.before, &finding.after);
            entry.minimal = text(&finding.minimal["request"]["object"]);
            entry.lines.extend(finding.saved.iter().map(|file| format!("saved: {file}")));
        }
        entry.lines.extend(law.silence.iter().map(|why| format!("silent: {why}")));
        entry.lines.push(format!("why: {}", law.why));
        if law.verdict == LawVerdict::Broken {
            entry.lines.push(format!("remedy: {}", law.remedy));
        }
        page.entries.push(entry);
        page.rows.extend(
            law.broken_by
                .iter()
                .map(|review| Row { cells: vec![review.clone(), law.name.clone()], entries: vec![law.name.clone()] }),
        );
        page.unlisted += law.broken.saturating_sub(law.broken_by.len() as u64);
    }
    page
}

fn replay(result: &Value) -> Page {
    let totals = &result["totals"];
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let mut page = Page {
        title: "Replay".to_owned(),
        ok: result["ok"] == true,
        summary: format!(
            "{} reviews: {} injected, {} skipped, {} denied, {} failed",
            number(&totals["reviews"]),
            number(&totals["injected"]),
            number(&totals["skipped"]),
            number(&totals["denied"]),
            number(&totals["failed"])
        ),
        heading: "Outcomes".to_owned(),
        listed: "Namespaces and owners".to_owned(),
        columns: ["namespace", "owner", "reviews", "injected", "skipped", "denied", "failed"]
            .map(str::to_owned)
            .to_vec(),
        ..Page::default()
    };
    page.fact("seconds", format!("{:.2}", result["seconds"].as_f64().unwrap_or_default()));
    page.fact("reviews a second", format!("{:.0}", result["reviewsPerSecond"].as_f64().unwrap_or_default()));
    for (key, name) in [("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("p999", "p99.9"), ("max", "max")] {
        if let Some(micros) = result["latencyMicros"][key].as_u64() {
            page.fact(name, short(Duration::from_micros(micros)));
        }
    }
    if let Ok(counts) = apimachinery::value::from_value::<Vec<(u64, u64)>>(result["latencyHistogram"].clone()) {
        page.latencies.push(Latencies { name: "answers".to_owned(), counts });
    }
    if result["interrupted"] == true {
        page.summary = format!("interrupted, not the whole log: {}", page.summary);
    }
    let unreadable = number(&result["unreadable"]["lines"]);
    if unreadable > 0 {
        page.entries.push(Entry {
            id: "unreadable".to_owned(),
            title: "lines that could not be read".to_owned(),
            status: Status::Bad,
            count: unreadable,
            lines: strings(&result["unreadable"]["first"]),
            ..Entry::default()
        });
    }
    for (outcome, status) in
        [("failed", Status::Bad), ("notReplayable", Status::Note), ("denied", Status::Note), ("skipped", Status::Fine)]
    {
        let reasons: BTreeMap<String, u64> =
            apimachinery::value::from_value(result[outcome].clone()).unwrap_or_default();
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
        for (index, (reason, count)) in reasons.into_iter().enumerate() {
            let word = if outcome == "notReplayable" { "not replayable" } else { outcome };
            let title = format!("{word}: {reason}");
            page.entries.push(Entry { id: format!("{outcome}-{index}"), title, status, count, ..Entry::default() });
        }
    }
    for group in result["groups"].as_array().into_iter().flatten() {
        let cell = |column: &String| match &group[column] {
            Value::String(text) => text.to_string(),
            other => other.to_string(),
        };
        page.rows.push(Row { cells: page.columns.iter().map(cell).collect(), entries: Vec::new() });
    }
    page
}

fn scenarios(list: &[Value]) -> Page {
    let mut page = Page { title: "Scenarios".to_owned(), heading: "Scenarios".to_owned(), ..Page::default() };
    for (index, outcome) in list.iter().enumerate() {
        let failure = &outcome["failure"];
        let plain = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut lines = vec![plain(&outcome["file"])];
        if failure.is_object() {
            lines.push(format!("line {}, step {} ({})", failure["line"], failure["step"], plain(&failure["word"])));
            lines.extend(plain(&failure["message"]).lines().map(str::to_owned));
            lines.extend(plain(&failure["trace"]).lines().map(str::to_owned));
        }
        page.entries.push(Entry {
            id: format!("scenario-{index}"),
            title: plain(&outcome["scenario"]),
            status: if outcome["ok"] == true { Status::Fine } else { Status::Bad },
            count: outcome["steps"].as_u64().unwrap_or_default(),
            lines,
            seconds: outcome["seconds"].as_f64().unwrap_or_default(),
            ..Entry::default()
        });
    }
    let failed = page.entries.iter().filter(|entry| entry.status == Status::Bad).count();
    page.ok = failed == 0;
    page.summary = format!("{} scenarios: {} ok, {failed} failed", list.len(), list.len() - failed);
    page
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}
