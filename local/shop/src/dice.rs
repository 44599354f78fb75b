//! Chance that comes out the same everywhere: whole numbers from a seed.

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and good enough for a shop.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of one shopper: another's do not change when there are more or fewer shoppers.
    pub(crate) fn new(seed: u64, shopper: u64) -> Self {
        let mut dice = Self(seed);
        let mixed = dice.next();
        Self(mixed ^ shopper.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From zero to one below `bound`; zero if that is zero.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let product = (self.next() >> 32) * u64::from(bound);
        u32::try_from(product >> 32).unwrap_or_default()
    }

    /// From `low` to `high`, both among them.
    pub(crate) fn between(&mut self, (low, high): (u32, u32)) -> u32 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True so many times of a hundred.
    pub(crate) fn percent(&mut self, of_hundred: u32) -> bool {
        self.below(100) < of_hundred
    }

    /// One of them, the likelier the greater its weight; none if all weights are zero.
    pub(crate) fn pick<T: Copy>(&mut self, choices: impl Iterator<Item = (T, u32)> + Clone) -> Option<T> {
        let mut left = self.below(choices.clone().map(|(_, weight)| weight).sum());
        choices.filter(|(_, weight)| *weight > 0).find_map(|(choice, weight)| {
            let hit = left < weight;
            left = left.saturating_sub(weight);
            hit.then_some(choice)
        })
    }

    /// One of these names, by their weights.
    pub(crate) fn pick_from<'a>(&mut self, picks: &'a [(String, u32)]) -> Option<&'a str> {
        self.pick(picks.iter().map(|(name, weight)| (name.as_str(), *weight)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_throws_the_same() {
        let throw = |seed, shopper| {
            let mut dice = Dice::new(seed, shopper);
            (0..20).map(|_| dice.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(throw(1, 2), throw(1, 2));
        assert_ne!(throw(1, 2), throw(1, 3));
        assert_ne!(throw(1, 2), throw(2, 2));
    }

    #[test]
    fn throws_are_within_their_bounds_and_use_them_all() {
        let mut dice = Dice::new(7, 0);
        let mut seen = [0; 6];
        for _ in 0..6_000 {
            seen[usize::try_from(dice.between((1, 6))).unwrap() - 1] += 1;
        }
        assert!(seen.iter().all(|count| (850..1_150).contains(count)), "{seen:?}");
        assert_eq!(dice.below(0), 0);
    }

    #[test]
    fn weights_count() {
        let mut dice = Dice::new(7, 1);
        let choices = [('a', 0), ('b', 90), ('c', 10)];
        let picks: Vec<_> = (0..1_000).filter_map(|_| dice.pick(choices.iter().copied())).collect();
        let count = |wanted| picks.iter().filter(|pick| **pick == wanted).count();
        assert_eq!((picks.len(), count('a')), (1_000, 0));
        assert!((860..940).contains(&count('b')));
        assert_eq!(dice.pick([('a', 0)].into_iter()), None);
    }
}
