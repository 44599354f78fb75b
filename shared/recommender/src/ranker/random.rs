//! Numbers that look random, from a seed.

/// Sebastiano Vigna's SplitMix64: for drawing features and candidates, not for secrets.
#[derive(Debug, Clone)]
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// `count` of the items, in their order; every choice is as likely as every other.
    pub(super) fn choose<T: Copy>(&mut self, items: &[T], count: usize) -> Vec<T> {
        let mut wanted = count.min(items.len());
        let mut chosen = Vec::with_capacity(wanted);
        for (left, item) in (1..=items.len()).rev().zip(items) {
            if self.below(left) < wanted {
                chosen.push(*item);
                wanted -= 1;
            }
        }
        chosen
    }

    /// True with this probability.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are what a number between 0 and 1 has")]
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        ((self.next() >> 11) as f64) < probability * (1u64 << 53) as f64
    }

    /// From 0 to `limit` - 1, by Lemire's multiplication; the bias is below 2^-32 for the limits of this crate.
    fn below(&mut self, limit: usize) -> usize {
        let product = u128::from(self.next()) * limit as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        let mut random = SplitMix64::new(1_234_567);
        let found = [random.next(), random.next(), random.next()];
        assert_eq!(found, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn items_and_events_are_as_likely_as_they_should_be() {
        let mut random = SplitMix64::new(5);
        let items: Vec<usize> = (0..10).collect();
        let mut chosen = [0u32; 10];
        for _ in 0..10_000 {
            let some = random.choose(&items, 6);
            assert!(some.len() == 6 && some.is_sorted(), "{some:?}");
            some.into_iter().for_each(|item| chosen[item] += 1);
        }
        // Six standard deviations of a binomial distribution of 10,000 draws at 0.6.
        assert!(chosen.iter().all(|times| times.abs_diff(6_000) < 300), "{chosen:?}");
        let hits = (0..10_000).filter(|_| random.chance(0.6)).count();
        assert!(hits.abs_diff(6_000) < 300, "{hits}");
        assert!((0..100).all(|_| random.chance(1.0) && !random.chance(0.0)));
        assert_eq!(random.choose(&items, 20), items);
        assert!(random.choose(&items, 0).is_empty());
    }
}
