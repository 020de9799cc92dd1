//! One metric family and its text: counters, gauges and histograms with labels.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use foldhash::fast::RandomState;

/// Series of one family at most. Labels are partly what clients write into URLs; past this, new series are not counted.
const MAX_SERIES: usize = 10_000;

/// Separates label values inside a key; it is in no header, path or name.
const SEPARATOR: char = '\u{1}';

/// What a family counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets, without `+Inf`.
    Histogram(&'static [f64]),
}

/// Metrics of one name.
#[derive(Debug)]
pub(super) struct Family {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    /// Names of labels in the order of the alphabet, as Prometheus prints them.
    labels: &'static [&'static str],
    series: Mutex<HashMap<String, Series, RandomState>>,
}

#[derive(Debug, Default)]
struct Series {
    /// A counter's or gauge's value, a histogram's sum.
    value: f64,
    /// Observations by bucket; the last is `+Inf`. Not cumulative.
    buckets: Vec<u64>,
}

impl Family {
    pub(super) fn new(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Family {
        let family = Family { name, help, kind, labels, series: Mutex::default() };
        if labels.is_empty() && kind == Kind::Counter {
            // A counter without labels is there from the start.
            family.change(&[], |series| series.value = 0.0);
        }
        family
    }

    /// Adds to a counter or gauge.
    pub(super) fn add(&self, labels: &[&str], amount: f64) {
        self.change(labels, |series| series.value += amount);
    }

    /// Sets a gauge.
    pub(super) fn set(&self, labels: &[&str], value: f64) {
        self.change(labels, |series| series.value = value);
    }

    /// Puts a value into a histogram.
    pub(super) fn observe(&self, labels: &[&str], value: f64) {
        let Kind::Histogram(bounds) = self.kind else { return };
        self.change(labels, |series| {
            series.buckets.resize(bounds.len() + 1, 0);
            series.buckets[bounds.partition_point(|bound| *bound < value)] += 1;
            series.value += value;
        });
    }

    fn change(&self, labels: &[&str], change: impl FnOnce(&mut Series)) {
        debug_assert_eq!(labels.len(), self.labels.len(), "{}", self.name);
        let mut key = String::with_capacity(96);
        for label in labels {
            key.push_str(label);
            key.push(SEPARATOR);
        }
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = series.get_mut(&key) {
            change(series);
        } else if series.len() < MAX_SERIES {
            change(series.entry(key).or_default());
        }
    }

    /// Appends the family in Prometheus' text format; nothing while it has no series.
    pub(super) fn render(&self, out: &mut String) {
        let all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if all.is_empty() {
            return;
        }
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let _ = writeln!(out, "# HELP {0} {1}\n# TYPE {0} {kind}", self.name, self.help);
        let mut all: Vec<_> = all.iter().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        for (key, series) in all {
            let pairs = self.pairs(key);
            let Kind::Histogram(bounds) = self.kind else {
                line(out, self.name, "", &pairs, None, series.value);
                continue;
            };
            let mut total = 0;
            for (index, count) in series.buckets.iter().enumerate() {
                total += count;
                let bound = bounds.get(index).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
                line(out, self.name, "_bucket", &pairs, Some(&bound), total as f64);
            }
            line(out, self.name, "_sum", &pairs, None, series.value);
            line(out, self.name, "_count", &pairs, None, total as f64);
        }
    }

    /// `a="x",b="y"`.
    fn pairs(&self, key: &str) -> String {
        let mut text = String::new();
        for (name, value) in self.labels.iter().zip(key.split(SEPARATOR)) {
            if !text.is_empty() {
                text.push(',');
            }
            let _ = write!(text, "{name}=\"");
            for letter in value.chars() {
                match letter {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    other => text.push(other),
                }
            }
            text.push('"');
        }
        text
    }
}

fn line(out: &mut String, name: &str, suffix: &str, pairs: &str, bound: Option<&str>, value: f64) {
    let _ = write!(out, "{name}{suffix}");
    match (pairs.is_empty(), bound) {
        (true, None) => {}
        (true, Some(bound)) => {
            let _ = write!(out, "{{le=\"{bound}\"}}");
        }
        (false, None) => {
            let _ = write!(out, "{{{pairs}}}");
        }
        (false, Some(bound)) => {
            let _ = write!(out, "{{{pairs},le=\"{bound}\"}}");
        }
    }
    let _ = writeln!(out, " {value}");
}

#[cfg(test)]
mod tests {
    use super::{Family, Kind};

    fn text(family: &Family) -> String {
        let mut out = String::new();
        family.render(&mut out);
        out
    }

    #[test]
    fn the_text_format_of_prometheus() {
        let counter = Family::new("requests_total", Kind::Counter, &["code", "path"], "Requests.");
        assert_eq!(text(&counter), "");
        counter.add(&["200", "/a\"b\\c\nd"], 1.0);
        counter.add(&["200", "/a\"b\\c\nd"], 1.0);
        assert_eq!(
            text(&counter),
            "# HELP requests_total Requests.\n# TYPE requests_total counter\n\
             requests_total{code=\"200\",path=\"/a\\\"b\\\\c\\nd\"} 2\n"
        );
        let bare = Family::new("events_total", Kind::Counter, &[], "Events.");
        assert!(text(&bare).ends_with("\nevents_total 0\n"));
    }

    #[test]
    fn buckets_are_cumulative_and_a_bound_belongs_to_its_bucket() {
        let seconds = Family::new("seconds", Kind::Histogram(&[0.5, 1.0]), &["name"], "Time.");
        for value in [0.5, 0.75, 3.0] {
            seconds.observe(&["x"], value);
        }
        assert_eq!(
            text(&seconds),
            "# HELP seconds Time.\n# TYPE seconds histogram\n\
             seconds_bucket{name=\"x\",le=\"0.5\"} 1\nseconds_bucket{name=\"x\",le=\"1\"} 2\n\
             seconds_bucket{name=\"x\",le=\"+Inf\"} 3\nseconds_sum{name=\"x\"} 4.25\nseconds_count{name=\"x\"} 3\n"
        );
    }

    #[test]
    fn series_are_bounded() {
        let counter = Family::new("c", Kind::Counter, &["path"], "C.");
        for index in 0..super::MAX_SERIES + 50 {
            counter.add(&[&index.to_string()], 1.0);
        }
        assert_eq!(text(&counter).lines().count(), super::MAX_SERIES + 2);
    }
}
