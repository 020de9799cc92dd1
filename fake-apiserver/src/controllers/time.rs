//! Times as controllers read and write them: Unix seconds, and RFC 3339 texts.

use apimachinery::clock::{Clock, Timestamp};

/// `2026-11-22T07:38:01Z` in Unix seconds.
pub(crate) fn parse(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

/// Unix seconds as `2026-11-22T07:38:01Z`.
pub(crate) fn format(seconds: i64) -> String {
    Timestamp::from_unix_micros(seconds.saturating_mul(1_000_000)).rfc3339()
}

/// The time now in Unix seconds.
pub(crate) fn seconds(clock: &Clock) -> i64 {
    clock.now().unix_micros().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds() {
        assert_eq!(parse("1970-01-02T00:00:01Z"), Some(86_401));
        assert_eq!(parse("yesterday"), None);
    }
}
