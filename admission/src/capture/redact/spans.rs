//! JSON text as a tree that knows where each value stands, so that values can be exchanged and all else stays byte for byte.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;

/// A value and where it stands in the text.
pub(super) enum Node<'a> {
    Object(Vec<(Cow<'a, str>, Self)>),
    Array(Vec<Self>),
    /// The span takes in the quotes.
    String(Range<usize>, Cow<'a, str>),
    /// Numbers, `true`, `false`, `null`.
    Other,
}

impl<'a> Node<'a> {
    /// Parses JSON; `None` if it is none, or is nested deeper than serde_json takes (128).
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        // What follows may then rely on it.
        serde_json::from_str::<IgnoredAny>(text).ok()?;
        Scanner { text, at: 0 }.value(0)
    }

    /// A member of an object; of several of the same name the last, as decoders take it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A string's content.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::String(_, text) => Some(text),
            _ => None,
        }
    }

    /// An object's member, or a list's item, by one part of a JSON pointer (unescaped).
    pub(super) fn step(&self, token: &str) -> Option<&Self> {
        match self {
            Self::Array(items) => items.get(token.parse::<usize>().ok()?),
            _ => self.get(token),
        }
    }
}

/// Deeper than `serde_json` goes, so that the check before decides.
const DEPTH: usize = 200;

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn value(&mut self, depth: usize) -> Option<Node<'a>> {
        if depth > DEPTH {
            return None;
        }
        match self.peek()? {
            b'{' => {
                self.at += 1;
                let mut members = Vec::new();
                while self.peek()? != b'}' {
                    let (_, key) = self.string()?;
                    self.skip(b':')?;
                    members.push((key, self.value(depth + 1)?));
                    if self.peek()? == b',' {
                        self.at += 1;
                    }
                }
                self.at += 1;
                Some(Node::Object(members))
            }
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                while self.peek()? != b']' {
                    items.push(self.value(depth + 1)?);
                    if self.peek()? == b',' {
                        self.at += 1;
                    }
                }
                self.at += 1;
                Some(Node::Array(items))
            }
            b'"' => {
                let (span, text) = self.string()?;
                Some(Node::String(span, text))
            }
            _ => {
                let rest = &self.text.as_bytes()[self.at..];
                let end = rest.iter().position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'));
                self.at += end.unwrap_or(rest.len());
                Some(Node::Other)
            }
        }
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn string(&mut self) -> Option<(Range<usize>, Cow<'a, str>)> {
        self.skip(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            match bytes.get(self.at)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
        let inner = self.text.get(start..self.at)?;
        self.at += 1;
        let span = start - 1..self.at;
        let text = if escaped {
            Cow::Owned(serde_json::from_str(self.text.get(span.clone())?).ok()?)
        } else {
            Cow::Borrowed(inner)
        };
        Some((span, text))
    }
}

/// Exchanges strings of a text: each span (quotes included) by the JSON text of the new content.
pub(super) fn splice(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(span, _)| span.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (span, new) in edits {
        // Two edits of one value would be a mistake of the caller; the first is kept.
        if span.start < at {
            continue;
        }
        out.push_str(&text[at..span.start]);
        out.push_str(&apimachinery::value::Value::from(new).to_string());
        at = span.end;
    }
    out.push_str(&text[at..]);
    out
}
