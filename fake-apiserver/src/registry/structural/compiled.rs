//! Patterns and rules of schemas, compiled once and kept while there are not too many; and the formats of strings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::Regex;

use crate::admission::Program;

/// How many compiled expressions are kept.
const KEPT: usize = 4096;

type Kept<T> = Mutex<Option<HashMap<String, T>>>;

fn keep<T: Clone>(kept: &Kept<T>, source: &str, compile: impl FnOnce() -> T) -> T {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.get_or_insert_with(HashMap::new);
    if let Some(known) = kept.get(source) {
        return known.clone();
    }
    if kept.len() >= KEPT {
        kept.clear();
    }
    let compiled = compile();
    kept.insert(source.to_owned(), compiled.clone());
    compiled
}

/// A pattern; none if it is not one that can be compiled, which then refuses nothing.
pub(super) fn pattern(source: &str) -> Option<Regex> {
    static PATTERNS: Kept<Option<Regex>> = Mutex::new(None);
    keep(&PATTERNS, source, || Regex::new(source).ok())
}

/// A rule, or why it cannot be compiled.
pub(super) fn rule(source: &str) -> Arc<Result<Program, String>> {
    static RULES: Kept<Arc<Result<Program, String>>> = Mutex::new(None);
    keep(&RULES, source, || Arc::new(Program::compile(source)))
}

/// Whether a string has one of the formats that are checked; unknown formats accept everything.
pub(super) fn has_format(format: &str, text: &str) -> bool {
    const UUID: &str = "^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$";
    const HOST: &str = r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z\p{L}]){2,63})$";
    let matches = |source: &str| pattern(source).is_none_or(|pattern| pattern.is_match(text));
    match format {
        "date-time" | "datetime" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10,
        "duration" => crate::time::go_duration(text).is_some(),
        "byte" => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(text).is_ok()
        }
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "cidr" => text.split_once('/').is_some_and(|(address, bits)| {
            address.parse::<std::net::IpAddr>().is_ok_and(|address| {
                bits.parse::<u8>().is_ok_and(|bits| bits <= if address.is_ipv4() { 32 } else { 128 })
            })
        }),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => matches(UUID),
        "hostname" => text.len() <= 255 && matches(HOST),
        "email" => text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.')),
        "mac" => matches("^(?i)([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$"),
        _ => true,
    }
}
