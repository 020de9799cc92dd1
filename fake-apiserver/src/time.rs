//! Times as objects carry them.

use std::time::Duration;

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

/// A duration as Go prints it: `1.5s`, `705.507056ms`, `1m0.25s`.
pub(crate) fn go_text(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let fraction = |whole: u128, rest: u128, digits: usize| {
        let text = format!("{whole}.{rest:0digits$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(nanos / 1_000, nanos % 1_000, 3)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(nanos / 1_000_000, nanos % 1_000_000, 6)),
        _ => {
            let seconds = duration.as_secs();
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let rest = fraction(u128::from(seconds % 60), u128::from(duration.subsec_nanos()), 9);
            match (hours, minutes) {
                (0, 0) => format!("{rest}s"),
                (0, _) => format!("{minutes}m{rest}s"),
                _ => format!("{hours}h{minutes}m{rest}s"),
            }
        }
    }
}

/// A duration as Go writes them: `1s`, `1m30s`, `500ms`.
pub(crate) fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest == "0" {
        return Some(total);
    }
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        rest = &rest[letters..];
        total = total.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        for (nanos, text) in [
            (0, "0s"),
            (90, "90ns"),
            (115_022, "115.022µs"),
            (1_561_380, "1.56138ms"),
            (705_507_056, "705.507056ms"),
            (1_000_890_479, "1.000890479s"),
            (10_000_000_000, "10s"),
            (3_690_500_000_000, "1h1m30.5s"),
        ] {
            assert_eq!(go_text(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        assert_eq!(go_duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(go_duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(go_duration("500ms"), Some(Duration::from_millis(500)));
        for bad in ["", "1", "s", "1x", "-1s"] {
            assert_eq!(go_duration(bad), None, "{bad}");
        }
    }
}
