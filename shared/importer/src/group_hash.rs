//! A number for records that belong together.

/// A hash of the texts, the same on every machine and in every version, and evenly distributed over all numbers:
/// FNV-1a, with the final step of MurmurHash3.
#[must_use]
pub fn group_hash(texts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for text in texts {
        // The byte 0xff occurs in no UTF-8 text, so it separates the texts unambiguously.
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_spread_evenly_and_not_taken_for_others() {
        assert_ne!(group_hash(&["ab", "c"]), group_hash(&["a", "bc"]));
        let mut counts = [0_u32; 16];
        for n in 0..16_000 {
            counts[usize::try_from(group_hash(&["user", &n.to_string()]) >> 60).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }
}
