//! Where text goes: the result to standard output, all else to standard error.

use std::io::{IsTerminal, Write};

use serde_json::Value;

use crate::report::Style;

/// The terminal, or what is in its place.
pub(super) struct Output {
    pub(super) json: bool,
    pub(super) style: Style,
    errors: Style,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        // https://no-color.org: set and not empty.
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let style = |terminal: bool| Style { colour: wanted && terminal };
        Self { json, style: style(std::io::stdout().is_terminal()), errors: style(std::io::stderr().is_terminal()) }
    }

    /// The result, as text. A closed pipe is nobody's error.
    pub(super) fn print(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = out.write_all(b"\n");
        }
        let _ = out.flush();
    }

    /// The result, for machines.
    pub(super) fn print_json(&self, value: &Value) {
        self.print(&format!("{value:#}"));
    }

    /// Why the command could not be carried out, with its causes.
    pub(super) fn error(&self, error: &anyhow::Error) {
        let mut text = String::new();
        for (index, cause) in error.chain().enumerate() {
            let cause = cause.to_string();
            // An error that quotes its source says it once.
            if index == 0 {
                text = cause;
            } else if !text.contains(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
        }
        let _ = writeln!(std::io::stderr(), "{} {text}", self.errors.bad("towtank:"));
    }
}
