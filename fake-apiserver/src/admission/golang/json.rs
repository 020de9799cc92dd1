//! JSON that is passed on as it was written.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// A JSON patch as kube-apiserver repeats it in audit annotations: each operation's keys in the order of the alphabet,
/// values as the webhook wrote them, without blanks and with HTML characters escaped.
pub(crate) fn patch(text: &[u8]) -> Option<String> {
    let operations: Vec<BTreeMap<String, &RawValue>> = serde_json::from_slice(text).ok()?;
    let mut out = String::from("[");
    for (index, operation) in operations.iter().enumerate() {
        out.push_str(if index == 0 { "{" } else { ",{" });
        for (index, (key, value)) in operation.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            let key = ::admission::gojson::to_vec(key).ok()?;
            out.push_str(&String::from_utf8(key).ok()?);
            out.push(':');
            compact(value.get(), &mut out);
        }
        out.push('}');
    }
    out.push(']');
    Some(out)
}

/// Appends valid JSON without the blanks between its tokens.
fn compact(json: &str, out: &mut String) {
    let (mut in_string, mut escaped) = (false, false);
    for letter in json.chars() {
        match letter {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            ' ' | '\t' | '\n' | '\r' if !in_string => {}
            other => out.push(other),
        }
        if in_string && !escaped && letter == '\\' {
            escaped = true;
            continue;
        }
        if letter == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = false;
    }
}

#[cfg(test)]
mod tests {
    use super::patch;

    #[test]
    fn operations_are_sorted_and_values_kept_as_written() {
        let text = br#"[ {"value": {"b": "<x> \" y", "a" : [1, 2.50]}, "path": "/m", "op": "add"},{"op":"remove","path":"/n"} ]"#;
        assert_eq!(
            patch(text).as_deref(),
            Some(
                r#"[{"op":"add","path":"/m","value":{"b":"\u003cx\u003e \" y","a":[1,2.50]}},{"op":"remove","path":"/n"}]"#
            )
        );
        assert_eq!(patch(b"{}"), None);
    }
}
