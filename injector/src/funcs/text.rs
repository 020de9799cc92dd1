//! Sprig's text functions.

use apimachinery::go::quote;

use super::budget::fits;
use super::{Context, Function, MANY, any, int, string, strval};
use crate::value::Value;

/// A function of one string to one string.
macro_rules! one {
    ($name:literal, $f:expr) => {
        Function::new($name, 1, 1, |_, a| {
            let f: fn(&str) -> String = $f;
            Ok(Value::owned(f(string(a, 0)?)))
        })
    };
}

pub(super) static TABLE: &[Function] = &[
    one!("trim", |s| s.trim().to_owned()),
    one!("upper", str::to_uppercase),
    one!("lower", str::to_lowercase),
    one!("title", title),
    one!("untitle", |s| change_words(s, |first| first.to_lowercase().collect())),
    one!("nospace", |s| s.split_whitespace().collect()),
    one!("initials", |s| s.split_whitespace().filter_map(|w| w.chars().next()).collect()),
    one!("swapcase", |s| s.chars().map(swap_case).collect()),
    one!("snakecase", |s| separated(s, '_')),
    one!("kebabcase", |s| separated(s, '-')),
    one!("camelcase", camel),
    one!("regexQuoteMeta", regex::escape),
    Function::new("hello", 0, 0, |_, _| Ok(Value::text("Hello!"))),
    Function::new("trimAll", 2, 2, trim_all),
    Function::new("trimall", 2, 2, trim_all),
    Function::new("trimPrefix", 2, 2, |_, a| {
        let (prefix, s) = (string(a, 0)?, string(a, 1)?);
        Ok(Value::owned(s.strip_prefix(prefix).unwrap_or(s)))
    }),
    Function::new("trimSuffix", 2, 2, |_, a| {
        let (suffix, s) = (string(a, 0)?, string(a, 1)?);
        Ok(Value::owned(s.strip_suffix(suffix).unwrap_or(s)))
    }),
    Function::new("hasPrefix", 2, 2, |_, a| Ok(Value::Bool(string(a, 1)?.starts_with(string(a, 0)?)))),
    Function::new("hasSuffix", 2, 2, |_, a| Ok(Value::Bool(string(a, 1)?.ends_with(string(a, 0)?)))),
    Function::new("contains", 2, 2, |_, a| Ok(Value::Bool(string(a, 1)?.contains(string(a, 0)?)))),
    Function::new("substr", 3, 3, |_, a| {
        let (start, end, s) = (int(a, 0)?, int(a, 1)?, string(a, 2)?);
        let at = |i: i64| usize::try_from(i).map_or(s.len(), |i| i.min(s.len()));
        let (from, to) = (if start < 0 { 0 } else { at(start) }, if end < 0 { s.len() } else { at(end) });
        Ok(Value::owned(s.get(from..to.max(from)).ok_or("the range cuts a character")?))
    }),
    Function::new("trunc", 2, 2, |_, a| {
        let (n, s) = (int(a, 0)?, string(a, 1)?);
        let size = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
        let cut = if size >= s.len() {
            s
        } else if n < 0 {
            s.get(floor_boundary(s, s.len() - size)..).unwrap_or(s)
        } else {
            s.get(..floor_boundary(s, size)).unwrap_or(s)
        };
        Ok(Value::owned(cut))
    }),
    Function::new("abbrev", 2, 2, |_, a| Ok(Value::owned(abbreviate(0, int(a, 0)?, string(a, 1)?)))),
    Function::new("abbrevboth", 3, 3, |_, a| Ok(Value::owned(abbreviate(int(a, 0)?, int(a, 1)?, string(a, 2)?)))),
    Function::new("repeat", 2, 2, |_, a| {
        let (n, s) = (usize::try_from(int(a, 0)?).map_err(|_| "negative count")?, string(a, 1)?);
        fits(n.saturating_mul(s.len()))?;
        Ok(Value::owned(s.repeat(n)))
    }),
    Function::new("replace", 3, 3, |_, a| {
        let (old, new, text) = (string(a, 0)?, string(a, 1)?, string(a, 2)?);
        fits(text.matches(old).count().saturating_mul(new.len()).saturating_add(text.len()))?;
        Ok(Value::owned(text.replace(old, new)))
    }),
    Function::new("plural", 3, 3, |_, a| Ok(any(a, usize::from(any(a, 2).as_count() != Some(1))))),
    Function::new("wrap", 2, 2, |_, a| Ok(Value::owned(wrap(int(a, 0)?, "\n", string(a, 1)?)))),
    Function::new("wrapWith", 3, 3, |_, a| {
        let (width, new_line, text) = (int(a, 0)?, string(a, 1)?, string(a, 2)?);
        fits((text.matches(' ').count() + 1).saturating_mul(new_line.len()).saturating_add(text.len()))?;
        Ok(Value::owned(wrap(width, new_line, text)))
    }),
    Function::new("nindent", 2, 2, |_, a| Ok(Value::owned("\n".to_owned() + &indent(int(a, 0)?, string(a, 1)?)?))),
    Function::new("quote", 0, MANY, |_, a| Ok(joined(a, |v| quote(&strval(v))))),
    Function::new("squote", 0, MANY, |_, a| Ok(joined(a, |v| format!("'{}'", strval(v))))),
    Function::new("cat", 0, MANY, |_, a| Ok(joined(a, strval))),
    Function::new("toString", 1, 1, |_, a| Ok(Value::owned(strval(&any(a, 0))))),
    Function::new("toStrings", 1, 1, |_, a| {
        Ok(Value::list(strings(&any(a, 0)).into_iter().map(Value::owned).collect()))
    }),
    Function::new("join", 2, 2, |_, a| {
        let (separator, items) = (string(a, 0)?, strings(&any(a, 1)));
        fits(items.len().saturating_mul(separator.len()).saturating_add(items.iter().map(String::len).sum()))?;
        Ok(Value::owned(items.join(separator)))
    }),
    Function::new("sortAlpha", 1, 1, |_, a| {
        let mut items = strings(&any(a, 0));
        items.sort_unstable();
        Ok(Value::list(items.into_iter().map(Value::owned).collect()))
    }),
    Function::new("splitList", 2, 2, |_, a| {
        let (sep, s) = (string(a, 0)?, string(a, 1)?);
        Ok(Value::list(split(s, sep).into_iter().map(Value::owned).collect()))
    }),
    Function::new("split", 2, 2, |_, a| Ok(numbered(split(string(a, 1)?, string(a, 0)?)))),
    Function::new("splitn", 3, 3, |_, a| {
        let n = usize::try_from(int(a, 1)?).unwrap_or(0);
        Ok(numbered(string(a, 2)?.splitn(n, string(a, 0)?).map(str::to_owned).collect()))
    }),
    Function::new("regexMatch", 2, 2, regex_match),
    Function::new("mustRegexMatch", 2, 2, regex_match),
    Function::new("regexFind", 2, 2, regex_find),
    Function::new("mustRegexFind", 2, 2, regex_find),
    Function::new("regexFindAll", 3, 3, regex_find_all),
    Function::new("mustRegexFindAll", 3, 3, regex_find_all),
    Function::new("regexReplaceAll", 3, 3, regex_replace),
    Function::new("mustRegexReplaceAll", 3, 3, regex_replace),
    Function::new("regexReplaceAllLiteral", 3, 3, regex_replace_literal),
    Function::new("mustRegexReplaceAllLiteral", 3, 3, regex_replace_literal),
    Function::new("regexSplit", 3, 3, regex_split),
    Function::new("mustRegexSplit", 3, 3, regex_split),
];

