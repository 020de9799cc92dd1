//! Cuts what differs between pods of one owner out of a review's bytes.
//!
//! The walk looks at structure only and trusts nothing: it follows the members `request`, `request.uid`,
//! `request.object`, `object.metadata`, `metadata.managedFields` and `managedFields[].time`, skips everything else, and
//! gives up (no cache for this body) on whatever could make it read a body otherwise than the decoder does: a name
//! with an escape on the levels it walks, one of those members twice, a cut string with anything but plain ASCII in it.

use std::hash::{Hash, Hasher};
use std::ops::Range;

use apimachinery::skim::Skim;
use memchr::memmem;

/// Stands in the key for what was cut out; no JSON text holds it, and a body that does is not cut.
const MARK: u8 = 0;
/// What the name of a token volume begins with, and how many characters are drawn after it.
pub(super) const TOKEN_VOLUME: &[u8] = b"kube-api-access-";
const DRAWN: usize = 5;

/// A body without what may differ.
#[derive(Debug, PartialEq)]
pub(super) struct Cut<'a> {
    /// Path and body: the parts between the cuts.
    parts: Vec<&'a [u8]>,
    /// `request.uid`.
    pub(super) uid: &'a str,
    /// What was drawn for the name of the token volume, when it was cut.
    pub(super) drawn: Option<&'a [u8]>,
}

/// Cuts `body`, or says that this body cannot be cut. `token_volume`: the name of the token volume is cut as well.
pub(super) fn cut<'a>(path: &'a str, body: &'a [u8], token_volume: bool) -> Option<Cut<'a>> {
    if memchr::memchr(MARK, body).is_some() || path.as_bytes().contains(&MARK) {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?;
    let mut skim = Skim::new(text);
    let (mut uid, mut places, mut managed) = (None, Vec::with_capacity(16), 0..0);
    skim.members(&["request"], |skim, _| {
        skim.members(&["uid", "object"], |skim, member| match member {
            0 => {
                uid = Some(cut_string(skim, &mut places)?);
                Some(())
            }
            _ => skim.members(&["metadata"], |skim, _| {
                skim.members(&["managedFields"], |skim, _| {
                    managed.start = skim.at();
                    skim.items(|skim| skim.members(&["time"], |skim, _| cut_string(skim, &mut places).map(drop)))?;
                    managed.end = skim.at();
                    Some(())
                })
            }),
        })
    })?;
    let drawn = if token_volume { cut_token_volume(body, &managed, &mut places) } else { None };
    places.sort_unstable_by_key(|place| place.start);
    let mut parts = Vec::with_capacity(places.len() + 2);
    parts.push(path.as_bytes());
    let mut from = 0;
    // What would be cut twice is cut once.
    for place in places {
        if place.start < from {
            continue;
        }
        parts.push(body.get(from..place.start)?);
        from = place.end;
    }
    parts.push(body.get(from..)?);
    Some(Cut { parts, uid: uid?, drawn })
}

impl Cut<'_> {
    /// The parts in one piece, with a mark for each cut.
    pub(super) fn key(&self) -> Vec<u8> {
        self.parts.join(&MARK)
    }

    /// Whether this is the key; without putting it together.
    pub(super) fn is(&self, key: &[u8]) -> bool {
        let mut rest = Some(key);
        for (index, part) in self.parts.iter().enumerate() {
            let from = if index == 0 { rest } else { rest.and_then(|rest| rest.strip_prefix(&[MARK])) };
            rest = from.and_then(|rest| rest.strip_prefix(*part));
        }
        rest.is_some_and(<[u8]>::is_empty)
    }
}

impl Hash for Cut<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // With their lengths: where the cuts are is a part of the key.
        self.parts.hash(state);
    }
}

/// Cuts the content of the string that stands here.
fn cut_string<'a>(skim: &mut Skim<'a>, places: &mut Vec<Range<usize>>) -> Option<&'a str> {
    let (content, place) = skim.string()?;
    if !content.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'\\') {
        return None;
    }
    places.push(place);
    Some(content)
}

/// Cuts what was drawn for the token volume out of the strings that are its name. A quote in a string has a backslash before
/// it, so what stands between two that have none is a string. In managed fields, which nothing reads, the name of a volume is a
/// part of a string, between quotes with a backslash.
fn cut_token_volume<'a>(body: &'a [u8], managed: &Range<usize>, places: &mut Vec<Range<usize>>) -> Option<&'a [u8]> {
    let mut first = None;
    for found in memmem::find_iter(body, TOKEN_VOLUME) {
        let start = found + TOKEN_VOLUME.len();
        let place = start..start + DRAWN;
        let (Some(drawn), Some(after)) = (body.get(place.clone()), body.get(place.end)) else { continue };
        let before = found.checked_sub(2).and_then(|before| body.get(before..found));
        let is_name = match (before, after) {
            (Some([b'\\', b'"']), b'\\') => managed.contains(&found),
            (Some([before, b'"']), b'"') => *before != b'\\',
            _ => false,
        };
        if !is_name || !drawn.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            continue;
        }
        if *first.get_or_insert(drawn) == drawn {
            places.push(place);
        }
    }
    first
}
