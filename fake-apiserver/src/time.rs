//! Times as objects carry them.

use apimachinery::clock::Timestamp;

/// Reads an RFC 3339 text.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let parsed: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_unix_micros(parsed.as_microsecond()))
}

/// Whole seconds since 1970.
pub(crate) fn seconds(time: Timestamp) -> i64 {
    time.unix_micros().div_euclid(1_000_000)
}

/// The time so many seconds later.
pub(crate) fn later(time: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros(time.unix_micros().saturating_add(seconds.saturating_mul(1_000_000)))
}
