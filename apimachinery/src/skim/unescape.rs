//! What a JSON string stands for, found 64 bytes at a time.
//!
//! A body in a log has an escape every few bytes. Where all of a block's escapes stand is known before the first of them is
//! resolved, so that none waits for the one before; what lies between two is copied in pieces of one size, and the bytes of
//! a piece that do not belong there are written over.

use super::blocks::{BLOCK, Marks, escaped};

/// Bytes that are copied at once: nearly all that lies between two escapes is shorter.
const PIECE: usize = BLOCK / 2;
/// Bytes that are put together on the stack before they are appended to a text.
const ROOM: usize = 4096;

/// What the escape of one letter stands for; 0 if it is none.
const SIMPLE: [u8; 256] = {
    let pairs = *b"\"\"\\\\//b\x08f\x0cn\nr\rt\t";
    let (pairs, _) = pairs.as_chunks::<2>();
    let (mut all, mut at) = ([0; 256], 0);
    while at < pairs.len() {
        all[pairs[at][0] as usize] = pairs[at][1];
        at += 1;
    }
    all
};

/// What the string stands for whose content begins at a place, and where its quote (or the end of the text) stands; `None` if
/// it is not well formed.
pub(super) fn until_quote(text: &str, start: usize) -> Option<(String, usize)> {
    let bytes = text.as_bytes();
    // An escape is at least as long as what it stands for.
    let mut out = Out { text: Vec::with_capacity(bytes.len().checked_sub(start)?), near: [0; _], length: 0 };
    // A block begins at `at`; all before `from` has been written.
    let (mut at, mut from, mut carried) = (start, start, false);
    while let Some(there) = bytes.get(at..).and_then(<[u8]>::first_chunk::<{ BLOCK + PIECE }>) {
        if out.length > ROOM {
            out.flush()?;
        }
        let Marks { quotes, backslashes, controls } = Marks::of(there.first_chunk()?);
        let escaped = escaped(backslashes, &mut carried);
        if controls.trailing_zeros() < (quotes & !escaped).trailing_zeros() {
            return None;
        }
        let mut left = (quotes | backslashes) & !escaped;
        while left != 0 {
            let place = left.trailing_zeros() as usize;
            left &= left - 1;
            let mark = at + place;
            // The second half of a surrogate pair.
            if mark < from {
                continue;
            }
            out.copy(bytes, from, mark)?;
            if there.get(place) == Some(&b'"') {
                out.flush()?;
                return Some((String::from_utf8(out.text).ok()?, mark));
            }
            from = match SIMPLE[usize::from(*there.get(place + 1)?)] {
                0 => {
                    out.flush()?;
                    escape(text, mark, &mut out.text)?
                }
                byte => {
                    out.push(byte)?;
                    mark + 2
                }
            };
        }
        at += BLOCK;
        if from < at {
            out.copy(bytes, from, at)?;
            from = at;
        }
    }
    // The last few bytes.
    out.flush()?;
    let mut at = from;
    while let Some(byte) = bytes.get(at).filter(|byte| **byte != b'"') {
        match byte {
            b'\\' => at = escape(text, at, &mut out.text)?,
            ..b' ' => return None,
            _ => {
                out.text.push(*byte);
                at += 1;
            }
        }
    }
    Some((String::from_utf8(out.text).ok()?, at))
}

/// A text and what is to be appended to it.
struct Out {
    text: Vec<u8>,
    near: [u8; ROOM + 2 * BLOCK],
    length: usize,
}

impl Out {
    /// Writes a part of a block.
    #[inline]
    fn copy(&mut self, bytes: &[u8], from: usize, to: usize) -> Option<()> {
        let near = self.near.get_mut(self.length..self.length + BLOCK)?;
        near.get_mut(..PIECE)?.copy_from_slice(bytes.get(from..from + PIECE)?);
        if to - from > PIECE {
            near.get_mut(PIECE..)?.copy_from_slice(bytes.get(from + PIECE..from + BLOCK)?);
        }
        self.length += to - from;
        Some(())
    }

    #[inline]
    fn push(&mut self, byte: u8) -> Option<()> {
        *self.near.get_mut(self.length)? = byte;
        self.length += 1;
        Some(())
    }

    fn flush(&mut self) -> Option<()> {
        self.text.extend_from_slice(self.near.get(..self.length)?);
        self.length = 0;
        Some(())
    }
}

/// Writes what the escape at a place stands for; where the text goes on.
fn escape(text: &str, at: usize, out: &mut Vec<u8>) -> Option<usize> {
    let letter = *text.as_bytes().get(at + 1)?;
    match SIMPLE[usize::from(letter)] {
        0 if letter == b'u' => unicode(text, at + 2, out),
        0 => None,
        byte => {
            out.push(byte);
            Some(at + 2)
        }
    }
}

/// Writes the character whose four digits stand at a place, or eight with another `\u` between them.
fn unicode(text: &str, at: usize, out: &mut Vec<u8>) -> Option<usize> {
    let (mut unit, mut end) = (hex(text.get(at..)?)?, at + 4);
    if (0xd800..0xdc00).contains(&unit) {
        let low = text.get(end..)?.strip_prefix("\\u").and_then(hex).filter(|low| (0xdc00..0xe000).contains(low))?;
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
    use proptest::prelude::*;

    use super::until_quote;

    fn unescape(content: &str) -> Option<String> {
        let (text, end) = until_quote(content, 0)?;
        (end == content.len()).then_some(text)
    }

    fn is_read_as_a_reader_does(raw: &str) {
        let quoted = format!("\"{raw}\"");
        if let Ok(read) = serde_json::from_str::<String>(&quoted) {
            assert_eq!(until_quote(&quoted, 1), Some((read.clone(), quoted.len() - 1)), "{quoted}");
            assert_eq!(unescape(raw), Some(read), "{quoted}");
            let followed = format!("{quoted}, \"more\": [\"\\u0001{}\"]", "\n".repeat(100));
            assert_eq!(until_quote(&followed, 1), until_quote(&quoted, 1), "{followed}");
        } else if !raw.contains('"') {
            assert_eq!(unescape(raw), None, "{quoted}");
        }
    }

    #[test]
    fn what_reaches_over_the_end_of_a_block() {
        for part in [r"\ud83d\ude00", r"\u00e9", r"\\", r#"\""#, r"\\\n", r"\x", "\n", r"\ud83d", "é", r"\ud83d\u0041"]
        {
            for before in (50..70).chain(115..130).chain(4080..4100) {
                let before = "x".repeat(before);
                is_read_as_a_reader_does(&format!("{before}{part}"));
                is_read_as_a_reader_does(&format!("{before}{part}{}", "y".repeat(150)));
                is_read_as_a_reader_does(&format!("{before}{}", part.repeat(90)));
            }
        }
    }

    proptest! {
        #[test]
        fn strings_are_unescaped_as_a_reader_does(
            text in any::<String>(),
            raw in r#"([ -~éü\x00-\x1f]|\\["\\/bfnrtu0]|\\u[dD][89c-fC-F][0-9a-f]{2}){0,12}"#,
            long in r#"([ -~]{0,40}(é|\\["\\/bfnrt]|\\u00[0-9a-f]{2}|\\ud83d\\ude0[0-9a-f])){0,40}"#,
        ) {
            let written = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(until_quote(&written, 1), Some((text, written.len() - 1)));
            for raw in [raw, long] {
                is_read_as_a_reader_does(&raw);
            }
        }
    }
}
