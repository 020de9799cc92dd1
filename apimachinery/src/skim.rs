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
mod unescape;

use std::ops::Range;

use unescape::until_quote;

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
        let (text, end) = until_quote(self.text, start)?;
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
                let _ = Skim::new(text).text();
            }
        }
    }
}
