//! Chance, from one seed: uids, generated names, tokens. The same seed gives the same cluster.

use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The letters of generated names: no vowels and no digits that look like letters, as the recorded names show
/// (`api-basics/generatename-collision-free`).
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The cluster's generator.
pub(crate) struct Random {
    generator: Mutex<StdRng>,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random { generator: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.generator.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Random bytes.
    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        self.with(|generator| {
            let mut bytes = [0; N];
            generator.fill(&mut bytes);
            bytes
        })
    }

    /// Whether something of this probability (0 to 1) happens.
    pub(crate) fn chance(&self, probability: f64) -> bool {
        self.with(|generator| generator.random_bool(probability.clamp(0.0, 1.0)))
    }

    /// A version 4 UUID.
    pub(crate) fn uid(&self) -> String {
        let mut bytes: [u8; 16] = self.bytes();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = String::with_capacity(36);
        for (at, byte) in bytes.into_iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.extend([byte >> 4, byte & 0xf].map(|digit| char::from(HEX[usize::from(digit)])));
        }
        text
    }

    /// `length` letters for a generated name.
    pub(crate) fn suffix(&self, length: usize) -> String {
        self.with(|generator| {
            (0..length).map(|_| char::from(ALPHABET[generator.random_range(0..ALPHABET.len())])).collect()
        })
    }

    /// A number below `limit`.
    pub(crate) fn below(&self, limit: u64) -> u64 {
        self.with(|generator| generator.random_range(0..limit.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_everything() {
        let (one, two, other) = (Random::new(7), Random::new(7), Random::new(8));
        let uid = one.uid();
        assert_eq!(uid, two.uid());
        assert_ne!(uid, other.uid());
        assert_eq!((uid.len(), &uid[14..15]), (36, "4"));
        assert!("89ab".contains(&uid[19..20]));
        assert_eq!(one.suffix(5), two.suffix(5));
    }
}
