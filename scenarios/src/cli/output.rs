//! Where text goes: the result to standard output, all else to standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use apimachinery::value::Value;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::report::Style;

/// The terminal, or what is in its place.
pub(super) struct Output {
    pub(super) json: bool,
    pub(super) style: Style,
    errors: Style,
    /// Why not all of the result was written.
    lost: Mutex<Option<io::Error>>,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        // https://no-color.org: set and not empty.
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let style = |terminal: bool| Style { colour: wanted && terminal };
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self { json, style: style(out), errors: style(err), lost: Mutex::default() }
    }

    /// The result, as text. A closed pipe is nobody's error; what else prevents it is told at the end, by [`Self::whole`].
    pub(super) fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(end.as_bytes()));
        if let Err(error) = written.and_then(|()| out.flush())
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            self.lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }

    /// Whether all that was printed is where it was to go.
    pub(super) fn whole(&self) -> anyhow::Result<()> {
        match self.lost.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(anyhow::Error::from(error).context("cannot write the result to standard output")),
            None => Ok(()),
        }
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

    /// A bar of so many `things` on a terminal, and silence elsewhere. `total` 0: unknown.
    pub(super) fn progress(&self, total: u64, things: &str) -> ProgressBar {
        let bar = if total == 0 { ProgressBar::no_length() } else { ProgressBar::new(total) };
        let visible = std::io::stderr().is_terminal();
        bar.set_draw_target(if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        let template = if total == 0 {
            format!("{{spinner}} {{human_pos}} {things}  {{rate}}  {{elapsed}}")
        } else {
            format!("{{bar:20}} {{pos}}/{{len}} {things}  {{elapsed}}")
        };
        if let Ok(style) = ProgressStyle::with_template(&template) {
            let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{:.0}/s", state.per_sec());
            });
            bar.set_style(style);
        }
        if visible {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        bar
    }
}
