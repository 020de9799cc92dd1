//! JUnit XML, as CI systems read it: a test case for each entry.

use std::fmt::Write;

use super::page::{Page, Status};

/// The page as JUnit XML.
#[must_use]
pub fn junit(page: &Page) -> String {
    let bad = page.entries.iter().filter(|entry| entry.status == Status::Bad).count();
    // Something is wrong that no entry says, such as lines that could not be read.
    let other = usize::from(!page.ok && bad == 0);
    let seconds: f64 = page.entries.iter().map(|entry| entry.seconds).sum();
    let (tests, failures) = (page.entries.len() + other, bad + other);
    let title = escaped(&page.title);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing into a String does not fail.
    let _ = writeln!(out, "<testsuites tests=\"{tests}\" failures=\"{failures}\" time=\"{seconds:.3}\">");
    let _ = writeln!(
        out,
        "  <testsuite name=\"{title}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"{seconds:.3}\">"
    );
    for entry in &page.entries {
        let name = escaped(&entry.title);
        let _ = write!(out, "    <testcase classname=\"{title}\" name=\"{name}\" time=\"{:.3}\"", entry.seconds);
        if entry.status == Status::Bad {
            let message = escaped(&format!("{} reviews", entry.count));
            let mut text = entry.lines.join("\n");
            if !entry.example.is_empty() {
                text = format!("{}\n{text}", entry.example);
            }
            let _ = writeln!(out, ">\n      <failure message=\"{message}\">{}</failure>", escaped(&text));
            out.push_str("    </testcase>\n");
        } else {
            out.push_str("/>\n");
        }
    }
    if other > 0 {
        let _ = writeln!(
            out,
            "    <testcase classname=\"{title}\" name=\"result\"><failure message=\"{}\"/></testcase>",
            escaped(&page.summary)
        );
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// Text in XML, in attributes and outside of them; characters that XML cannot hold are replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push('\t'),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
