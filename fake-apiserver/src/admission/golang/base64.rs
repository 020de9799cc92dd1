//! encoding/base64's StdEncoding, with its error offsets.

use base64_simd::STANDARD;

/// Decodes; line breaks are skipped, padding is required, trailing bits are ignored.
///
/// # Errors
/// `illegal base64 data at input byte N`.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, String> {
    // What is written without line breaks, as nearly everything is, is decoded in one go.
    if let Ok(decoded) = STANDARD.decode_to_vec(text) {
        return Ok(decoded);
    }
    let input = text.as_bytes();
    let mut out = Vec::with_capacity(input.len() / 4 * 3 + 3);
    let mut at = 0;
    loop {
        let mut quantum = [0u8; 4];
        let mut filled = 0;
        while filled < 4 {
            let Some(&byte) = input.get(at) else {
                return if filled == 0 { Ok(out) } else { Err(illegal(at - filled)) };
            };
            at += 1;
            if let Some(bits) = bits_of(byte) {
                quantum[filled] = bits;
                filled += 1;
            } else if byte == b'=' {
                padding(input, at, filled)?;
                push(&mut out, quantum, filled);
                return Ok(out);
            } else if byte != b'\n' && byte != b'\r' {
                return Err(illegal(at - 1));
            }
        }
        push(&mut out, quantum, 4);
    }
}

/// Checks what follows the first `=`; only line breaks may come after the padding.
fn padding(input: &[u8], mut at: usize, filled: usize) -> Result<(), String> {
    let skip = |mut at: usize| {
        while matches!(input.get(at), Some(b'\n' | b'\r')) {
            at += 1;
        }
        at
    };
    if filled < 2 {
        return Err(illegal(at - 1));
    }
    if filled == 2 {
        at = skip(at);
        match input.get(at) {
            None => return Err(illegal(input.len())),
            Some(b'=') => at += 1,
            Some(_) => return Err(illegal(at - 1)),
        }
    }
    at = skip(at);
    if at < input.len() { Err(illegal(at)) } else { Ok(()) }
}

fn push(out: &mut Vec<u8>, quantum: [u8; 4], filled: usize) {
    let word = quantum.iter().fold(0u32, |word, bits| word << 6 | u32::from(*bits));
    let [_, first, second, third] = word.to_be_bytes();
    out.extend_from_slice(&[first, second, third][..filled.saturating_sub(1)]);
}

fn bits_of(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

fn illegal(at: usize) -> String {
    format!("illegal base64 data at input byte {at}")
}
