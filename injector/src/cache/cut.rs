//! Cuts what differs between pods of one owner out of a review's bytes.
//!
//! The walk looks at structure only and trusts nothing: it follows the members `request`, `request.uid`,
//! `request.object`, `object.metadata`, `metadata.managedFields` and `managedFields[].time`, skips everything else, and
//! gives up (no cache for this body) on whatever could make it read a body otherwise than the decoder does: a name
//! with an escape on the levels it walks, one of those members twice, a cut string with anything but plain ASCII in it.

use std::ops::Range;

use apimachinery::skim::{Skim, Strings};

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
    let text = std::str::from_utf8(body).ok()?;
    let mut skim = Skim::with(text, Cuts { places: Vec::with_capacity(8), token_volume, drawn: None });
    let mut uid = None;
    skim.members(&["request"], |skim, _| {
        skim.members(&["uid", "object"], |skim, member| match member {
            0 => {
                uid = Some(cut_string(skim)?);
                Some(())
            }
            _ => skim.members(&["metadata"], |skim, _| {
                skim.members(&["managedFields"], |skim, _| {
                    skim.items(|skim| skim.members(&["time"], |skim, _| cut_string(skim).map(drop)))
                })
            }),
        })
    })?;
    let Cuts { places, drawn, .. } = skim.strings;
    let mut key = Vec::with_capacity(path.len() + body.len() + 1);
    key.extend_from_slice(path.as_bytes());
    key.push(MARK);
    let mut from = 0;
    for place in places {
        key.extend_from_slice(body.get(from..place.start)?);
        key.push(MARK);
        from = place.end;
    }
    key.extend_from_slice(body.get(from..)?);
    Some(Cut { key, uid: uid?, drawn })
}

/// What is cut out, in order.
struct Cuts<'a> {
    places: Vec<Range<usize>>,
    token_volume: bool,
    drawn: Option<&'a [u8]>,
}

/// Cuts the content of the string that stands here.
fn cut_string<'a>(skim: &mut Skim<'a, Cuts<'a>>) -> Option<&'a str> {
    let (content, place) = skim.string()?;
    if !content.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'\\') {
        return None;
    }
    skim.strings.places.push(place);
    Some(content)
}

impl<'a> Strings<'a> for Cuts<'a> {
    /// Cuts the end of a string that is the name of the token volume.
    fn skipped(&mut self, content: &'a str, place: Range<usize>) {
        if !self.token_volume || !content.as_bytes().starts_with(TOKEN_VOLUME) {
            return;
        }
        let Some(drawn) = content.as_bytes().get(TOKEN_VOLUME.len()..).filter(|drawn| drawn.len() == DRAWN) else {
            return;
        };
        if !drawn.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return;
        }
        if *self.drawn.get_or_insert(drawn) == drawn {
            self.places.push(place.end - DRAWN..place.end);
        }
    }
}
