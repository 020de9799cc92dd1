//! A JSON text looked through for a few members, without reading the rest of it.
//!
//! A [`Skim`] follows structure only: it finds where values begin and end by their brackets and quotes. It does not check
//! the text: whoever needs to know that it is JSON has to have it read. Where a text could be understood otherwise than a
//! reader would (an escape in a name on the levels that are looked at, a wanted member that comes twice), it gives up with
//! `None`, and so it does at the end of a text that is torn.
//!
//! ```
//! use apimachinery::skim::Skim;
//!
//! let text = r#"{"kind": "Pod", "metadata": {"labels": {"name": "x"}, "name": "web"}}"#;
//! let mut name = None;
//! Skim::new(text).members(&["metadata"], |skim, _| {
//!     skim.members(&["name"], |skim, _| {
//!         name = Some(skim.plain()?);
//!         Some(())
//!     })
//! });
//! assert_eq!(name, Some("web"));
//! ```

mod blocks;

use std::ops::Range;

/// A place in a text.
#[derive(Debug)]
pub struct Skim<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Skim<'a> {
    /// At the beginning of a text.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Where it stands, in bytes.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// Walks an object: `inside` is called at the value of each of the wanted members, with the member's index, and has to
    /// pass over that value; other members are skipped. A value that is no object is skipped whole. At most 16 names.
    pub fn members(&mut self, wanted: &[&str], mut inside: impl FnMut(&mut Self, usize) -> Option<()>) -> Option<()> {
        let mut seen = 0_u16;
        self.each_member(|skim, name| match wanted.iter().position(|wanted| *wanted == name) {
            Some(member) if seen & (1 << member) == 0 => {
                seen |= 1 << member;
                inside(skim, member)
            }
            Some(_) => None,
            None => skim.skip(),
        })
    }

    /// Walks an object: `inside` is called at each value with the member's name, and has to pass over that value. A value
    /// that is no object is skipped whole.
    pub fn each_member(&mut self, mut inside: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.blanks();
        if self.peek()? != b'{' {
            return self.skip();
        }
        self.at += 1;
        loop {
            self.blanks();
            match self.peek()? {
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                b',' => self.at += 1,
                b'"' => {
                    let name = self.plain()?;
                    self.blanks();
                    if self.peek()? != b':' {
                        return None;
                    }
                    self.at += 1;
                    self.blanks();
                    inside(self, name)?;
                }
                _ => return None,
            }
        }
    }

    /// Walks an array: `inside` is called at each item and has to pass over it. A value that is no array is skipped whole.
    pub fn items(&mut self, mut inside: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.blanks();
        if self.peek()? != b'[' {
            return self.skip();
        }
        self.at += 1;
        loop {
            self.blanks();
            match self.peek()? {
                b']' => {
                    self.at += 1;
                    return Some(());
                }
                b',' => self.at += 1,
                _ => inside(self)?,
            }
        }
    }

    /// The content of the string that stands here, escapes and all, and its place; `None` if there is none.
    pub fn string(&mut self) -> Option<(&'a str, Range<usize>)> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let mut at = start;
        loop {
            at += find(self.text.as_bytes().get(at..)?, [b'"', b'\\'])?;
            if self.text.as_bytes().get(at) == Some(&b'"') {
                self.at = at + 1;
                return Some((self.text.get(start..at)?, start..at));
            }
            at += 2;
        }
    }

    /// The string that stands here, if it holds no escape.
    pub fn plain(&mut self) -> Option<&'a str> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let end = start + find(self.text.as_bytes().get(start..)?, [b'"', b'\\'])?;
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// What the string that stands here stands for, its escapes resolved, and its place.
    pub fn text(&mut self) -> Option<(String, Range<usize>)> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let (text, end) = unescape_until_quote(self.text, start)?;
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        Some((text, start..end))
    }

    /// Passes over the value that stands here; its text.
    pub fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.skip()?;
        self.text.get(start..self.at)
    }

    /// Passes over the value that stands here.
    pub fn skip(&mut self) -> Option<()> {
        self.blanks();
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' | b'[' => {
                self.at = blocks::end(self.text.as_bytes(), self.at + 1)?;
                Some(())
            }
            b'}' | b']' | b',' | b':' => None,
            _ => {
                let rest = self.text.as_bytes().get(self.at..)?;
                self.at += rest.iter().position(|b| b",:]} \t\r\n\"{[".contains(b)).unwrap_or(rest.len());
                Some(())
            }
        }
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// Where the first of two bytes stands. Eight bytes at a time: the strings of an object are short, and a search that is made
/// for long texts spends more on its beginning than on them.
fn find(bytes: &[u8], wanted: [u8; 2]) -> Option<usize> {
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*chunk);
        let found = equal(word, wanted[0]) | equal(word, wanted[1]);
        if found != 0 {
            return Some(at + first(found));
        }
        at += chunk.len();
    }
    bytes.get(at..)?.iter().position(|byte| wanted.contains(byte)).map(|rest| at + rest)
}

