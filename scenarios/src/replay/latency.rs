//! How long answers took.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest time that is told apart, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// A histogram of times, from 1 us to an hour at three digits (HDR): its size does not depend on how many there are.
/// As JSON: pairs of a time in microseconds and how many were that long, `[[120,3],[121,1]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        // The bounds are valid, so the fallbacks are never taken.
        let histogram = Histogram::new_with_bounds(1, LONGEST, 3).or_else(|_| Histogram::new(3));
        Self(histogram.unwrap_or_else(|_| unreachable!("three digits are within what a histogram takes")))
    }
}

impl Latency {
    /// Adds one time; what is shorter than 1 us counts as 1 us, what is longer than an hour as an hour.
    pub fn add(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LONGEST).clamp(1, LONGEST));
    }

    /// Adds all times of another.
    pub fn merge(&mut self, other: &Self) {
        // Both have the same bounds.
        let _ = self.0.add(&other.0);
    }

    /// How many times are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time below which this share (0 to 100) of them stayed; zero if there are none.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        Duration::from_micros(if self.0.is_empty() { 0 } else { self.0.value_at_percentile(share) })
    }

    /// Times in microseconds and how many were that long, in ascending order.
    #[must_use]
    pub fn counts(&self) -> Vec<(u64, u64)> {
        self.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.counts())
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut latency = Self::default();
        for (value, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            latency.0.saturating_record_n(value.clamp(1, LONGEST), count);
        }
        Ok(latency)
    }
}
