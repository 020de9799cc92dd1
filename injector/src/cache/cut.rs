//! Cuts what differs between pods of one owner out of a review's bytes.
//!
//! The walk looks at structure only and trusts nothing: it follows the members `request`, `request.uid`,
//! `request.object`, `object.metadata`, `metadata.managedFields` and `managedFields[].time`, skips everything else, and
//! gives up (no cache for this body) on whatever could make it read a body otherwise than the decoder does: a name
//! with an escape on the levels it walks, one of those members twice, a cut string with anything but plain ASCII in it.

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
    /// Path and body, with a mark for each cut.
    pub(super) key: Vec<u8>,
    /// `request.uid`.
    pub(super) uid: &'a str,
    /// What was drawn for the name of the token volume, when it was cut.
    pub(super) drawn: Option<&'a [u8]>,
}

/// Cuts `body`, or says that this body cannot be cut. `token_volume`: the name of the token volume is cut as well.
pub(super) fn cut<'a>(path: &str, body: &'a [u8], token_volume: bool) -> Option<Cut<'a>> {
    if memchr::memchr(MARK, body).is_some() || path.as_bytes().contains(&MARK) {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?;
    let mut skim = Skim::new(text);
    let (mut uid, mut places) = (None, Vec::with_capacity(16));
    skim.members(&["request"], |skim, _| {
        skim.members(&["uid", "object"], |skim, member| match member {
            0 => {
                uid = Some(cut_string(skim, &mut places)?);
                Some(())
            }
            _ => skim.members(&["metadata"], |skim, _| {
                skim.members(&["managedFields"], |skim, _| {
                    skim.items(|skim| skim.members(&["time"], |skim, _| cut_string(skim, &mut places).map(drop)))
                })
            }),
        })
    })?;
    let drawn = if token_volume { cut_token_volume(body, &mut places) } else { None };
    places.sort_unstable_by_key(|place| place.start);
    let mut key = Vec::with_capacity(path.len() + body.len() + 1);
    key.extend_from_slice(path.as_bytes());
    key.push(MARK);
    let mut from = 0;
    // What would be cut twice is cut once.
    for place in places {
        if place.start < from {
            continue;
        }
        key.extend_from_slice(body.get(from..place.start)?);
        key.push(MARK);
        from = place.end;
    }
    key.extend_from_slice(body.get(from..)?);
    Some(Cut { key, uid: uid?, drawn })
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
/// it, so what stands between two that have none is a string.
fn cut_token_volume<'a>(body: &'a [u8], places: &mut Vec<Range<usize>>) -> Option<&'a [u8]> {
    let mut first = None;
    for found in memmem::find_iter(body, TOKEN_VOLUME) {
        let start = found + TOKEN_VOLUME.len();
        let place = start..start + DRAWN;
        let (Some(drawn), Some(b'"')) = (body.get(place.clone()), body.get(place.end)) else { continue };
        let before = found.checked_sub(2).and_then(|before| body.get(before..found));
        let is_name = matches!(before, Some([before, b'"']) if *before != b'\\');
        if !is_name || !drawn.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            continue;
        }
        if *first.get_or_insert(drawn) == drawn {
            places.push(place);
        }
    }
    first
}
