//! A quick reader for the YAML that people and templates mostly write.
//!
//! It knows block mappings and sequences, scalars on one line, `|` blocks, flow collections and comments. At anything
//! else (anchors, tags, `<<`, scalars over several lines, tabs, any error) it gives up, and the whole text goes to the
//! full parser, which also words the errors. What it does read, it reads as the full parser does; a property test
//! compares the two. One difference is on purpose: a flow collection may end at its parent's indentation, as libyaml
//! has it.

use crate::value::{Unordered, Value};

use super::MAX_DEPTH;
use super::scalar::{self, Scalar};

/// The first document of `text`; `None` is no answer at all.
pub(super) fn first_document(text: &str) -> Option<Value> {
    if !is_tame(text) {
        return None;
    }
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, depth: 0 };
    if reader.marker(0) {
        if !text.starts_with("---\n") {
            return None;
        }
        reader.at = 4;
    }
    let indent = reader.content()?;
    reader.block(indent).filter(|_| reader.content().is_none() && reader.ended())
}

/// No tabs, no carriage returns, no control characters, none of the characters that YAML has a special use for.
fn is_tame(text: &str) -> bool {
    text.bytes().all(|byte| byte >= b' ' && byte != 0x7f || byte == b'\n')
        && (text.is_ascii()
            || text.chars().all(|character| {
                !matches!(
                    character,
                    '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
                )
            }))
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

/// A scalar and whether it was in quotes.
struct Word {
    text: String,
    quoted: bool,
}

impl Reader<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// A blank, a line break or the end.
    fn blank(&self, at: usize) -> bool {
        matches!(self.byte(at), None | Some(b' ' | b'\n'))
    }

    /// `---` or `...` alone or before a blank.
    fn marker(&self, at: usize) -> bool {
        matches!(self.bytes.get(at..at + 3), Some(b"---" | b"...")) && self.blank(at + 3)
    }

    fn ended(&self) -> bool {
        self.at >= self.bytes.len() || self.marker(self.at)
    }

    fn dash(&self) -> bool {
        self.byte(self.at) == Some(b'-') && self.blank(self.at + 1)
    }

    fn line_end(&self, from: usize) -> usize {
        self.bytes[from..].iter().position(|byte| *byte == b'\n').map_or(self.bytes.len(), |length| from + length)
    }

    /// Called at a line's start: goes to the next line with content, to its first character, and says how far it is
    /// indented. `None` at the end of the document.
    fn content(&mut self) -> Option<usize> {
        loop {
            let start = self.at;
            if self.ended() {
                return None;
            }
            let indent = self.bytes[start..].iter().take_while(|byte| **byte == b' ').count();
            match self.byte(start + indent) {
                None => {
                    self.at = self.bytes.len();
                    return None;
                }
                Some(b'\n') => self.at = start + indent + 1,
                Some(b'#') => self.at = (self.line_end(start) + 1).min(self.bytes.len()),
                Some(_) => {
                    self.at = start + indent;
                    return Some(indent);
                }
            }
        }
    }

    /// What the next line with content is indented by, without going there. The end counts as less than everything.
    fn next_indent(&mut self) -> Option<usize> {
        let indent = self.content()?;
        let here = self.at;
        self.at = here - indent;
        Some(indent)
    }

    /// Nothing but blanks or a comment up to the end of the line; goes to the next line.
    fn end_of_line(&mut self) -> Option<()> {
        let blanks = self.bytes[self.at..].iter().take_while(|byte| **byte == b' ').count();
        match self.byte(self.at + blanks) {
            None => self.at = self.bytes.len(),
            Some(b'\n') => self.at += blanks + 1,
            Some(b'#') if blanks > 0 => self.at = (self.line_end(self.at) + 1).min(self.bytes.len()),
            Some(_) => return None,
        }
        Some(())
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let found = read(self);
        self.depth -= 1;
        found
    }

    /// A sequence or a mapping whose first character is at hand, in column `indent`.
    fn block(&mut self, indent: usize) -> Option<Value> {
        if self.dash() {
            self.nested(|reader| reader.sequence(indent))
        } else {
            self.nested(|reader| reader.mapping(indent))
        }
    }

    fn mapping(&mut self, indent: usize) -> Option<Value> {
        let mut fields = Unordered::default();
        loop {
            let key = self.key()?;
            let value = match self.value(indent)? {
                Some(value) => value,
                None => match self.next_indent() {
                    Some(next) if next > indent => self.below(next)?,
                    Some(next) if next == indent && self.dash_ahead(next) => self.below(next)?,
                    _ => Value::Null,
                },
            };
            fields.push(key, value);
            match self.next_indent() {
                Some(next) if next == indent => {
                    self.at += next;
                    if self.dash() {
                        return None;
                    }
                }
                Some(next) if next > indent => return None,
                _ => return Some(Value::Object(fields.into_map())),
            }
        }
    }

    fn dash_ahead(&self, indent: usize) -> bool {
        self.byte(self.at + indent) == Some(b'-') && self.blank(self.at + indent + 1)
    }

    /// A block on lines of its own.
    fn below(&mut self, indent: usize) -> Option<Value> {
        self.at += indent;
        self.block(indent)
    }

    fn sequence(&mut self, indent: usize) -> Option<Value> {
        let mut items = Vec::new();
        loop {
            // At the dash.
            self.at += 1;
            let blanks = self.bytes[self.at..].iter().take_while(|byte| **byte == b' ').count();
            let column = indent + 1 + blanks;
            let empty = matches!(self.byte(self.at + blanks), None | Some(b'\n' | b'#'));
            let item = if empty {
                self.end_of_line()?;
                match self.next_indent() {
                    Some(next) if next > indent => self.below(next)?,
                    _ => Value::Null,
                }
            } else {
                self.at += blanks;
                if self.dash() || self.key_ahead()? { self.block(column)? } else { self.value(indent)?? }
            };
            items.push(item);
            match self.next_indent() {
                Some(next) if next == indent => {
                    if !self.dash_ahead(next) {
                        // The next key of the mapping around, if the list stands at its indentation.
                        return Some(Value::from(items));
                    }
                    self.at += next;
                }
                Some(next) if next > indent => return None,
                _ => return Some(Value::from(items)),
            }
        }
    }

    /// Whether a key begins here, rather than a value.
    fn key_ahead(&mut self) -> Option<bool> {
        let start = self.at;
        match self.byte(start)? {
            b'[' | b'{' | b'|' => Some(false),
            b'"' | b'\'' => {
                self.quoted()?;
                let found = self.byte(self.at) == Some(b':');
                self.at = start;
                Some(found)
            }
            _ => {
                let line = &self.bytes[start..self.line_end(start)];
                Some(colon(line).is_some())
            }
        }
    }

    /// A key and its colon.
    fn key(&mut self) -> Option<String> {
        let start = self.at;
        if matches!(self.byte(start)?, b'"' | b'\'') {
            let key = self.quoted()?;
            if self.byte(self.at) != Some(b':') || !self.blank(self.at + 1) || self.at - start > 1000 {
                return None;
            }
            self.at += 1;
            return Some(key);
        }
        if !starts_plain(self.bytes, start) {
            return None;
        }
        let line = &self.bytes[start..self.line_end(start)];
        let length = colon(line).filter(|length| *length <= 1000)?;
        let key = self.text.get(start..start + length)?.trim_end_matches(' ');
        self.at = start + length + 1;
        match scalar::resolve(key) {
            Scalar::String if key != "<<" => Some(key.to_owned()),
            Scalar::Timestamp => Some(key.to_owned()),
            Scalar::Bool(yes) => Some(yes.to_string()),
            Scalar::Int(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// What stands on the line after `key:` or `- `, up to the line's end; `Some(None)` if nothing does. `parent` is the
    /// column of the key or dash.
    #[expect(clippy::option_option, reason = "no answer, no value, a value")]
    fn value(&mut self, parent: usize) -> Option<Option<Value>> {
        let blanks = self.bytes[self.at..].iter().take_while(|byte| **byte == b' ').count();
        let first = match self.byte(self.at + blanks) {
            None | Some(b'\n') => {
                self.end_of_line()?;
                return Some(None);
            }
            Some(b'#') if blanks > 0 => {
                self.end_of_line()?;
                return Some(None);
            }
            Some(first) => first,
        };
        self.at += blanks;
        let value = match first {
            b'|' => return self.literal(parent).map(Some),
            b'"' | b'\'' => Value::from(self.quoted()?),
            b'[' | b'{' => self.flow()?,
            _ => {
                let word = self.plain_line()?;
                typed(word)?
            }
        };
        self.end_of_line()?;
        // A deeper line would go on with the scalar, or be an error.
        match self.next_indent() {
            Some(next) if next > parent => None,
            _ => Some(Some(value)),
        }
    }

    /// A plain scalar up to the end of the line or a comment.
    fn plain_line(&mut self) -> Option<Word> {
        let start = self.at;
        if !starts_plain(self.bytes, start) {
            return None;
        }
        let line = &self.bytes[start..self.line_end(start)];
        if colon(line).is_some() {
            return None;
        }
        let length = comment(line).unwrap_or(line.len());
        let text = self.text.get(start..start + length)?.trim_end_matches(' ');
        self.at = start + text.len();
        Some(Word { text: text.to_owned(), quoted: false })
    }

    /// A scalar in quotes, on one line.
    fn quoted(&mut self) -> Option<String> {
        let quote = self.byte(self.at)?;
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            let length = self.bytes[start..]
                .iter()
                .position(|byte| *byte == quote || *byte == b'\n' || *byte == b'\\' && quote == b'"')?;
            out.push_str(self.text.get(start..start + length)?);
            self.at = start + length + 1;
            match self.byte(start + length)? {
                b'\'' if self.byte(self.at) == Some(b'\'') => {
                    out.push('\'');
                    self.at += 1;
                }
                b'\\' => {
                    let escape = self.byte(self.at)?;
                    self.at += 1;
                    out.push(match escape {
                        b'"' | b'\\' | b'/' | b' ' => char::from(escape),
                        b'n' => '\n',
                        b't' => '\t',
                        b'r' => '\r',
                        b'u' => {
                            let digits = self.text.get(self.at..self.at + 4)?;
                            self.at += 4;
                            if digits.starts_with('+') {
                                return None;
                            }
                            char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                        }
                        _ => return None,
                    });
                }
                b'\n' => return None,
                _ => return Some(out),
            }
        }
    }

    /// A `|` block below a key or dash in column `parent`.
    fn literal(&mut self, parent: usize) -> Option<Value> {
        self.at += 1;
        let keep_end = match self.byte(self.at) {
            Some(b'-') => {
                self.at += 1;
                false
            }
            _ => true,
        };
        // Indicators for keeping all line breaks or for the indentation are left to the full parser.
        if !self.blank(self.at) {
            return None;
        }
        self.end_of_line()?;
        let mut blank_lines = 0;
        let mut indent = 0;
        let mut out = String::new();
        loop {
            if self.at >= self.bytes.len() {
                break;
            }
            let end = self.line_end(self.at);
            let line = self.text.get(self.at..end)?;
            let spaces = line.bytes().take_while(|byte| *byte == b' ').count();
            let empty = spaces == line.len();
            if indent == 0 {
                if empty {
                    if spaces > 0 {
                        return None;
                    }
                    blank_lines += 1;
                    self.at = end + 1;
                    continue;
                }
                if spaces <= parent {
                    return None;
                }
                indent = spaces;
            }
            if empty && spaces <= indent {
                blank_lines += 1;
            } else if spaces < indent {
                break;
            } else {
                if !out.is_empty() {
                    out.push('\n');
                }
                out.extend(std::iter::repeat_n('\n', blank_lines));
                blank_lines = 0;
                out.push_str(&line[indent..]);
            }
            if end == self.bytes.len() {
                // The text ends without a line break, or in blanks; which break is whose is the full parser's affair.
                return None;
            }
            self.at = end + 1;
        }
        if indent == 0 {
            return None;
        }
        if keep_end {
            out.push('\n');
        }
        match self.next_indent() {
            Some(next) if next > parent => None,
            _ => Some(Value::from(out)),
        }
    }

    /// A flow collection; it may go over several lines.
    fn flow(&mut self) -> Option<Value> {
        self.nested(|reader| match reader.byte(reader.at)? {
            b'[' => reader.flow_list(),
            b'{' => reader.flow_map(),
            _ => None,
        })
    }

    fn flow_blanks(&mut self) -> Option<u8> {
        loop {
            match self.byte(self.at)? {
                b' ' => self.at += 1,
                b'\n' => {
                    self.at += 1;
                    if self.marker(self.at) {
                        return None;
                    }
                }
                b'#' => return None,
                other => return Some(other),
            }
        }
    }

    fn flow_list(&mut self) -> Option<Value> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            if self.flow_blanks()? == b']' {
                self.at += 1;
                return Some(Value::from(items));
            }
            items.push(self.flow_value()?);
            match self.flow_blanks()? {
                b',' => self.at += 1,
                b']' => {}
                _ => return None,
            }
        }
    }

    fn flow_map(&mut self) -> Option<Value> {
        self.at += 1;
        let mut fields = Unordered::default();
        loop {
            if self.flow_blanks()? == b'}' {
                self.at += 1;
                return Some(Value::Object(fields.into_map()));
            }
            let word = self.flow_word()?;
            // A key and its colon stand on one line; after a plain key a blank must follow.
            if self.byte(self.at) != Some(b':') || !(word.quoted || self.blank(self.at + 1)) {
                return None;
            }
            self.at += 1;
            let key = match (word.quoted, scalar::resolve(&word.text)) {
                (true, _) => word.text,
                (false, Scalar::String | Scalar::Timestamp) if word.text != "<<" => word.text,
                (false, Scalar::Bool(yes)) => yes.to_string(),
                _ => return None,
            };
            self.flow_blanks()?;
            let value = self.flow_value()?;
            fields.push(key, value);
            match self.flow_blanks()? {
                b',' => self.at += 1,
                b'}' => {}
                _ => return None,
            }
        }
    }

    fn flow_value(&mut self) -> Option<Value> {
        match self.byte(self.at)? {
            b'[' | b'{' => self.flow(),
            _ => {
                let word = self.flow_word()?;
                typed(word)
            }
        }
    }

    fn flow_word(&mut self) -> Option<Word> {
        let start = self.at;
        if matches!(self.byte(start)?, b'"' | b'\'') {
            return Some(Word { text: self.quoted()?, quoted: true });
        }
        if !starts_plain(self.bytes, start) {
            return None;
        }
        let stop = |byte: &u8| matches!(byte, b',' | b'[' | b']' | b'{' | b'}' | b'\n' | b'#' | b':' | b'?' | b'"');
        let length = self.bytes[start..].iter().position(stop)?;
        if matches!(self.bytes[start + length], b'[' | b'{' | b'#' | b'?' | b'"') {
            return None;
        }
        let text = self.text.get(start..start + length)?;
        let trimmed = text.trim_end_matches(' ');
        if trimmed.len() < text.len() && self.bytes[start + length] == b':' {
            return None;
        }
        self.at = start + length;
        Some(Word { text: trimmed.to_owned(), quoted: false })
    }
}

