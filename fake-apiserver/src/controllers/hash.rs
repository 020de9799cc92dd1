//! Names for pod templates: `pod-template-hash`, `controller-revision-hash`.
//!
//! Kubernetes hashes a dump of its Go structs with FNV-1a; what matters to others is that the hash depends on the whole
//! template and on the number of collisions so far, and that it is written in an alphabet without vowels.

use apimachinery::value::Value;

const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// The hash of a template after so many collisions.
pub(crate) fn template_hash(template: &Value, collisions: Option<i64>) -> String {
    let mut hash = fnv(0x811c_9dc5, &serde_json::to_vec(template).unwrap_or_default());
    if let Some(collisions) = collisions {
        hash = fnv(hash, &collisions.to_le_bytes());
    }
    // FNV of short differences moves few bits: stir, so that the text has its full length almost always.
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    safe_encode(hash)
}

fn fnv(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The decimal digits in the alphabet of generated names.
fn safe_encode(number: u32) -> String {
    number.to_string().bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::*;

    #[test]
    fn the_alphabet_is_that_of_recorded_hashes() {
        // digits 0-9 are 48-57; 48 % 27 = 21
        assert_eq!(safe_encode(1_234_567_890), "56789bcdf4");
        let hash = template_hash(&json!({"spec": {"containers": [{"image": "a"}]}}), None);
        assert!(hash.len() <= 10 && hash.bytes().all(|byte| ALPHABET.contains(&byte)), "{hash}");
    }

    #[test]
    fn everything_counts() {
        let template = json!({"spec": {"containers": [{"image": "a"}]}});
        let base = template_hash(&template, None);
        assert_eq!(base, template_hash(&template.clone(), None));
        assert_ne!(base, template_hash(&json!({"spec": {"containers": [{"image": "b"}]}}), None));
        assert_ne!(template_hash(&template, Some(0)), template_hash(&template, Some(1)));
    }
}