/// Has the high bit set of each byte that equals `byte`, up to the first that does.
const fn equal(word: u64, byte: u8) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let differs = word ^ (ONES * byte as u64);
    differs.wrapping_sub(ONES) & !differs & (ONES << 7)
}

/// Which byte has the lowest of the bits that [`equal`] sets.
const fn first(found: u64) -> usize {
    (found.trailing_zeros() / 8) as usize
}

/// The text that the content of a JSON string stands for; `None` if it is not well formed.
#[cfg(test)]
fn unescape(content: &str) -> Option<String> {
    let (text, end) = unescape_until_quote(content, 0)?;
    (end == content.len()).then_some(text)
}

/// What the string stands for whose content begins at a place, and where its quote (or the end of the text) stands.
///
/// A body in a log has an escape every few bytes: sixteen bytes are copied at a time, and those after something special are
/// written over.
fn unescape_until_quote(text: &str, start: usize) -> Option<(String, usize)> {
    let bytes = text.as_bytes();
    let mut rest = bytes.get(start..)?;
    // An escape is at least as long as what it stands for.
    let mut out = Vec::with_capacity(rest.len());
    let (mut near, mut length) = ([0; ROOM + blocks::PART], 0);
    while let Some(part) = rest.first_chunk::<{ blocks::PART }>() {
        if length >= ROOM {
            out.extend_from_slice(near.get(..length)?);
            length = 0;
        }
        near.get_mut(length..length + blocks::PART)?.copy_from_slice(part);
        let plain = blocks::first_special(part);
        length += plain;
        match (part.get(plain), rest.get(plain + 1)) {
            (None, _) => rest = rest.get(blocks::PART..)?,
            (Some(b'\\'), Some(b'"')) => {
                *near.get_mut(length)? = b'"';
                length += 1;
                rest = rest.get(plain + 2..)?;
            }
            (Some(b'\\'), _) => {
                out.extend_from_slice(near.get(..length)?);
                length = 0;
                let at = bytes.len() - rest.len() + plain;
                rest = bytes.get(escape(text, at, &mut out)?..)?;
            }
            _ => break,
        }
    }
    out.extend_from_slice(near.get(..length)?);
    // The last few bytes; none if the quote was found.
    let mut at = bytes.len() - rest.len();
    if rest.len() < blocks::PART {
        while let Some(byte) = bytes.get(at).filter(|byte| **byte != b'"') {
            if *byte == b'\\' {
                at = escape(text, at, &mut out)?;
            } else {
                out.push(*byte);
                at += 1;
            }
        }
    } else {
        at += blocks::first_special(rest.first_chunk()?);
    }
    // Without a branch per byte, so that it is asked of many at a time.
    if bytes.get(start..at)?.iter().fold(false, |found, byte| found | (*byte < b' ')) {
        return None;
    }
    Some((String::from_utf8(out).ok()?, at))
}

/// Bytes that are put together on the stack before they are appended to a text.
const ROOM: usize = 4096;

/// Writes what the escape at a place stands for; where the text goes on.
fn escape(content: &str, at: usize, out: &mut Vec<u8>) -> Option<usize> {
    out.push(match content.as_bytes().get(at + 1)? {
        byte @ (b'"' | b'\\' | b'/') => *byte,
        b'b' => b'\x08',
        b'f' => b'\x0c',
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unicode(content, at + 2, out),
        _ => return None,
    });
    Some(at + 2)
}