impl Value<'_> {
    fn as_count(&self) -> Option<i64> {
        match self {
            Self::Int(i) => Some(*i),
            _ => None,
        }
    }
}

fn trim_all<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Result<Value<'a>, String> {
    let (set, s) = (string(a, 0)?, string(a, 1)?);
    Ok(Value::owned(s.trim_matches(|c| set.contains(c))))
}

fn floor_boundary(s: &str, mut at: usize) -> usize {
    while !s.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn title(s: &str) -> String {
    change_words(s, |first| first.to_uppercase().collect())
}

fn change_words(s: &str, change: impl Fn(char) -> String) -> String {
    let mut start = true;
    let mut out = String::with_capacity(s.len());
    for c in s.chars() {
        if start {
            out.push_str(&change(c))
        } else {
            out.push(c)
        }
        start = !(c.is_alphanumeric() || c == '_' || c == '\'');
    }
    out
}

fn swap_case(c: char) -> char {
    if c.is_uppercase() { c.to_lowercase().next().unwrap_or(c) } else { c.to_uppercase().next().unwrap_or(c) }
}

/// `HTTPServer nameFirst` as `http_server_name_first`.
fn separated(s: &str, separator: char) -> String {
    let chars: Vec<char> = s.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        if !c.is_alphanumeric() {
            if !out.is_empty() && !out.ends_with(separator) {
                out.push(separator);
            }
            continue;
        }
        if c.is_uppercase() {
            let before = i.checked_sub(1).and_then(|p| chars.get(p)).copied().unwrap_or('_');
            let after_is_lower = chars.get(i + 1).is_some_and(|n| n.is_lowercase());
            let boundary = before.is_lowercase() || before.is_numeric() || before.is_uppercase() && after_is_lower;
            if boundary && !out.ends_with(separator) {
                out.push(separator);
            }
        }
        out.extend(c.to_lowercase());
    }
    out
}

fn camel(s: &str) -> String {
    let words = s.split(['_', '-', ' ']);
    words.map(|w| w.chars().take(1).flat_map(char::to_uppercase).chain(w.chars().skip(1)).collect::<String>()).collect()
}

