//! A progress bar for what goes through logs: what is done, how fast, what failed, and when it will be over.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::replay::{Log, Progress, Shard};

/// Logs of more bytes than this are not read beforehand to count their lines: how many bytes have been read is as good.
const COUNTED: u64 = 64 << 20;
/// The rate is that of the last so long, up to twice as long.
const WINDOW: Duration = Duration::from_secs(5);

/// A bar on a terminal, and silence elsewhere.
pub(super) struct Bar {
    bar: ProgressBar,
    /// Lines that there are to do; 0 if that is not known, or not yet.
    lines: Arc<AtomicU64>,
    rate: Mutex<Option<Rate>>,
}

impl Bar {
    /// For a part of these logs, so many times. Without a length if one of them has none, as standard input.
    pub(super) fn new(logs: &[Log], repeat: u64, shard: Shard) -> Self {
        let bytes: Option<u64> = logs.iter().map(Log::bytes).sum();
        let bar = match bytes {
            Some(bytes) => ProgressBar::new(bytes.saturating_mul(repeat)),
            None => ProgressBar::no_length(),
        };
        let visible = std::io::stderr().is_terminal();
        bar.set_draw_target(if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        let template = match bytes {
            Some(_) => "{bar:20} {percent:>3}%  {msg}  {elapsed}, {eta} to go",
            None => "{spinner} {msg}  {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let lines = Arc::new(AtomicU64::new(0));
        if visible {
            bar.enable_steady_tick(Duration::from_millis(100));
            // A small log is read into buffers at once, which says nothing about how far its reviews are.
            if bytes.is_some_and(|bytes| bytes <= COUNTED) {
                let (logs, lines) = (logs.to_vec(), Arc::clone(&lines));
                std::thread::spawn(move || lines.store(count(&logs, shard).saturating_mul(repeat), Ordering::Relaxed));
            }
        }
        Self { bar, lines, rate: Mutex::new(None) }
    }

    /// How far it has come.
    pub(super) fn show(&self, progress: Progress) {
        if self.bar.is_hidden() {
            return;
        }
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let first = rate.is_none();
        let speed = rate.get_or_insert_with(|| Rate::new(progress.reviews)).of(progress.reviews);
        let lines = self.lines.load(Ordering::Relaxed);
        let (length, position) = match lines {
            0 => (None, progress.bytes),
            lines => (Some(lines), progress.reviews + progress.unreadable),
        };
        let counted = length.is_some() && self.bar.length() != length;
        if let Some(length) = length {
            self.bar.set_length(length);
        }
        self.bar.set_position(position);
        // What was done before a kill, or is told in another unit now, says nothing about how fast it goes.
        if first || counted {
            self.bar.reset_eta();
        }
        let failed = if progress.failed > 0 { format!(", {} failed", grouped(progress.failed)) } else { String::new() };
        self.bar.set_message(format!("{} reviews{failed}, {speed:.0}/s", grouped(progress.reviews)));
    }

    /// Takes it off the terminal.
    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// Lines of a part of logs.
fn count(logs: &[Log], shard: Shard) -> u64 {
    let mut lines = 0;
    for log in logs {
        let Ok(mut reader) = log.open() else { return 0 };
        while let Some(line) = reader.next_line() {
            let number = line.map_or_else(|error| error.line(), |line| line.number);
            lines += u64::from(number % shard.of == shard.index);
        }
    }
    lines
}

/// Reviews a second, lately.
struct Rate {
    /// Two moments, at least [`WINDOW`] apart once there has been time, and how many were done then.
    marks: [(Instant, u64); 2],
}

impl Rate {
    fn new(done: u64) -> Self {
        Self { marks: [(Instant::now(), done); 2] }
    }

    fn of(&mut self, done: u64) -> f64 {
        let now = Instant::now();
        if now - self.marks[1].0 >= WINDOW {
            self.marks = [self.marks[1], (now, done)];
        }
        let (since, before) = self.marks[0];
        let seconds = (now - since).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "for show")]
        if seconds > 0.0 { (done - before) as f64 / seconds } else { 0.0 }
    }
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_lines_of_a_part_counted() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let log = [Log::Bytes { name: "a", bytes: b"{}\n\n{}\n{}\n{" }];
        let part = |index, of| count(&log, Shard { index, of });
        assert_eq!((part(0, 1), part(0, 2), part(1, 2)), (4, 1, 3), "lines 1, 3, 4 and 5");
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_that_of_late() {
        let mut rate = Rate::new(1_000_000);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!((rate.of(1_001_000) - 100.0).abs() < 0.01, "what was done before does not count");
        tokio::time::advance(Duration::from_secs(10)).await;
        rate.of(1_001_000);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(rate.of(1_001_000) < 0.01, "it has stood still since");
    }
}
