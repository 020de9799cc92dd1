//! Sprig's `semver` and `semverCompare`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Context, Function, string};
use crate::value::Value;

pub(super) static TABLE: &[Function] =
    &[Function::new("semver", 1, 1, semver), Function::new("semverCompare", 2, 2, semver_compare)];

/// A version; what is left out counts as 0.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    numbers: [u64; 3],
    /// How many numbers were written.
    given: usize,
    pre: String,
    metadata: String,
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().strip_prefix('v').unwrap_or(text.trim());
        let (text, metadata) = text.split_once('+').unwrap_or((text, ""));
        let (core, pre) = text.split_once('-').unwrap_or((text, ""));
        let mut numbers = [0; 3];
        let mut given = 0;
        for part in core.split('.') {
            if matches!(part, "x" | "X" | "*") {
                break;
            }
            *numbers.get_mut(given)? = part.parse().ok()?;
            given += 1;
        }
        Some(Self { numbers, given, pre: pre.to_owned(), metadata: metadata.to_owned() })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let pre = |a: &str, b: &str| match (a.is_empty(), b.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => compare_pre(a, b),
        };
        self.numbers.cmp(&other.numbers).then_with(|| pre(&self.pre, &other.pre))
    }
}

fn compare_pre(a: &str, b: &str) -> Ordering {
    let mut left = a.split('.');
    let mut right = b.split('.');
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn semver<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Result<Value<'a>, String> {
    let v = Version::parse(string(a, 0)?).ok_or("invalid semantic version")?;
    let number = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    let [major, minor, patch] = v.numbers;
    let fields: BTreeMap<String, Value<'a>> = [
        ("Major".to_owned(), number(major)),
        ("Minor".to_owned(), number(minor)),
        ("Patch".to_owned(), number(patch)),
        ("Prerelease".to_owned(), Value::owned(v.pre)),
        ("Metadata".to_owned(), Value::owned(v.metadata)),
    ]
    .into();
    Ok(Value::map(fields))
}

fn semver_compare<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Result<Value<'a>, String> {
    let version = Version::parse(string(a, 1)?).ok_or("invalid semantic version")?;
    for alternative in string(a, 0)?.split("||") {
        if meets(alternative, &version)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// Whether a version meets all constraints of a comma or blank separated list.
fn meets(constraints: &str, version: &Version) -> Result<bool, String> {
    if let Some((low, high)) = constraints.split_once(" - ") {
        return Ok(one(&format!(">={}", low.trim()), version)? && one(&format!("<={}", high.trim()), version)?);
    }
    // Operators may stand apart from their version.
    let mut pending = String::new();
    for word in constraints.replace(',', " ").split_whitespace() {
        pending.push_str(word);
        if word.ends_with(|c: char| c.is_alphanumeric() || c == '*') {
            if !one(&pending, version)? {
                return Ok(false);
            }
            pending.clear();
        }
    }
    if pending.is_empty() { Ok(true) } else { Err(format!("invalid constraint {constraints:?}")) }
}

fn one(constraint: &str, version: &Version) -> Result<bool, String> {
    let at = constraint.find(|c: char| c.is_alphanumeric() || c == '*').unwrap_or(constraint.len());
    let (operator, text) = constraint.split_at(at);
    let bound = Version::parse(text).ok_or_else(|| format!("invalid constraint {constraint:?}"))?;
    // A constraint without a pre-release never takes one.
    if !version.pre.is_empty() && bound.pre.is_empty() {
        return Ok(false);
    }
    let order = version.compare(&bound);
    let same_up_to = |n: usize| version.numbers.iter().zip(&bound.numbers).take(n).all(|(a, b)| a == b);
    Ok(match operator {
        "" | "=" | "==" if bound.given < 3 => same_up_to(bound.given),
        "" | "=" | "==" => order.is_eq(),
        "!=" if bound.given < 3 => !same_up_to(bound.given),
        "!=" => order.is_ne(),
        ">" if bound.given < 3 => order.is_gt() && !same_up_to(bound.given),
        ">" => order.is_gt(),
        ">=" | "=>" => order.is_ge(),
        "<" => order.is_lt(),
        "<=" | "=<" if bound.given < 3 => order.is_le() || same_up_to(bound.given),
        "<=" | "=<" => order.is_le(),
        "~" | "~>" => order.is_ge() && same_up_to(bound.given.min(2)),
        "^" => {
            let fixed = bound.numbers.iter().position(|n| *n != 0).map_or(bound.given, |i| i + 1);
            order.is_ge() && same_up_to(fixed)
        }
        _ => return Err(format!("invalid constraint {constraint:?}")),
    })
}