/// Writes the character whose four digits stand at a place, or eight with another `\u` between them.
fn unicode(content: &str, at: usize, out: &mut Vec<u8>) -> Option<usize> {
    let (mut unit, mut end) = (hex(content.get(at..)?)?, at + 4);
    if (0xd800..0xdc00).contains(&unit) {
        let low = content.get(end..)?.strip_prefix("\\u").and_then(hex).filter(|low| (0xdc00..0xe000).contains(low))?;
        unit = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        end += 6;
    }
    out.extend_from_slice(char::from_u32(unit)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(end)
}

fn hex(text: &str) -> Option<u32> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use crate::value::{Value, json};
    use proptest::prelude::*;

    use super::*;

    fn find<'a>(text: &'a str, path: &[&str]) -> Option<&'a str> {
        fn below<'a>(skim: &mut Skim<'a>, path: &[&str], found: &mut Option<&'a str>) -> Option<()> {
            match path.split_first() {
                None => {
                    *found = Some(skim.value()?);
                    Some(())
                }
                Some((name, path)) => skim.members(&[name], |skim, _| below(skim, path, found)),
            }
        }
        let mut found = None;
        below(&mut Skim::new(text), path, &mut found)?;
        found
    }

    #[test]
    fn members_are_found_where_they_are() {
        let text = r#" { "a" : [ {"b": 1}, "}]" ] , "c": {"a": -1.5e3, "d": "\"\\"}, "e": null} "#;
        assert_eq!(find(text, &["a"]), Some(r#"[ {"b": 1}, "}]" ]"#));
        assert_eq!(find(text, &["c", "a"]), Some("-1.5e3"));
        assert_eq!(find(text, &["c", "d"]), Some(r#""\"\\""#));
        assert_eq!(find(text, &["e"]), Some("null"));
        assert_eq!(find(text, &["e", "f"]), None);
        let mut items = Vec::new();
        Skim::new("[1, [2], {}]").items(|skim| {
            items.push(skim.value()?);
            Some(())
        });
        assert_eq!(items, ["1", "[2]", "{}"]);
    }

    #[test]
    fn what_can_be_understood_in_two_ways_is_left() {
        for text in
            [r#"{"a": 1, "a": 2}"#, r#"{"a": 1"#, r#"{"a": "x}"#, r#"{"\u0061": 1, "a": 2}"#, "{,", "", "{\"a\" 1}"]
        {
            let mut skim = Skim::new(text);
            assert_eq!(skim.members(&["a"], |skim, _| skim.skip()), None, "{text}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-e]{1,2}", inner, 0..6).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        /// What is found is what a reader finds.
        #[test]
        fn a_member_is_what_a_reader_reads(value in value(), pretty in any::<bool>(), name in "[a-e]{1,2}") {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let read = find(&text, &[&name]).map(|text| serde_json::from_str::<Value>(text).unwrap());
            prop_assert_eq!(read.as_ref(), value.get(&name));
        }

        #[test]
        fn any_text_is_looked_through(text in any::<String>(), json in r#"[\[\]{}:,"a\\ 1]{0,40}"#) {
            for text in [&text, &json] {
                let _ = find(text, &["a"]);
                let _ = Skim::new(text).items(|skim| skim.skip());
                let _ = unescape(text);
            }
        }

        #[test]
        fn strings_are_unescaped_as_a_reader_does(text in any::<String>(), raw in r#"([ -~éü\x00-\x1f]|\\["\\/bfnrtu0]|\\u[dD][89c-fC-F][0-9a-f]{2}){0,12}"#) {
            let written = serde_json::to_string(&text).unwrap();
            let list = format!("[{written}, 1]");
            let mut read = None;
            Skim::new(&list).items(|skim| {
                match read {
                    None => read = Some(skim.text()?),
                    Some(_) => skim.skip()?,
                }
                Some(())
            }).unwrap();
            prop_assert_eq!(read, Some((text.clone(), 2..written.len())));
            prop_assert_eq!(unescape(&written[1..written.len() - 1]), Some(text));
            let quoted = format!("\"{raw}\"");
            if let Ok(read) = serde_json::from_str::<String>(&quoted) {
                prop_assert_eq!(unescape(&raw), Some(read));
            } else if !raw.contains('"') {
                prop_assert_eq!(unescape(&raw), None);
            }
        }
    }
}