/// Whether a plain scalar may begin here: not with an indicator, and with `-` only before something else.
fn starts_plain(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at) {
        Some(b'-') => {
            let after = bytes.get(at + 1);
            after.is_some_and(|next| !matches!(next, b' ' | b'\n' | b',' | b'[' | b']' | b'{' | b'}'))
                && bytes.get(at..at + 3) != Some(b"---")
        }
        Some(byte) => {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'/' | b'.' | b'_' | b'$' | b'(' | b'<' | b'~' | b'+' | b'=' | b';' | b'^')
                || *byte >= 0x80
        }
        None => false,
    }
}

/// Where the colon of a key stands in a line, if it is not within a comment.
fn colon(line: &[u8]) -> Option<usize> {
    let end = comment(line).unwrap_or(line.len());
    (0..end).find(|at| line[*at] == b':' && matches!(line.get(at + 1), None | Some(b' ')))
}

/// Where a comment begins in a line that starts with something else.
fn comment(line: &[u8]) -> Option<usize> {
    (1..line.len()).find(|at| line[*at] == b'#' && line[at - 1] == b' ')
}

fn typed(word: Word) -> Option<Value> {
    if word.quoted {
        return Some(Value::from(word.text));
    }
    Some(match scalar::resolve(&word.text) {
        Scalar::Null => Value::Null,
        Scalar::Bool(yes) => Value::Bool(yes),
        Scalar::Int(number) => Value::from(number),
        Scalar::Uint(number) => Value::from(number),
        Scalar::Float(number) => Value::Number(scalar::json_number(number)?),
        Scalar::Timestamp | Scalar::String => Value::from(word.text),
    })
}
