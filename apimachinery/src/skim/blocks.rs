//! Objects and arrays passed over 64 bytes at a time.
//!
//! For each block of bytes there are words of 64 bits that say where quotes and brackets stand. What lies between quotes
//! is the running sum of the quotes' bits, so that brackets in strings can be told apart without a branch per byte, and a
//! block in which no bracket can close the value is done with by counting.

use wide::u8x16;

/// Bytes of a block.
pub(super) const BLOCK: usize = 64;
/// Bytes that are compared at once.
const PART: usize = 16;

/// Where the object or array ends whose first byte stands before `at`; `None` if the text ends before.
pub(super) fn end(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 1;
    let (mut in_string, mut is_escaped) = (0, false);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let block = Block::load(rest);
        let quotes = block.quotes & !escaped(block.backslashes, &mut is_escaped);
        let inside = running(quotes) ^ in_string;
        in_string = if inside >> (BLOCK - 1) == 0 { 0 } else { u64::MAX };
        let (opening, closing) = (block.opening & !inside, block.closing & !inside);
        if closing.count_ones() < depth {
            depth = depth + opening.count_ones() - closing.count_ones();
            at += BLOCK;
            continue;
        }
        let mut brackets = opening | closing;
        while brackets != 0 {
            let place = brackets.trailing_zeros();
            depth = if opening >> place & 1 == 1 { depth + 1 } else { depth - 1 };
            if depth == 0 {
                return Some(at + place as usize + 1);
            }
            brackets &= brackets - 1;
        }
        at += BLOCK;
    }
    None
}

/// Where something stands in a block: the lowest bit is the first byte.
struct Block {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
}

impl Block {
    /// Of the first bytes of a text that is not empty; what lies behind its end is blank.
    fn load(rest: &[u8]) -> Block {
        let mut padded = [b' '; BLOCK];
        let bytes = rest.first_chunk::<BLOCK>().unwrap_or_else(|| {
            padded[..rest.len()].copy_from_slice(rest);
            &padded
        });
        let mut block = Block { quotes: 0, backslashes: 0, opening: 0, closing: 0 };
        let (parts, _) = bytes.as_chunks::<PART>();
        for (index, part) in parts.iter().enumerate() {
            let part = u8x16::new(*part);
            let place = |byte: u8, of: u8x16| u64::from(of.simd_eq(u8x16::splat(byte)).to_bitmask()) << (PART * index);
            // Brackets and braces differ in one bit.
            let brackets = part | u8x16::splat(0x20);
            block.quotes |= place(b'"', part);
            block.backslashes |= place(b'\\', part);
            block.opening |= place(b'{', brackets);
            block.closing |= place(b'}', brackets);
        }
        block
    }
}

/// Where something stands in a block of a string: the lowest bit is the first byte.
pub(super) struct Marks {
    pub(super) quotes: u64,
    pub(super) backslashes: u64,
    /// Bytes that may stand in no string.
    pub(super) controls: u64,
}

impl Marks {
    #[inline]
    pub(super) fn of(block: &[u8; BLOCK]) -> Marks {
        let mut marks = Marks { quotes: 0, backslashes: 0, controls: 0 };
        let (parts, _) = block.as_chunks::<PART>();
        for (index, part) in parts.iter().enumerate() {
            let part = u8x16::new(*part);
            let place = |found: u8x16| u64::from(found.to_bitmask()) << (PART * index);
            marks.quotes |= place(part.simd_eq(u8x16::splat(b'"')));
            marks.backslashes |= place(part.simd_eq(u8x16::splat(b'\\')));
            marks.controls |= place(part.simd_eq(part.min(u8x16::splat(b' ' - 1))));
        }
        marks
    }
}

/// The bytes that follow a backslash which is none of them itself. `carried`: whether the first byte is one, and whether the
/// first of the next block is.
#[inline]
pub(super) fn escaped(backslashes: u64, carried: &mut bool) -> u64 {
    let first = u64::from(*carried);
    let next = backslashes << 1 | first;
    // Hardly ever are there two in a row.
    if backslashes & next != 0 {
        return escaped_in_rows(backslashes, carried);
    }
    *carried = backslashes >> (BLOCK - 1) == 1;
    next
}

/// The same where backslashes follow one another.
fn escaped_in_rows(backslashes: u64, carried: &mut bool) -> u64 {
    let mut escaped = u64::from(std::mem::take(carried));
    let mut left = backslashes & !escaped;
    while left != 0 {
        let place = left.trailing_zeros();
        match 2_u64.checked_shl(place).filter(|next| *next != 0) {
            Some(next) => {
                escaped |= next;
                left &= !next;
            }
            None => *carried = true,
        }
        left &= left - 1;
    }
    escaped
}

/// Each bit is the sum of all up to it, without carrying.
const fn running(mut bits: u64) -> u64 {
    let mut step = 1;
    while step < u64::BITS {
        bits ^= bits << step;
        step *= 2;
    }
    bits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::end;

    /// The same, byte by byte.
    fn plainly(text: &[u8], from: usize) -> Option<usize> {
        let (mut depth, mut in_string, mut is_escaped) = (1, false, false);
        for (at, byte) in text.iter().enumerate().skip(from) {
            let escapes = *byte == b'\\' && !is_escaped;
            match byte {
                b'"' if !is_escaped => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth -= 1,
                _ => {}
            }
            is_escaped = escapes;
            if depth == 0 {
                return Some(at + 1);
            }
        }
        None
    }

    #[test]
    fn a_quote_behind_the_last_backslash_of_a_block_is_escaped() {
        let text = format!("{{\"{}\\\"}}\"}}", "x".repeat(61));
        assert_eq!(end(text.as_bytes(), 1), Some(text.len()));
    }

    proptest! {
        #[test]
        fn finds_the_end_that_a_plain_reader_finds(text in "[\\[\\]{}\",:a\\\\ é]{0,300}", from in 0..8usize) {
            prop_assert_eq!(end(text.as_bytes(), from), plainly(text.as_bytes(), from));
        }
    }
}
