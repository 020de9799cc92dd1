//! From JSON values to YAML text, in the shape that `sigs.k8s.io/yaml` prints.

use std::cmp::Ordering;
use std::fmt::Write as _;

use crate::value::{Text, Value};

use super::scalar::{self, Scalar};
use crate::go;

/// Lines are folded at the first blank past this column.
const WIDTH: usize = 80;

/// Keys longer than this (in bytes) take a line of their own, after `? `.
const LONGEST_SIMPLE_KEY: usize = 128;

/// Prints `value` in block style with a line break at the end.
///
/// Keys are sorted the natural way (`a2` before `a10`); lists stand at the indentation of their key; a string that YAML
/// 1.1 would read as anything else is quoted; a string of several lines becomes a `|` block; long lines are folded at
/// blanks. [`super::parse`] reads back the same value, except for numbers without a fraction, which become integers.
pub fn to_string(value: &Value) -> String {
    let mut writer = Writer { out: String::new(), column: 0 };
    writer.node(value, 0, Place::Root);
    writer.out
}

/// What stands left of a node on its line.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    /// After `key:`.
    Field,
    /// After `- ` or `? `.
    Item,
}

struct Writer {
    out: String,
    /// Characters on the current line.
    column: usize,
}

impl Writer {
    fn text(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn char(&mut self, character: char) {
        self.out.push(character);
        self.column += 1;
    }

    fn line(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn pad(&mut self, indent: usize) {
        while self.column < indent {
            self.char(' ');
        }
    }

    /// `indent` is where the fields or items of a container go, and the further lines of a scalar.
    fn node(&mut self, value: &Value, indent: usize, place: Place) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                let mut sorted: Vec<(&Text, &Value)> = fields.iter().collect();
                sorted.sort_by(|left, right| natural(left.0, right.0));
                for (index, (key, value)) in sorted.into_iter().enumerate() {
                    self.entry(index == 0, indent, place);
                    self.field(key, value, indent);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    self.entry(index == 0, indent, place);
                    self.text("- ");
                    self.node(item, indent + 2, Place::Item);
                }
            }
            scalar => {
                if place == Place::Field {
                    self.char(' ');
                }
                self.scalar(scalar, indent);
                self.line();
            }
        }
    }

    /// Goes to where an entry of a container begins: the first of an item stays on the dash's line.
    fn entry(&mut self, first: bool, indent: usize, place: Place) {
        if first && place == Place::Field {
            self.line();
        }
        self.pad(indent);
    }

    fn field(&mut self, key: &str, value: &Value, indent: usize) {
        if key.len() > LONGEST_SIMPLE_KEY || key.contains('\n') {
            self.text("? ");
            self.string(key, indent + 2);
            self.line();
            self.pad(indent);
        } else {
            self.key(key);
        }
        self.char(':');
        let below = match value {
            Value::Array(items) if !items.is_empty() => indent,
            _ => indent + 2,
        };
        self.node(value, below, Place::Field);
    }

    fn scalar(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Null => self.text("null"),
            Value::Bool(yes) => self.text(if *yes { "true" } else { "false" }),
            Value::Number(number) => {
                let text = match number.as_f64() {
                    Some(float) if number.is_f64() => go::general(&format!("{float:e}"), 6),
                    _ => number.to_string(),
                };
                self.text(&text);
            }
            // At the root a further line must not begin in the first column: it might look like a marker.
            Value::String(text) => self.string(text, indent.max(2)),
            Value::Array(_) => self.text("[]"),
            Value::Object(_) => self.text("{}"),
        }
    }

    fn key(&mut self, key: &str) {
        let shape = Shape::of(key);
        if shape.plain {
            self.text(key);
        } else if shape.resolves || !shape.single {
            self.double_quoted(key, None);
        } else {
            self.single_quoted(key, None);
        }
    }

    fn string(&mut self, text: &str, indent: usize) {
        let shape = Shape::of(text);
        if text.contains('\n') {
            if shape.block { self.literal(text, indent) } else { self.double_quoted(text, Some(indent)) }
        } else if shape.plain {
            self.folded(text, indent, |writer, character| writer.char(character));
        } else if shape.resolves || !shape.single {
            self.double_quoted(text, Some(indent));
        } else {
            self.single_quoted(text, Some(indent));
        }
    }

    /// Writes characters, breaking the line at a lone blank past the width.
    fn folded(&mut self, text: &str, indent: usize, mut put: impl FnMut(&mut Self, char)) {
        let mut characters = text.char_indices().peekable();
        let mut blank_before = false;
        while let Some((at, character)) = characters.next() {
            let next = characters.peek().map(|(_, next)| *next);
            if character != ' ' {
                put(self, character);
            } else if !blank_before && self.column > WIDTH && at > 0 && next.is_some_and(|next| next != ' ') {
                self.line();
                self.pad(indent);
            } else {
                self.char(' ');
            }
            blank_before = character == ' ';
        }
    }

    fn single_quoted(&mut self, text: &str, fold: Option<usize>) {
        let put = |writer: &mut Self, character| {
            if character == '\'' {
                writer.char('\'');
            }
            writer.char(character);
        };
        self.char('\'');
        match fold {
            Some(indent) => self.folded(text, indent, put),
            None => text.chars().for_each(|character| put(self, character)),
        }
        self.char('\'');
    }

    fn double_quoted(&mut self, text: &str, fold: Option<usize>) {
        self.char('"');
        let mut blank_before = false;
        let mut characters = text.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            let next = characters.peek().map(|(_, next)| *next);
            match (character, fold) {
                (' ', Some(indent)) if !blank_before && self.column > WIDTH && at > 0 && next.is_some() => {
                    self.line();
                    self.pad(indent);
                    if next == Some(' ') {
                        self.char('\\');
                    }
                }
                _ => self.escaped(character),
            }
            blank_before = character == ' ';
        }
        self.char('"');
    }

    fn escaped(&mut self, character: char) {
        let short = match character {
            '\0' => "\\0",
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\u{b}' => "\\v",
            '\u{c}' => "\\f",
            '\r' => "\\r",
            '\u{1b}' => "\\e",
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{85}' => "\\N",
            '\u{2028}' => "\\L",
            '\u{2029}' => "\\P",
            _ if printable(character) => return self.char(character),
            _ => "",
        };
        if !short.is_empty() {
            return self.text(short);
        }
        let before = self.out.len();
        let code = u32::from(character);
        // Writing to a String cannot fail.
        let _ = match code {
            0..=0xff => write!(self.out, "\\x{code:02X}"),
            0x100..=0xffff => write!(self.out, "\\u{code:04X}"),
            _ => write!(self.out, "\\U{code:08X}"),
        };
        self.column += self.out.len() - before;
    }

    /// A `|` block with its indicators for leading blanks and for how it ends.
    fn literal(&mut self, text: &str, indent: usize) {
        self.char('|');
        if text.starts_with([' ', '\n']) {
            self.char('2');
        }
        if !text.ends_with('\n') {
            self.char('-');
        } else if text == "\n" || text.ends_with("\n\n") {
            self.char('+');
        }
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            self.line();
            if !line.is_empty() {
                self.pad(indent);
                self.text(line);
            }
        }
    }
}

