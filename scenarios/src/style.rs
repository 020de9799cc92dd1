//! Colours, where the terminal has them.

use std::fmt;

/// Whether to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours; off when the output is not a terminal or `NO_COLOR` is set.
    pub colour: bool,
}

impl Style {
    /// Green.
    #[must_use]
    pub fn good(self, text: impl fmt::Display) -> String {
        self.paint("32", text)
    }

    /// Red.
    #[must_use]
    pub fn bad(self, text: impl fmt::Display) -> String {
        self.paint("31", text)
    }

    /// Dimmed.
    #[must_use]
    pub fn dim(self, text: impl fmt::Display) -> String {
        self.paint("2", text)
    }

    /// Bold.
    #[must_use]
    pub fn strong(self, text: impl fmt::Display) -> String {
        self.paint("1", text)
    }

    fn paint(self, code: &str, text: impl fmt::Display) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }
}
