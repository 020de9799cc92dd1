//! Comments are taken out before the text is parsed.
//!
//! `gotmpl` lets a trim marker on one side of a comment trim both sides; Go trims only the side that has it. A comment
//! becomes an action that prints nothing, with the comment's markers and line breaks, so that line numbers stay.

use std::borrow::Cow;

/// The text without comments; malformed ones stay for the parser to complain about.
pub(super) fn without_comments<'t>(text: &'t str, (left, right): (&str, &str)) -> Cow<'t, str> {
    if !text.contains("/*") || left.is_empty() || right.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(left) {
        let (before, action) = rest.split_at(at);
        out.push_str(before);
        match comment(action, left, right) {
            Some((replacement, length)) => {
                out.push_str(&replacement);
                rest = action.get(length..).unwrap_or_default();
            }
            None => {
                let end = action_end(action, left, right);
                let (action, after) = action.split_at(end);
                out.push_str(action);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What stands for the comment action at the start of `action`, and the action's length.
fn comment(action: &str, left: &str, right: &str) -> Option<(String, usize)> {
    let inside = action.strip_prefix(left)?;
    let trimmed = inside.strip_prefix('-').filter(|r| r.starts_with(char::is_whitespace)).map(str::trim_start);
    let body = trimmed.unwrap_or(inside).strip_prefix("/*")?;
    let (_, after) = body.split_once("*/")?;
    let (closing, trims_after) = match after.strip_prefix(right) {
        Some(closing) => (closing, false),
        None => {
            let gap = after.trim_start();
            let marked = gap.len() < after.len();
            (gap.strip_prefix('-').filter(|_| marked)?.strip_prefix(right)?, true)
        }
    };
    let open = if trimmed.is_some() { "- " } else { " " };
    let close = if trims_after { " -" } else { " " };
    let length = action.len() - closing.len();
    let lines = "\n".repeat(action.get(..length)?.matches('\n').count());
    Some((format!("{left}{open}\"\"{lines}{close}{right}"), length))
}

/// The length of the action at the start of `action`, quoted text inside it skipped.
fn action_end(action: &str, left: &str, right: &str) -> usize {
    let mut at = left.len();
    while let Some(rest) = action.get(at..).filter(|r| !r.is_empty()) {
        if rest.starts_with(right) {
            return at + right.len();
        }
        let first = rest.chars().next().unwrap_or(' ');
        at += match first {
            '`' => rest.get(1..).and_then(|r| r.find('`')).map_or(rest.len(), |end| end + 2),
            '"' | '\'' => quoted(rest, first),
            c => c.len_utf8(),
        };
    }
    action.len()
}

/// The length of a quoted literal with escapes; it ends with its line if it is not closed.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            '\n' => return i,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return i + 1,
            _ => {}
        }
    }
    rest.len()
}