/// Which styles a string can take.
struct Shape {
    /// Unquoted, in block context.
    plain: bool,
    /// In single quotes.
    single: bool,
    /// As a `|` block.
    block: bool,
    /// Unquoted, it would be read as something else than a string.
    resolves: bool,
}

impl Shape {
    fn of(text: &str) -> Shape {
        let resolves = !matches!(scalar::resolve(text), Scalar::String) || text == "<<" || is_base_60(text);
        let mut shape = Shape { plain: !resolves, single: true, block: true, resolves };
        let mut previous = None;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let blank_next = characters.peek().is_none_or(|next| matches!(next, ' ' | '\t' | '\r' | '\n'));
            let reserved = match character {
                '#' => matches!(previous, None | Some(' ')),
                ':' => blank_next,
                '-' | '?' if previous.is_none() => blank_next,
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                    previous.is_none()
                }
                _ => false,
            };
            shape.plain &= !reserved;
            match character {
                '\n' => {
                    shape.plain = false;
                    if previous == Some(' ') {
                        shape.single = false;
                        shape.block = false;
                    }
                }
                ' ' if previous == Some('\n') => shape.single = false,
                _ if !printable(character) => {
                    shape.plain = false;
                    shape.single = false;
                    shape.block = false;
                }
                _ => {}
            }
            previous = Some(character);
        }
        if text.starts_with([' ', '\n']) || text.ends_with([' ', '\n']) {
            shape.plain = false;
        }
        if text.ends_with(' ') {
            shape.block = false;
        }
        if text.starts_with("---") || text.starts_with("...") {
            shape.plain = false;
        }
        shape
    }
}

/// What the printer leaves unescaped: the basic plane without controls, surrogates and the byte order mark.
fn printable(character: char) -> bool {
    matches!(character, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
        && !matches!(character, '\u{2028}' | '\u{2029}')
}

/// `190:20:30`: a number to YAML 1.1 readers other than go-yaml, which quotes it for their sake.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = unsigned.split(':');
    let first = parts.next().unwrap_or_default().as_bytes();
    let numeric = |byte: &u8| byte.is_ascii_digit() || *byte == b'_';
    if !first.first().is_some_and(u8::is_ascii_digit) || !first.iter().all(numeric) {
        return false;
    }
    let rest: Vec<&str> = parts.collect();
    let Some((last, middle)) = rest.split_last() else { return false };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    let sixtieth = |part: &str| match part.as_bytes() {
        [unit] => unit.is_ascii_digit(),
        [ten, unit] => (b'0'..=b'5').contains(ten) && unit.is_ascii_digit(),
        _ => false,
    };
    middle.iter().all(|part| sixtieth(part)) && sixtieth(last) && fraction.bytes().all(|byte| numeric(&byte))
}

/// The order of keys: letters after everything else, runs of digits by their number.
fn natural(left: &str, right: &str) -> Ordering {
    let Some(at) = left.bytes().zip(right.bytes()).position(|(left, right)| left != right) else {
        return left.len().cmp(&right.len());
    };
    // Step back to the start of the character that differs.
    let start = (0..=at).rev().find(|at| left.is_char_boundary(*at) && right.is_char_boundary(*at)).unwrap_or(0);
    let (left_rest, right_rest) = (&left[start..], &right[start..]);
    let (Some(one), Some(other)) = (left_rest.chars().next(), right_rest.chars().next()) else {
        return left.len().cmp(&right.len());
    };
    match (one.is_alphabetic(), other.is_alphabetic()) {
        (true, true) => return one.cmp(&other),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let run = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (one_run, other_run) = (run(left_rest), run(right_rest));
    // A zero within a number is part of it, not the start of a number of its own.
    let within = (one == '0' || other == '0')
        && left[..start].bytes().rev().take_while(u8::is_ascii_digit).any(|digit| digit != b'0');
    let number = |rest: &str, run: usize| {
        let lead = u128::from(within);
        rest.bytes()
            .take(run.min(30))
            .fold(lead, |sum, digit| sum.wrapping_mul(10).wrapping_add(u128::from(digit - b'0')))
    };
    number(left_rest, one_run)
        .cmp(&number(right_rest, other_run))
        .then(one_run.cmp(&other_run))
        .then(one.cmp(&other))
        .then_with(|| left.cmp(right))
}