/// Cuts a text to `width` characters with an ellipsis, `offset` characters from its start.
fn abbreviate(offset: i64, width: i64, s: &str) -> String {
    let (offset, width) = (usize::try_from(offset).unwrap_or(0), usize::try_from(width).unwrap_or(0));
    let chars: Vec<char> = s.chars().collect();
    if width < 4 || chars.len() <= width || offset > 0 && width < 7 {
        return s.to_owned();
    }
    if offset <= 4 {
        return chars.iter().take(width - 3).collect::<String>() + "...";
    }
    if offset + width - 3 >= chars.len() {
        return "...".to_owned() + &chars.iter().skip(chars.len() - (width - 3)).collect::<String>();
    }
    "...".to_owned() + &chars.iter().skip(offset).take(width - 6).collect::<String>() + "..."
}

fn wrap(width: i64, new_line: &str, s: &str) -> String {
    let width = usize::try_from(width).unwrap_or(1).max(1);
    let mut out = String::new();
    let mut column = 0;
    for word in s.split(' ') {
        let len = word.chars().count();
        if column > 0 && column + 1 + len > width {
            out.push_str(new_line);
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += len;
    }
    out
}

fn indent(n: i64, s: &str) -> Result<String, String> {
    let n = usize::try_from(n).map_err(|_| "negative indentation")?.min(1000);
    fits((s.matches('\n').count() + 1) * n + s.len())?;
    let pad = " ".repeat(n);
    Ok(pad.clone() + &s.replace('\n', &format!("\n{pad}")))
}

fn joined<'a>(args: &[Value<'_>], each: impl Fn(&Value<'_>) -> String) -> Value<'a> {
    let parts: Vec<String> = args.iter().filter(|v| !matches!(v, Value::Nil)).map(each).collect();
    Value::owned(parts.join(" "))
}

/// A list's items as strings, nil left out; anything else is a list of itself.
fn strings(value: &Value<'_>) -> Vec<String> {
    match value.elements() {
        Some(items) => items.iter().filter(|v| !matches!(v, Value::Nil)).map(strval).collect(),
        None => vec![strval(value)],
    }
}

/// Go's `strings.Split`: an empty separator splits into characters.
fn split(s: &str, separator: &str) -> Vec<String> {
    if separator.is_empty() {
        return s.chars().map(String::from).collect();
    }
    s.split(separator).map(str::to_owned).collect()
}

fn numbered<'a>(parts: Vec<String>) -> Value<'a> {
    Value::map(parts.into_iter().enumerate().map(|(i, p)| (format!("_{i}"), Value::owned(p))).collect())
}

fn regex_match<'a>(c: &Context<'_>, a: &[Value<'a>]) -> Result<Value<'a>, String> {
    Ok(Value::Bool(c.budget.expression(string(a, 0)?)?.is_match(string(a, 1)?)))
}

fn regex_find<'a>(c: &Context<'_>, a: &[Value<'a>]) -> Result<Value<'a>, String> {
    let re = c.budget.expression(string(a, 0)?)?;
    Ok(Value::owned(re.find(string(a, 1)?).map_or("", |m| m.as_str())))
}

/// How many results `n` asks for: all below zero.
fn limit(a: &[Value<'_>]) -> Result<usize, String> {
    Ok(usize::try_from(int(a, 2)?).unwrap_or(usize::MAX))
}

fn regex_find_all<'a>(c: &Context<'_>, a: &[Value<'a>]) -> Result<Value<'a>, String> {
    let re = c.budget.expression(string(a, 0)?)?;
    let found = re.find_iter(string(a, 1)?).take(limit(a)?);
    Ok(Value::list(found.map(|m| Value::owned(m.as_str())).collect()))
}

fn regex_replace<'a>(c: &Context<'_>, a: &[Value<'a>]) -> Result<Value<'a>, String> {
    let (re, text, replacement) = (c.budget.expression(string(a, 0)?)?, string(a, 1)?, string(a, 2)?);
    let (mut out, mut at) = (String::new(), 0);
    // Each `$` may stand for the whole match.
    let signs = replacement.matches('$').count();
    for found in re.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        out.push_str(text.get(at..whole.start()).unwrap_or_default());
        fits(out.len().saturating_add(replacement.len()).saturating_add(signs.saturating_mul(whole.len())))?;
        found.expand(replacement, &mut out);
        at = whole.end();
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Ok(Value::owned(out))
}

fn regex_replace_literal<'a>(c: &Context<'_>, a: &[Value<'a>]) -> Result<Value<'a>, String> {
    let (re, text, replacement) = (c.budget.expression(string(a, 0)?)?, string(a, 1)?, string(a, 2)?);
    let found = re.find_iter(text).count();
    fits(found.saturating_mul(replacement.len()).saturating_add(text.len()))?;
    Ok(Value::owned(re.replace_all(text, regex::NoExpand(replacement))))
}

fn regex_split<'a>(c: &Context<'_>, a: &[Value<'a>]) -> Result<Value<'a>, String> {
    let re = c.budget.expression(string(a, 0)?)?;
    let parts: Vec<Value<'a>> = match limit(a)? {
        0 => Vec::new(),
        usize::MAX => re.split(string(a, 1)?).map(Value::owned).collect(),
        n => re.splitn(string(a, 1)?, n).map(Value::owned).collect(),
    };
    Ok(Value::list(parts))
}
