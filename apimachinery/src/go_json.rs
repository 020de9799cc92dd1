//! What Go's `encoding/json` says of a text that is not JSON.
//!
//! kube-apiserver puts these sentences into its answers (`invalid character 'h' looking for beginning of value`), so
//! whoever imitates it needs the same ones. [`check`] finds the first offence in one pass, without building anything.

use crate::value::Value;

/// Nesting at which Go's decoder gives up.
const MAX_DEPTH: usize = 10_000;

/// Go's word for the kind of a JSON value in `cannot unmarshal <kind> into …`.
#[must_use]
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Checks that `text` is one JSON value with nothing but blanks around it.
///
/// # Errors
/// The message of Go's `json.SyntaxError` for the first offending byte.
pub fn check(text: &[u8]) -> Result<(), String> {
    Scanner { text, at: 0 }.document()
}

/// A byte as Go quotes it in its messages: `'x'`, `'\''`, `'"'`, `'\n'`, `'\x00'`, `'â'` for the byte 0xe2.
pub fn quote(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0x00..=0x1f | 0x7f => format!("'\\x{byte:02x}'"),
        // Go prints Latin-1 controls, the no-break space and the soft hyphen by their code point.
        0x80..=0xa0 | 0xad => format!("'\\u{byte:04x}'"),
        _ => format!("'{}'", char::from(byte)),
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

/// What may stand next inside an object or array.
#[derive(Clone, Copy, PartialEq)]
enum Frame {
    Object,
    Array,
}

impl Scanner<'_> {
    fn document(mut self) -> Result<(), String> {
        let mut stack: Vec<Frame> = Vec::new();
        loop {
            // One value begins here.
            self.blanks();
            match self.peek()? {
                b'{' => {
                    self.at += 1;
                    self.deeper(&mut stack, Frame::Object)?;
                    self.blanks();
                    if self.peek()? != b'}' {
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    self.deeper(&mut stack, Frame::Array)?;
                    self.blanks();
                    if self.peek()? != b']' {
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            // One value, or an opening bracket with its closing one next, ends here.
            loop {
                self.blanks();
                match stack.last() {
                    None if self.at == self.text.len() => return Ok(()),
                    None => return Err(self.offence("after top-level value")),
                    Some(Frame::Object) => match self.peek()? {
                        b',' => {
                            self.at += 1;
                            self.blanks();
                            self.key()?;
                            break;
                        }
                        b'}' => self.at += 1,
                        _ => return Err(self.offence("after object key:value pair")),
                    },
                    Some(Frame::Array) => match self.peek()? {
                        b',' => {
                            self.at += 1;
                            break;
                        }
                        b']' => self.at += 1,
                        _ => return Err(self.offence("after array element")),
                    },
                }
                stack.pop();
            }
        }
    }

    fn deeper(&self, stack: &mut Vec<Frame>, frame: Frame) -> Result<(), String> {
        if stack.len() >= MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        stack.push(frame);
        Ok(())
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<(), String> {
        if self.peek()? != b'"' {
            return Err(self.offence("looking for beginning of object key string"));
        }
        self.string()?;
        self.blanks();
        if self.peek()? != b':' {
            return Err(self.offence("after object key"));
        }
        self.at += 1;
        Ok(())
    }

    fn scalar(&mut self) -> Result<(), String> {
        match self.peek()? {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => Err(self.offence("looking for beginning of value")),
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        for expected in word.bytes() {
            if self.peek()? != expected {
                return Err(self.offence(&format!("in literal {word} (expecting {})", quote(expected))));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), String> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => self.at += 1,
                        b'u' => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.peek()?.is_ascii_hexdigit() {
                                    return Err(self.offence("in \\u hexadecimal character escape"));
                                }
                                self.at += 1;
                            }
                        }
                        _ => return Err(self.offence("in string escape code")),
                    }
                }
                0x00..=0x1f => return Err(self.offence("in string literal")),
                _ => self.at += 1,
            }
        }
    }

    fn number(&mut self) -> Result<(), String> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.peek()? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(self.offence("in numeric literal")),
        }
        if self.next_is(b".") {
            self.at += 1;
            if !self.peek()?.is_ascii_digit() {
                return Err(self.offence("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if self.next_is(b"eE") {
            self.at += 1;
            if self.next_is(b"+-") {
                self.at += 1;
            }
            if !self.peek()?.is_ascii_digit() {
                return Err(self.offence("in exponent of numeric literal"));
            }
            self.digits();
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn next_is(&self, any: &[u8]) -> bool {
        self.text.get(self.at).is_some_and(|b| any.contains(b))
    }

    fn blanks(&mut self) {
        while self.next_is(b" \t\r\n") {
            self.at += 1;
        }
    }

    fn peek(&self) -> Result<u8, String> {
        self.text.get(self.at).copied().ok_or_else(|| "unexpected end of JSON input".to_owned())
    }

    fn offence(&self, context: &str) -> String {
        match self.text.get(self.at) {
            Some(&byte) => format!("invalid character {} {context}", quote(byte)),
            None => "unexpected end of JSON input".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_go_says() {
        for (text, said) in [
            ("hello", "invalid character 'h' looking for beginning of value"),
            ("", "unexpected end of JSON input"),
            ("{\"a\":1", "unexpected end of JSON input"),
            ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("\"a\nb\"", "invalid character '\\n' in string literal"),
            ("\"\\q\"", "invalid character 'q' in string escape code"),
            ("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("1ex", "invalid character 'x' in exponent of numeric literal"),
            ("trux", "invalid character 'x' in literal true (expecting 'e')"),
            ("01", "invalid character '1' after top-level value"),
            ("***", "invalid character '*' looking for beginning of value"),
        ] {
            assert_eq!(check(text.as_bytes()), Err(said.to_owned()), "{text}");
        }
        assert_eq!(check(" {\"a\":[1,-2.5e+7,{}, [] ,\"\\u00e9\",true,false,null]}\n".as_bytes()), Ok(()));
        assert_eq!(check("[".repeat(20_000).as_bytes()), Err("exceeded max depth".to_owned()));
    }

    proptest::proptest! {
        #[test]
        fn accepts_what_serde_json_accepts(text in "[\\[\\]{}\":,0-9eE.+\\- truefalsn\\\\]{0,24}") {
            let ours = check(text.as_bytes()).is_ok();
            match serde_json::from_str::<crate::value::Value>(&text) {
                Ok(_) => assert!(ours, "{text}"),
                // Go's scanner takes any size of number and lone surrogates; serde_json does not.
                Err(e) if e.to_string().contains("out of range") || e.to_string().contains("surrogate") => {}
                Err(_) => assert!(!ours, "{text}"),
            }
        }
    }
}
