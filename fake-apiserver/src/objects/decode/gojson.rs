//! The apiserver's words for text that is no JSON.

use apimachinery::go::quote;

/// What is wrong with a JSON text, as Go's decoder says it; `None` when it is well formed.
pub(crate) fn syntax_error(text: &[u8]) -> Option<String> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.document().err()
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

const END: &str = "unexpected end of JSON input";
/// Deepest nesting that Go's decoder follows.
const DEPTH: usize = 10_000;

fn bad(byte: u8, context: &str) -> String {
    let quoted = match byte {
        b'\'' => "'\\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        other => {
            let text = quote(&char::from(other).to_string());
            format!("'{}'", text.trim_matches('"'))
        }
    };
    format!("invalid character {quoted} {context}")
}

impl Scanner<'_> {
    fn space(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Result<u8, String> {
        let byte = *self.text.get(self.at).ok_or(END)?;
        self.at += 1;
        Ok(byte)
    }

    fn after_space(&mut self) -> Result<u8, String> {
        self.space();
        self.next()
    }

    /// One document; a stack of open brackets instead of recursion.
    fn document(&mut self) -> Result<(), String> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            // A value begins here.
            let byte = self.after_space()?;
            match byte {
                b'{' | b'[' => {
                    if open.len() >= DEPTH {
                        return Err("exceeded max depth".to_owned());
                    }
                    self.space();
                    let closing = if byte == b'{' { b'}' } else { b']' };
                    if self.text.get(self.at) == Some(&closing) {
                        self.at += 1;
                    } else {
                        open.push(byte);
                        if byte == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b'"' => self.string()?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                b'-' | b'0'..=b'9' => self.number(byte)?,
                other => return Err(bad(other, "looking for beginning of value")),
            }
            // A value has ended: close what ends with it.
            loop {
                self.space();
                match open.last() {
                    None => {
                        return match self.text.get(self.at) {
                            None => Ok(()),
                            Some(byte) => Err(bad(*byte, "after top-level value")),
                        };
                    }
                    Some(b'{') => match self.next()? {
                        b',' => {
                            self.key()?;
                            break;
                        }
                        b'}' => {
                            open.pop();
                        }
                        other => return Err(bad(other, "after object key:value pair")),
                    },
                    Some(_) => match self.next()? {
                        b',' => break,
                        b']' => {
                            open.pop();
                        }
                        other => return Err(bad(other, "after array element")),
                    },
                }
            }
        }
    }

    fn key(&mut self) -> Result<(), String> {
        match self.after_space()? {
            b'"' => self.string()?,
            other => return Err(bad(other, "looking for beginning of object key string")),
        }
        match self.after_space()? {
            b':' => Ok(()),
            other => Err(bad(other, "after object key")),
        }
    }

    fn string(&mut self) -> Result<(), String> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let byte = self.next()?;
                            if !byte.is_ascii_hexdigit() {
                                return Err(bad(byte, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    other => return Err(bad(other, "in string escape code")),
                },
                control if control < 0x20 => return Err(bad(control, "in string literal")),
                _ => {}
            }
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        for expected in word.bytes().skip(1) {
            let byte = self.next()?;
            if byte != expected {
                let context = format!("in literal {word} (expecting '{}')", char::from(expected));
                return Err(bad(byte, &context));
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self, first: u8) -> Result<(), String> {
        let mut first = first;
        if first == b'-' {
            first = self.next()?;
            if !first.is_ascii_digit() {
                return Err(bad(first, "in numeric literal"));
            }
        }
        if first != b'0' {
            self.digits();
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(bad(self.next()?, "after decimal point in numeric literal"));
            }
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(bad(self.next()?, "in exponent of numeric literal"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_errors() {
        for (text, error) in [
            ("", Some(END)),
            ("{", Some(END)),
            ("{\"a\":1}", None),
            (" [1, -2.5e+3, true, null, \"x\\u00e9\"] ", None),
            ("{}x", Some("invalid character 'x' after top-level value")),
            ("x", Some("invalid character 'x' looking for beginning of value")),
            ("{a:1}", Some("invalid character 'a' looking for beginning of object key string")),
            ("{\"a\" 1}", Some("invalid character '1' after object key")),
            ("{\"a\":1 2}", Some("invalid character '2' after object key:value pair")),
            ("[1 2]", Some("invalid character '2' after array element")),
            ("[1,]", Some("invalid character ']' looking for beginning of value")),
            ("trux", Some("invalid character 'x' in literal true (expecting 'e')")),
            ("\"\n\"", Some("invalid character '\\n' in string literal")),
            ("01", Some("invalid character '1' after top-level value")),
            ("1.x", Some("invalid character 'x' after decimal point in numeric literal")),
            ("'a'", Some("invalid character '\\'' looking for beginning of value")),
        ] {
            assert_eq!(syntax_error(text.as_bytes()).as_deref(), error, "{text}");
        }
        assert!(syntax_error("[".repeat(20_000).as_bytes()).is_some_and(|error| error == "exceeded max depth"));
    }
}
