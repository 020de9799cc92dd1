//! A small shell in virtual time: enough for what people write into a pod's `command` and behind `kubectl exec`.
//!
//! Statements, `&&`, `||`, `!`, pipes, `if`, `while`, `until`, `for`, groups, quotes, variables, command substitution and
//! redirections work; a handful of programs are built in. `sleep` costs no time: it moves the script's own clock.

mod builtin;
mod parse;
mod run;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use run::{Machine, Unknown};

/// Something that was printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// When, since the start.
    pub(crate) at: Duration,
    /// Whether to standard error.
    pub(crate) error: bool,
    pub(crate) bytes: Vec<u8>,
}

/// What became of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) output: Vec<Output>,
    /// When it ended and with which code; none if it is still running at the horizon.
    pub(crate) end: Option<(Duration, u8)>,
}

impl Run {
    /// All that went to one of the streams.
    #[cfg(test)]
    pub(crate) fn stream(&self, error: bool) -> Vec<u8> {
        self.output.iter().filter(|output| output.error == error).flat_map(|output| output.bytes.clone()).collect()
    }
}
