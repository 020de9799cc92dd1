//! Printing as Go's `fmt` does it: `%v` of everything, and `printf`.

use std::fmt::Write as _;

use apimachinery::go::quote;
use apimachinery::value::Value as Json;

use super::Value;

/// What an action prints: `%v`, but `<no value>` for nil.
pub fn print(out: &mut String, value: &Value<'_>) {
    if matches!(value, Value::Nil) { out.push_str("<no value>") } else { write_value(out, value) }
}

/// Writing to a string never fails.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// Go's `fmt.Sprint` of one value (`%v`).
pub fn sprint(value: &Value<'_>) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

fn write_value(out: &mut String, value: &Value<'_>) {
    match value {
        Value::Nil | Value::Struct(None, _) | Value::Duration(None) | Value::Wrapper(None) => out.push_str("<nil>"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) => put(out, format_args!("{i}")),
        Value::Float(f) => out.push_str(&go_float(*f)),
        Value::String(s) | Value::Enum(s) => out.push_str(s),
        Value::Duration(Some(d)) => put(out, format_args!("seconds:{}", d.trim_end_matches('s'))),
        Value::Wrapper(Some(json)) => {
            out.push_str("value:");
            write_value(out, &Value::free(json));
        }
        Value::Free(json) => write_json(out, json),
        Value::Strings(map) => {
            out.push_str("map[");
            for (i, (k, v)) in map.iter().flat_map(|m| m.iter()).enumerate() {
                out.push_str(if i > 0 { " " } else { "" });
                out.push_str(k);
                out.push(':');
                write_json(out, v);
            }
            out.push(']');
        }
        Value::Typed(items, element) => write_list(out, items.iter().map(|i| element.view(i))),
        Value::List(items) => write_list(out, items.iter().cloned()),
        Value::Map(map) => {
            out.push_str("map[");
            for (i, (k, v)) in map.borrow().iter().enumerate() {
                out.push_str(if i > 0 { " " } else { "" });
                out.push_str(k);
                out.push(':');
                write_value(out, v);
            }
            out.push(']');
        }
        Value::Struct(Some(json), _) => write_json(out, json),
        Value::Fields(fields) => {
            out.push('{');
            for (i, (_, v)) in fields.iter().enumerate() {
                out.push_str(if i > 0 { " " } else { "" });
                write_value(out, v);
            }
            out.push('}');
        }
    }
}

fn write_list<'a>(out: &mut String, items: impl Iterator<Item = Value<'a>>) {
    out.push('[');
    for (i, item) in items.enumerate() {
        out.push_str(if i > 0 { " " } else { "" });
        write_value(out, &item);
    }
    out.push(']');
}

fn write_json(out: &mut String, json: &Json) {
    match json {
        Json::Null => out.push_str("<nil>"),
        Json::Array(items) => write_list(out, items.iter().map(Value::free)),
        Json::Object(map) => {
            out.push_str("map[");
            for (i, (k, v)) in map.iter().enumerate() {
                out.push_str(if i > 0 { " " } else { "" });
                out.push_str(k);
                out.push(':');
                write_json(out, v);
            }
            out.push(']');
        }
        other => write_value(out, &Value::free(other)),
    }
}

/// A float as `%v` prints it: the shortest digits that read back the same, with an exponent below 1e-04 and from 1e+06
/// on (so a large port-like number of the values prints as `1.5e+06`, which surprises Helm's users as well).
pub fn go_float(f: f64) -> String {
    if f.is_nan() {
        return "NaN".to_owned();
    }
    if f.is_infinite() {
        return if f > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{f:e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if f != 0.0 && !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    format!("{f}")
}

/// Go's `fmt.Sprintln`-like spacing: `print` puts a blank between two operands when neither is a string.
pub fn print_all(args: &[Value<'_>]) -> String {
    let mut out = String::new();
    for (i, arg) in args.iter().enumerate() {
        let between = |n: usize| args.get(n).is_some_and(|v| !matches!(v, Value::String(_)));
        if i > 0 && between(i) && between(i - 1) {
            out.push(' ');
        }
        write_value(&mut out, arg);
    }
    out
}

/// Flags, width and precision of one `printf` verb.
#[derive(Default)]
struct Spec {
    minus: bool,
    plus: bool,
    zero: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Widths and precisions beyond this are cut, so that a template cannot print gigabytes with one verb.
const MAX_WIDTH: usize = 4096;

/// Go's `fmt.Sprintf`.
pub fn sprintf(format: &str, args: &[Value<'_>]) -> String {
    let mut out = String::new();
    let mut next = args.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '+' | '0' | '#' | ' ')) {
            match flag {
                '-' => spec.minus = true,
                '+' => spec.plus = true,
                '0' => spec.zero = true,
                '#' => spec.sharp = true,
                _ => {}
            }
        }
        let digits = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut n: Option<usize> = None;
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                let digit = d.to_digit(10).unwrap_or(0) as usize;
                n = Some((n.unwrap_or(0) * 10 + digit).min(MAX_WIDTH));
            }
            n
        };
        spec.width = digits(&mut chars);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(digits(&mut chars).unwrap_or(0));
        }
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match next.next() {
                None => put(&mut out, format_args!("%!{verb}(MISSING)")),
                Some(value) => out.push_str(&spec.format(verb, value)),
            },
        }
    }
    let extra: Vec<String> = next.map(|v| format!("{}={}", v.type_name(), sprint(v))).collect();
    if !extra.is_empty() {
        put(&mut out, format_args!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

impl Spec {
    fn format(&self, verb: char, value: &Value<'_>) -> String {
        let bad = || format!("%!{verb}({}={})", value.type_name(), sprint(value));
        let text = match (verb, value) {
            ('v', Value::String(s)) if self.sharp => quote(s),
            ('v', _) => sprint(value),
            ('s', Value::Bool(_) | Value::Int(_) | Value::Float(_)) => return bad(),
            ('s', Value::Nil) => return "%!s(<nil>)".to_owned(),
            ('s', _) => {
                let text = sprint(value);
                self.precision.map_or_else(|| text.clone(), |p| text.chars().take(p).collect())
            }
            ('q', Value::String(s) | Value::Enum(s)) => quote(s),
            ('t', Value::Bool(_)) => sprint(value),
            ('T', _) => value.type_name().to_owned(),
            ('d', Value::Int(i)) => i.to_string(),
            ('x', Value::Int(i)) => format!("{i:x}"),
            ('X', Value::Int(i)) => format!("{i:X}"),
            ('o', Value::Int(i)) => format!("{i:o}"),
            ('b', Value::Int(i)) => format!("{i:b}"),
            ('c', Value::Int(i)) => {
                u32::try_from(*i).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER).to_string()
            }
            ('x', Value::String(s)) => s.bytes().fold(String::new(), |mut o, b| {
                put(&mut o, format_args!("{b:02x}"));
                o
            }),
            ('f' | 'F', Value::Float(f)) => format!("{f:.*}", self.precision.unwrap_or(6)),
            ('g', Value::Float(f)) => go_float(*f),
            ('e', Value::Float(f)) => {
                let text = format!("{f:.*e}", self.precision.unwrap_or(6));
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let exponent: i32 = exponent.parse().unwrap_or(0);
                format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
            }
            _ => return bad(),
        };
        let number = matches!(value, Value::Int(_) | Value::Float(_));
        let text = if self.plus && number && !text.starts_with('-') { format!("+{text}") } else { text };
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        if missing == 0 {
            return text;
        }
        if self.minus {
            return text + &" ".repeat(missing);
        }
        if self.zero && number {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        " ".repeat(missing) + &text
    }
}
