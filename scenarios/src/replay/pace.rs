//! When records are sent.

use std::time::Duration;

use admission::capture::Record;
use tokio::time::Instant;

use super::source::Position;

/// How fast records are sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Pace {
    /// As fast as they are answered.
    #[default]
    Fast,
    /// So many a second, whether or not earlier ones have been answered (open loop).
    Rate(f64),
    /// At the times at which they were recorded, so many times as fast. Records without a time follow at once.
    Recorded(f64),
}

impl Pace {
    /// Reads `recorded`, `recorded×10` or `recordedx0.5`.
    ///
    /// # Errors
    /// Says what is wanted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let factor = text.strip_prefix("recorded").map(|rest| rest.trim_start_matches(['×', 'x', '*']));
        let factor = factor.and_then(|factor| if factor.is_empty() { Some(1.0) } else { factor.parse::<f64>().ok() });
        match factor {
            Some(factor) if factor > 0.0 && factor <= 1e6 => Ok(Self::Recorded(factor)),
            _ => Err("want recorded, or recorded×N for N times as fast".to_owned()),
        }
    }
}

/// Says when each record is due. A time that has passed stays what it is: lateness counts into the latency.
#[derive(Debug)]
pub(super) struct Pacer {
    pace: Pace,
    began: Option<Instant>,
    count: u64,
    /// Where in the logs the times count from, and what they count from.
    section: Option<(u64, usize, f64)>,
    last: Option<Instant>,
}

impl Pacer {
    pub(super) const fn new(pace: Pace) -> Self {
        Self { pace, began: None, count: 0, section: None, last: None }
    }

    /// When this record is to be sent; `None`: at once.
    pub(super) fn due(&mut self, record: &Record, at: Position) -> Option<Instant> {
        let now = Instant::now();
        match self.pace {
            Pace::Fast => None,
            Pace::Rate(rate) => {
                let began = *self.began.get_or_insert(now);
                #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 records")]
                let seconds = self.count as f64 / rate;
                self.count += 1;
                Some(began + duration(seconds))
            }
            Pace::Recorded(factor) => {
                let Some(time) = record.t_ms.filter(|time| time.is_finite()) else { return self.last };
                // Each log, and each repetition, begins where the one before ended.
                let first = match self.section {
                    Some((round, log, first)) if (round, log) == (at.round, at.log) => first,
                    _ => {
                        self.began = Some(self.last.unwrap_or(now));
                        self.section = Some((at.round, at.log, time));
                        time
                    }
                };
                let due = self.began.unwrap_or(now) + duration((time - first).max(0.0) / 1000.0 / factor);
                self.last = Some(due);
                Some(due)
            }
        }
    }
}

/// Longest time that is waited for a record: a log whose clock jumped does not wait for ever.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(round: u64) -> Position {
        Position { round, log: 0, line: 1 }
    }

    fn recorded(ms: f64) -> Record {
        Record { t_ms: Some(ms), ..Record::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_an_open_loop() {
        let mut pacer = Pacer::new(Pace::Rate(10.0));
        let first = pacer.due(&Record::default(), at(0)).unwrap();
        tokio::time::advance(Duration::from_secs(5)).await;
        let second = pacer.due(&Record::default(), at(0)).unwrap();
        assert_eq!(second - first, Duration::from_millis(100), "a pause does not move what was intended");
    }

    #[tokio::test(start_paused = true)]
    async fn recorded_times_are_kept_faster_or_slower_and_go_on_after_each_round() {
        let mut pacer = Pacer::new(Pace::parse("recorded×2").unwrap());
        let due: Vec<_> = [(500.0, 0), (1500.0, 0), (2500.0, 0), (500.0, 1), (700.0, 1)]
            .map(|(ms, round)| pacer.due(&recorded(ms), at(round)).unwrap())
            .into();
        let millis: Vec<_> = due.iter().map(|time| (*time - due[0]).as_millis()).collect();
        assert_eq!(millis, [0, 500, 1000, 1000, 1100]);
        assert_eq!(Pacer::new(Pace::Fast).due(&recorded(1.0), at(0)), None);
    }

    #[test]
    fn a_pace_is_read_from_text() {
        assert_eq!(Pace::parse("recorded"), Ok(Pace::Recorded(1.0)));
        assert_eq!(Pace::parse("recordedx0.5"), Ok(Pace::Recorded(0.5)));
        for bad in ["", "fast", "recorded×0", "recorded×-1", "recorded×NaN", "recorded×a"] {
            assert!(Pace::parse(bad).is_err(), "{bad}");
        }
    }
}
