//! Texts of cells: ages, lists, labels.

use apimachinery::clock::Timestamp;
use apimachinery::value::Value;

/// Seconds between an RFC 3339 text and now; `None` if it is no time.
pub(super) fn seconds_since(text: &str, now: Timestamp) -> Option<i64> {
    crate::time::parse(text).map(|then| crate::time::seconds(now) - crate::time::seconds(then))
}

/// The age of something: `<unknown>` without a time.
pub(super) fn age(text: Option<&str>, now: Timestamp) -> String {
    text.and_then(|text| seconds_since(text, now)).map_or_else(|| "<unknown>".to_owned(), human)
}

/// A duration as kubectl prints it: two units while they are small, then one.
pub(super) fn human(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |whole: i64, unit: &str, rest: i64, rest_unit: &str| {
        if rest == 0 { format!("{whole}{unit}") } else { format!("{whole}{unit}{rest}{rest_unit}") }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 | 0 => "0s".to_owned(),
        1..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

/// Texts joined by commas, `<none>` if there are none.
pub(super) fn or_none(texts: Vec<String>) -> String {
    if texts.is_empty() { "<none>".to_owned() } else { texts.join(",") }
}

/// `a=b,c=d` of a map, `<none>` if it is empty.
pub(super) fn pairs(map: &Value) -> String {
    let pairs = map.as_object().into_iter().flatten();
    or_none(pairs.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect())
}

/// A label selector on one line, `<none>` if it is empty.
pub(super) fn selector(selector: &Value) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (name, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push(format!("{name}={}", value.as_str().unwrap_or_default()));
    }
    for requirement in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = requirement["key"].as_str().unwrap_or_default();
        let mut values: Vec<&str> =
            requirement["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        values.sort_unstable();
        parts.push(match requirement["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    or_none(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_kubectl_prints_them() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_860, "3h1m"),
            (28_800, "8h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (691_200, "8d"),
            (63_072_000, "2y"),
            (-5, "<invalid>"),
        ] {
            assert_eq!(human(seconds), text);
        }
    }
}
