//! A progress bar over the bytes of logs, for nobody knows how many records are in them.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::replay::{Log, Progress};

/// A bar on a terminal, and silence elsewhere.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// For these logs, so many times. Without a length if one of them has none, as standard input.
    pub(super) fn new(logs: &[Log], repeat: u64) -> Self {
        let bytes: Option<u64> = logs.iter().map(Log::bytes).sum();
        let bar = match bytes {
            Some(bytes) => ProgressBar::new(bytes.saturating_mul(repeat)),
            None => ProgressBar::no_length(),
        };
        let visible = std::io::stderr().is_terminal();
        bar.set_draw_target(if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        let template = match bytes {
            Some(_) => "{bar:30} {percent:>3}%  {msg}  {elapsed}, {eta} to go",
            None => "{spinner} {msg}  {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if visible {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Self(bar)
    }

    /// How far it has come.
    pub(super) fn show(&self, progress: Progress) {
        if self.0.is_hidden() {
            return;
        }
        self.0.set_position(progress.bytes);
        #[expect(clippy::cast_precision_loss, reason = "for show")]
        let rate = progress.reviews as f64 / self.0.elapsed().as_secs_f64().max(0.001);
        self.0.set_message(format!("{} reviews, {rate:.0}/s", progress.reviews));
    }

    /// Takes it off the terminal.
    pub(super) fn finish(self) {
        self.0.finish_and_clear();
    }
}
