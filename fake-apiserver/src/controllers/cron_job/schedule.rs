//! `*/5 0-8 * * MON`, and `@hourly`: the times of a CronJob, in UTC.

use crate::controllers::time::format;

/// Which minutes, hours, days, months and days of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// If neither days nor days of the week are `*`, either is enough.
    either_day: bool,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MINUTE: i64 = 60;
const DAY: i64 = 86_400;
/// 1970-01-01 was a Thursday.
const EPOCH_WEEKDAY: i64 = 4;
/// How far ahead a time is looked for: leap days come every eight years at the latest.
const HORIZON_DAYS: i64 = 366 * 9;

fn number(text: &str, names: &[&str], first: u32) -> Option<u32> {
    let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
    named.and_then(|at| u32::try_from(at).ok()).map(|at| at + first).or_else(|| text.parse().ok())
}

/// A field as a set of bits.
fn field(text: &str, low: u32, high: u32, names: &[&str]) -> Option<u64> {
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (low, high),
            Some((from, to)) => (number(from, names, low)?, number(to, names, low)?),
            None => {
                let from = number(range, names, low)?;
                (from, if step.is_some() { high } else { from })
            }
        };
        if from < low || to > high || from > to {
            return None;
        }
        for value in (from..=to).step_by(usize::try_from(step.unwrap_or(1)).ok()?) {
            bits |= 1u64 << value;
        }
    }
    Some(bits)
}

impl Schedule {
    /// Reads five fields or one of the words.
    pub(super) fn parse(text: &str) -> Option<Schedule> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else { return None };
        let any = |text: &str| text.starts_with(['*', '?']);
        let mut on = field(weekdays, 0, 7, &WEEKDAYS)?;
        // Sunday is both 0 and 7.
        on = (on | (on >> 7)) & 0x7f;
        Some(Schedule {
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            weekdays: on,
            either_day: !any(days) && !any(weekdays),
        })
    }

    /// The times after a time (Unix seconds), in order.
    pub(super) fn after(&self, time: i64) -> impl Iterator<Item = i64> {
        let mut time = time;
        std::iter::from_fn(move || {
            time = self.next(time)?;
            Some(time)
        })
    }

    fn next(&self, time: i64) -> Option<i64> {
        let start = (time.div_euclid(MINUTE) + 1) * MINUTE;
        let first_day = start.div_euclid(DAY);
        for day in first_day..first_day + HORIZON_DAYS {
            if !self.is_on(day)? {
                continue;
            }
            let from = if day == first_day { start.rem_euclid(DAY) / MINUTE } else { 0 };
            let minute = (from..DAY / MINUTE)
                .find(|minute| self.hours >> (minute / 60) & 1 == 1 && self.minutes >> (minute % 60) & 1 == 1);
            if let Some(minute) = minute {
                return Some(day * DAY + minute * MINUTE);
            }
        }
        None
    }

    fn is_on(&self, day: i64) -> Option<bool> {
        let date = format(day.checked_mul(DAY)?);
        let part = |range| date.get(range).and_then(|digits: &str| digits.parse::<u32>().ok());
        let (month, day_of_month) = (part(5..7)?, part(8..10)?);
        let weekday = u32::try_from((day + EPOCH_WEEKDAY).rem_euclid(7)).ok()?;
        let bit = |bits: u64, at: u32| bits >> at & 1 == 1;
        let in_month = bit(self.days, day_of_month);
        let in_week = bit(self.weekdays, weekday);
        let on = if self.either_day { in_month || in_week } else { in_month && in_week };
        Some(on && bit(self.months, month))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        crate::controllers::time::parse(text).unwrap()
    }

    fn next(schedule: &str, after: &str) -> String {
        format(Schedule::parse(schedule).unwrap().after(at(after)).next().unwrap())
    }

    #[test]
    fn times_are_found() {
        // controllers/cronjob: created at 07:37:42, the Job is of 07:38
        assert_eq!(next("* * * * *", "2026-11-22T07:37:42Z"), "2026-11-22T07:38:00Z");
        assert_eq!(next("*/15 * * * *", "2026-11-22T07:45:00Z"), "2026-11-22T08:00:00Z");
        assert_eq!(next("@daily", "2026-11-22T07:45:00Z"), "2026-11-23T00:00:00Z");
        assert_eq!(next("30 4 29 2 *", "2026-11-22T07:45:00Z"), "2028-02-29T04:30:00Z");
        assert_eq!(next("0 0 * * MON", "2026-11-22T07:45:00Z"), "2026-11-23T00:00:00Z");
        assert_eq!(next("0 0 1 * 7", "2026-11-23T00:00:00Z"), "2026-11-29T00:00:00Z", "either day is enough");
    }

    #[test]
    fn nonsense_is_no_schedule() {
        for text in ["", "* * * *", "60 * * * *", "*/0 * * * *", "5-1 * * * *", "x * * * *", "@never"] {
            assert_eq!(Schedule::parse(text), None, "{text:?}");
        }
        assert_eq!(Schedule::parse("0 0 31 2 *").unwrap().after(0).next(), None);
    }
}
