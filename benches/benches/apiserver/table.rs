//! Figures as Markdown.

use std::time::Duration;

/// A table that is printed row by row.
pub(crate) struct Table;

impl Table {
    /// Prints the heading and the names of the columns.
    pub(crate) fn new(heading: &str, columns: &[&str]) -> Table {
        println!("\n### {heading}\n");
        println!("| {} |", columns.join(" | "));
        println!("|{}", "---|".repeat(columns.len()));
        Table
    }

    /// Prints a row.
    pub(crate) fn row(&self, cells: &[String]) {
        println!("| {} |", cells.join(" | "));
    }
}

/// The value below which this part (0 to 1) of the times lies.
pub(crate) fn quantile(times: &mut [Duration], part: f64) -> Duration {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    let at = (part * last as f64).round() as usize;
    times.get(at).copied().unwrap_or_default()
}

/// Milliseconds with two decimals.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// A rate without decimals, with separated thousands.
pub(crate) fn rate(count: usize, time: Duration) -> (f64, String) {
    let rate = count as f64 / time.as_secs_f64();
    (rate, thousands(rate as u64))
}

/// `12,345`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
