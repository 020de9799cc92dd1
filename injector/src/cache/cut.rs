//! Cuts what differs between pods of one owner out of a review's bytes.
//!
//! The walk looks at structure only and trusts nothing: it follows the members `request`, `request.uid`,
//! `request.object`, `object.metadata`, `metadata.managedFields` and `managedFields[].time`, skips everything else, and
//! gives up (no cache for this body) on whatever could make it read a body otherwise than the decoder does: a name
//! with an escape on the levels it walks, one of those members twice, a cut string with anything but plain ASCII in it.

/// Stands in the key for what was cut out; no JSON text holds it, and a body that does is not cut.
const MARK: u8 = 0;
/// What the name of a token volume begins with, and how many characters are drawn after it.
pub(super) const TOKEN_VOLUME: &[u8] = b"kube-api-access-";
const DRAWN: usize = 5;

/// A body without what may differ.
#[derive(Debug, PartialEq)]
pub(super) struct Cut<'a> {
    /// Path and body, with a mark for each cut.
    pub(super) key: Vec<u8>,
    /// `request.uid`.
    pub(super) uid: &'a str,
    /// What was drawn for the name of the token volume, when it was cut.
    pub(super) drawn: Option<&'a [u8]>,
}

/// Cuts `body`, or says that this body cannot be cut. `token_volume`: the name of the token volume is cut as well.
pub(super) fn cut<'a>(path: &str, body: &'a [u8], token_volume: bool) -> Option<Cut<'a>> {
    if body.contains(&MARK) || path.as_bytes().contains(&MARK) {
        return None;
    }
    let mut walk = Walk { body, at: 0, cuts: Vec::with_capacity(8), uid: None, token_volume, drawn: None };
    walk.members(&[b"request"], |walk, _| {
        walk.members(&[b"uid", b"object"], |walk, member| match member {
            0 => {
                walk.uid = Some(walk.cut_string()?);
                Some(())
            }
            _ => walk.members(&[b"metadata"], |walk, _| {
                walk.members(&[b"managedFields"], |walk, _| {
                    walk.items(|walk| walk.members(&[b"time"], |walk, _| walk.cut_string().map(drop)))
                })
            }),
        })
    })?;
    let (uid, drawn) = (walk.uid?, walk.drawn);
    let mut key = Vec::with_capacity(path.len() + body.len() + 1);
    key.extend_from_slice(path.as_bytes());
    key.push(MARK);
    let mut from = 0;
    for (start, end) in walk.cuts {
        key.extend_from_slice(body.get(from..start)?);
        key.push(MARK);
        from = end;
    }
    key.extend_from_slice(body.get(from..)?);
    Some(Cut { key, uid, drawn })
}

struct Walk<'a> {
    body: &'a [u8],
    at: usize,
    /// Start and end of each cut, in order.
    cuts: Vec<(usize, usize)>,
    uid: Option<&'a str>,
    token_volume: bool,
    drawn: Option<&'a [u8]>,
}

impl<'a> Walk<'a> {
    /// Walks an object: `inside` is called at the value of each of the `wanted` members, the others are skipped. A
    /// value that is no object is skipped whole.
    fn members(&mut self, wanted: &[&[u8]], mut inside: impl FnMut(&mut Self, usize) -> Option<()>) -> Option<()> {
        self.blanks();
        if self.peek()? != b'{' {
            return self.skip();
        }
        self.at += 1;
        let mut seen = 0_u8;
        loop {
            self.blanks();
            match self.peek()? {
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                b',' => self.at += 1,
                b'"' => {
                    let name = self.string()?;
                    if name.contains(&b'\\') {
                        return None;
                    }
                    self.blanks();
                    if self.peek()? != b':' {
                        return None;
                    }
                    self.at += 1;
                    self.blanks();
                    match wanted.iter().position(|w| *w == name) {
                        Some(member) if seen & (1 << member) == 0 => {
                            seen |= 1 << member;
                            inside(self, member)?;
                        }
                        Some(_) => return None,
                        None => self.skip()?,
                    }
                }
                _ => return None,
            }
        }
    }

    /// Walks an array: `inside` is called at each item. A value that is no array is skipped whole.
    fn items(&mut self, mut inside: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
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

    /// Cuts the content of the string that stands here.
    fn cut_string(&mut self) -> Option<&'a str> {
        let start = self.at + 1;
        let content = self.string()?;
        let plain = content.iter().all(|b| (b' '..=b'~').contains(b) && *b != b'\\');
        let text = plain.then(|| std::str::from_utf8(content).ok())??;
        self.cuts.push((start, start + content.len()));
        Some(text)
    }

    /// Cuts the end of the string just read when it is the name of the token volume.
    fn cut_drawn(&mut self, content: &'a [u8]) {
        let Some(drawn) = content.get(TOKEN_VOLUME.len()..).filter(|drawn| drawn.len() == DRAWN) else { return };
        if !drawn.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return;
        }
        if *self.drawn.get_or_insert(drawn) == drawn {
            // The walk stands behind the closing quote.
            self.cuts.push((self.at - 1 - DRAWN, self.at - 1));
        }
    }

    /// The content of the string that stands here, escapes and all.
    fn string(&mut self) -> Option<&'a [u8]> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let mut at = start;
        loop {
            // Most strings hold no escape: look for the quote and then back.
            at += self.body.get(at..)?.iter().position(|b| matches!(b, b'"' | b'\\'))?;
            if self.body.get(at) == Some(&b'"') {
                self.at = at + 1;
                return self.body.get(start..at);
            }
            at += 2;
        }
    }

    /// Skips one value by its brackets and quotes.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    let content = self.string()?;
                    if content.starts_with(TOKEN_VOLUME) && self.token_volume {
                        self.cut_drawn(content);
                    }
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' if depth == 0 => return None,
                b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => {
                    self.at += 1;
                    continue;
                }
                _ => {
                    let length = self.body.get(self.at..)?.iter().position(|b| b",:]} \t\r\n\"{[".contains(b))?;
                    self.at += length.max(1);
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn blanks(&mut self) {
        while self.body.get(self.at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }
}
