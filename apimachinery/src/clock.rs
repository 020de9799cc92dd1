//! The one door to the machine's clock.
//!
//! A [`Clock`] reads the wall clock once, when it is made, and from then on follows [`tokio::time::Instant`]. Under
//! tokio's paused time it therefore stands still and moves only when the test advances it; with [`Clock::at`] a run starts
//! at the same moment every time.

use std::fmt;

use tokio::time::Instant;

/// A source of [`Timestamp`]s; cheap to copy, and copies agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    unix_micros: i64,
}

impl Clock {
    /// Starts at the machine's wall clock.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    pub fn system() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::at(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// Starts at the given moment, in microseconds since 1970-01-01T00:00:00Z.
    pub fn at(unix_micros: i64) -> Self {
        Self { origin: Instant::now(), unix_micros }
    }

    /// The moment that it is now.
    pub fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.origin.elapsed().as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.unix_micros.saturating_add(passed))
    }
}

/// A moment in UTC with microseconds, as Kubernetes' `Time` and `MicroTime` hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970-01-01T00:00:00Z.
    pub fn from_unix_micros(unix_micros: i64) -> Self {
        Self(unix_micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn unix_micros(self) -> i64 {
        self.0
    }

    /// `2026-11-22T07:43:09Z`: how `metadata.creationTimestamp` and every other `Time` is written; cut to the second.
    pub fn rfc3339(self) -> String {
        let mut text = self.to_the_second();
        text.push('Z');
        text
    }

    /// `2026-11-22T07:43:09.123456Z`: how `MicroTime` (leases, events.k8s.io) is written.
    pub fn rfc3339_micro(self) -> String {
        let mut text = self.to_the_second();
        text.push('.');
        push(&mut text, self.0.rem_euclid(1_000_000), 6);
        text.push('Z');
        text
    }

    fn to_the_second(self) -> String {
        let Civil { year, month, day, second_of_day: s } = Civil::of(self.0.div_euclid(1_000_000));
        let mut text = String::with_capacity("2026-11-22T07:43:09.123456Z".len());
        push(&mut text, year, 4);
        for (before, number) in [('-', month), ('-', day), ('T', s / 3_600), (':', s / 60 % 60), (':', s % 60)] {
            text.push(before);
            push(&mut text, number, 2);
        }
        text
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// Appends a number with leading zeros: every request writes some times, and the formatter takes its own.
fn push(text: &mut String, number: i64, width: u32) {
    if number < 0 || number >= 10_i64.pow(width) {
        text.push_str(&number.to_string());
        return;
    }
    for place in (0..width).rev() {
        let digit = number / 10_i64.pow(place) % 10;
        text.push(u8::try_from(digit).map_or('0', |digit| char::from(b'0' + digit)));
    }
}

/// A date and time of the proleptic Gregorian calendar.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
}

impl Civil {
    fn of(unix_seconds: i64) -> Self {
        let (days, second_of_day) = (unix_seconds.div_euclid(86_400), unix_seconds.rem_euclid(86_400));
        // Years that begin in March put the leap day last, so that months have fixed offsets.
        let since_march_0000 = days + 719_468;
        let era = since_march_0000.div_euclid(146_097);
        let day_of_era = since_march_0000.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year, month, day, second_of_day }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_moments_as_kubernetes_does() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_795_333_389_123_456, "2026-11-22T07:43:09.123456Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (4_107_542_399_000_000, "2100-02-28T23:59:59.000000Z"),
        ] {
            assert_eq!(Timestamp::from_unix_micros(micros).rfc3339_micro(), text);
        }
        assert_eq!(Timestamp::from_unix_micros(1_795_333_389_999_999).rfc3339(), "2026-11-22T07:43:09Z");
    }
}
