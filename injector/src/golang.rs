//! What Go's library says about a text that it cannot read.
//!
//! Istio hands these words to the user as they are, so a denial is only the same as Istio's if they are the same. The
//! facts are Go's documented error formats and the recordings of Istio's answers.

use apimachinery::go::quote;

pub(crate) mod address;
pub(crate) mod decode;

/// What Kubernetes says about a text that is no quantity.
pub(crate) const NO_QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// The reason why a text is no quantity; `None` if it is one.
pub(crate) fn quantity(text: &str) -> Option<&'static str> {
    if apimachinery::quantity::Quantity::parse(text).is_some() {
        return None;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = |s: &str| s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
    let (whole, rest) = unsigned.split_at(digits(unsigned));
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    let letters = suffix.find(|c: char| !"eEinumkKMGTP".contains(c)).unwrap_or(suffix.len());
    let (letters, exponent) = suffix.split_at(letters);
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if text.is_empty() || digits(exponent) < exponent.len() {
        return Some(NO_QUANTITY);
    }
    if whole.is_empty()
        && fraction.is_empty()
        && apimachinery::quantity::Quantity::parse(&format!("1{letters}")).is_some()
    {
        return Some("unable to parse numeric part of quantity");
    }
    Some("unable to parse quantity's suffix")
}

/// `strconv.ParseUint`'s reason why a text is no number of that many bits; `None` if it is one.
pub(crate) fn unsigned(text: &str, bits: u32) -> Option<String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let why = if !digits {
        "invalid syntax"
    } else if text.parse::<u64>().is_ok_and(|n| bits >= 64 || n >> bits == 0) {
        return None;
    } else {
        "value out of range"
    };
    Some(format!("strconv.ParseUint: parsing {}: {why}", quote(text)))
}

/// What go-yaml says about a text that our reader refuses: the same problem, without the context. It counts a parser's
/// lines from 0.
pub(crate) fn yaml(error: &apimachinery::yaml::Error) -> String {
    let problem = match error.message.split_once(", ") {
        Some((context, problem)) if context.starts_with("while ") => problem,
        _ => &error.message,
    };
    let parser = problem.starts_with("did not find expected");
    match error.line.saturating_sub(usize::from(parser)) {
        0 => format!("yaml: {problem}"),
        line => format!("yaml: line {line}: {problem}"),
    }
}

/// What `encoding/json` says about a text that is no JSON, as far as the place tells.
pub(crate) fn json(text: &str, error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    match text.trim_start().chars().next() {
        Some(first) if !"{[\"-tfn0123456789".contains(first) => {
            format!("invalid character '{first}' looking for beginning of value")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_refused_for_three_reasons() {
        for (text, why) in [
            ("100m", None),
            ("", Some(NO_QUANTITY)),
            ("abc", Some(NO_QUANTITY)),
            ("1Q i", Some(NO_QUANTITY)),
            ("1.2.3", Some(NO_QUANTITY)),
            ("1 Gi", Some(NO_QUANTITY)),
            ("m", Some("unable to parse numeric part of quantity")),
            ("1kk", Some("unable to parse quantity's suffix")),
        ] {
            assert_eq!(quantity(text), why, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_refused_in_strconvs_words() {
        assert_eq!(unsigned("65535", 16), None);
        assert_eq!(unsigned("65536", 16).unwrap(), r#"strconv.ParseUint: parsing "65536": value out of range"#);
        assert_eq!(unsigned("", 32).unwrap(), r#"strconv.ParseUint: parsing "": invalid syntax"#);
        assert_eq!(unsigned("-1\n", 32).unwrap(), r#"strconv.ParseUint: parsing "-1\n": invalid syntax"#);
        assert!(unsigned("99999999999999999999", 64).unwrap().ends_with("value out of range"));
    }
}
