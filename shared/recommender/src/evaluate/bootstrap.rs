//! How far a mean over users, or the difference of two, may be off: a bootstrap that parts of the users add up to.
//!
//! The bootstrap asks what else the result could have been if other users of the same kind had been evaluated. It draws
//! [`REPLICATES`] samples of as many users out of the evaluated ones, with repetition, and looks at the spread of the
//! samples' results (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993).
//!
//! *Poisson weights.* A sample says how often each user is in it. Here that number is drawn for each user on its own,
//! from a Poisson distribution with mean 1, in place of drawing exactly as many users as there are (Hanley and MacGibbon,
//! "Creating non-parametric bootstrap samples using Poisson frequencies", 2006; Chamandy et al., "Estimating uncertainty
//! for massive data streams", Google, 2012). The number is a function of the seed, the replicate and the user's hash, so
//! it is the same wherever the user is evaluated, and sums of parts add up to the bits of the whole.
//!
//! *Paired.* All measures of all methods use the same weights for a user. So a replicate's difference of two means is a
//! difference on the same users: what makes a user easy or hard for both methods cancels out.
//!
//! *The interval* is the percentile interval, at levels that are widened for few users: the tail on each side is
//! `Φ(-√(n/(n-1)) · t)` in place of 2.5 %, with t the 97.5 % point of Student's distribution with n - 1 degrees of
//! freedom (Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69(4), 2015: the
//! expanded percentile interval). Below [`MIN_USERS`] users there is no interval: no resampling of so few users can say
//! anything with 95 % confidence.

use crate::counts::MergeError;
use crate::fixed_point::{from_fixed, to_fixed};
use crate::fnv;
use serde::{Deserialize, Serialize};

/// How many samples of the users are drawn.
pub const REPLICATES: usize = 1_000;

/// With fewer users there are no intervals.
pub const MIN_USERS: u64 = 10;

/// The distribution function of the Poisson distribution with mean 1 at 0, 1, 2, …, in units of 2^-32.
const POISSON: [u32; 12] = [
    1_580_030_169,
    3_160_060_337,
    3_950_075_422,
    4_213_413_783,
    4_279_248_374,
    4_292_415_292,
    4_294_609_778,
    4_294_923_276,
    4_294_962_463,
    4_294_966_817,
    4_294_967_253,
    4_294_967_292,
];

/// A hash of a user's id, for [`ResampleWeights::draw`] (FNV-1a, 64 bits).
pub fn user_hash(id: &str) -> u64 {
    fnv::add(fnv::START, id.as_bytes())
}

/// A number that depends on all bits of both, evenly distributed: the state that a user's numbers are drawn from.
pub(crate) fn user_state(seed: u64, user: u64) -> u64 {
    mixed(mixed(seed) ^ user)
}

/// The `at`th number of a state, evenly distributed: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
/// number generators", 2014).
pub(crate) fn drawn(state: u64, at: u64) -> u64 {
    mixed(state.wrapping_add(at.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

fn mixed(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// How often one user is in each of the samples.
#[derive(Debug, Clone, Default)]
pub struct ResampleWeights(Vec<u8>);

impl ResampleWeights {
    /// No user yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Draws the numbers of a user, who is known by a hash.
    pub fn draw(&mut self, seed: u64, user: u64) {
        let state = user_state(seed, user);
        self.0.clear();
        for at in 0..REPLICATES.div_ceil(2) as u64 {
            let [a, b, c, d, e, f, g, h] = drawn(state, at).to_le_bytes();
            self.0.push(poisson(u32::from_le_bytes([a, b, c, d])));
            self.0.push(poisson(u32::from_le_bytes([e, f, g, h])));
        }
        self.0.truncate(REPLICATES);
    }
}

fn poisson(uniform: u32) -> u8 {
    let mut weight = 0;
    for bound in POISSON {
        if uniform < bound {
            break;
        }
        weight += 1;
    }
    weight
}

/// The mean of a measure over users, and over each of the samples. Merge: associative, commutative, exact.
///
/// Measures are rounded to 32 binary places and summed as integers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BootstrapMean {
    sum: u64,
    users: u64,
    /// Σ weight · measure, one for each sample; empty without users.
    sums: Vec<u64>,
    /// Σ weight.
    weights: Vec<u64>,
}

/// A mean or a difference, with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// Over all users.
    pub mean: f64,
    /// The two ends; none for fewer than [`MIN_USERS`] users.
    pub interval: Option<(f64, f64)>,
}

impl Estimate {
    /// Whether the whole interval lies below a bound. Without an interval there is no evidence.
    pub fn is_below(&self, bound: f64) -> bool {
        self.interval.is_some_and(|(_, high)| high < bound)
    }

    /// Whether the whole interval lies above a bound. Without an interval there is no evidence.
    pub fn is_above(&self, bound: f64) -> bool {
        self.interval.is_some_and(|(low, _)| low > bound)
    }
}

impl BootstrapMean {
    /// No users yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a user's measure, which is not negative, under the user's weights.
    pub fn add(&mut self, measure: f64, weights: &ResampleWeights) {
        let fixed = to_fixed(measure);
        self.sum += fixed;
        self.users += 1;
        self.sums.resize(REPLICATES, 0);
        self.weights.resize(REPLICATES, 0);
        for (sum, &weight) in self.weights.iter_mut().zip(&weights.0) {
            *sum += u64::from(weight);
        }
        if fixed > 0 {
            for (sum, &weight) in self.sums.iter_mut().zip(&weights.0) {
                *sum += u64::from(weight) * fixed;
            }
        }
    }

    /// Adds other users.
    ///
    /// # Errors
    /// [`MergeError`] if a sum does not fit its integer, or the two have other numbers of samples.
    pub fn merge(mut self, other: &Self) -> Result<Self, MergeError> {
        if other.users == 0 {
            return Ok(self);
        }
        if self.users == 0 {
            return Ok(other.clone());
        }
        if self.sums.len() != other.sums.len() || self.weights.len() != other.weights.len() {
            return Err(MergeError::OtherRun);
        }
        let add = |sum: &mut u64, more: u64| {
            *sum = sum.checked_add(more).ok_or(MergeError::Overflow)?;
            Ok(())
        };
        add(&mut self.sum, other.sum)?;
        add(&mut self.users, other.users)?;
        let sums = self.sums.iter_mut().zip(&other.sums);
        let weights = self.weights.iter_mut().zip(&other.weights);
        sums.chain(weights).try_for_each(|(sum, &more)| add(sum, more))?;
        Ok(self)
    }

    /// The number of users with this measure.
    pub fn users(&self) -> u64 {
        self.users
    }

    /// The mean with its interval; none without users.
    pub fn estimate(&self) -> Option<Estimate> {
        let mean = ratio(self.sum, self.users)?;
        Some(Estimate { mean, interval: percentiles(self.replicates().flatten().collect(), self.users) })
    }

    /// A statistic of two measures of the same users, such as their difference, with its interval; none without users.
    ///
    /// The two must have been added to for the same users under the same weights.
    pub fn paired(&self, other: &Self, statistic: impl Fn(f64, f64) -> f64) -> Option<Estimate> {
        let mean = statistic(ratio(self.sum, self.users)?, ratio(other.sum, other.users)?);
        let both = self.replicates().zip(other.replicates());
        let values = both.filter_map(|(a, b)| Some(statistic(a?, b?))).collect();
        Some(Estimate { mean, interval: percentiles(values, self.users.min(other.users)) })
    }

    /// The means over the samples; none where a sample has no user.
    fn replicates(&self) -> impl Iterator<Item = Option<f64>> {
        self.sums.iter().zip(&self.weights).map(|(&sum, &weight)| ratio(sum, weight))
    }
}

fn ratio(sum: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| from_fixed(sum) / count as f64)
}

/// The two ends of the expanded percentile interval.
fn percentiles(mut values: Vec<f64>, users: u64) -> Option<(f64, f64)> {
    if users < MIN_USERS {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    // The kth smallest of m values stands for the level k / (m + 1).
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the number of replicates"
    )]
    let kth = ((values.len() + 1) as f64 * tail(users)) as usize;
    let from_end = kth.max(1) - 1;
    Some((*values.get(from_end)?, *values.iter().nth_back(from_end)?))
}

/// The share of samples beyond each end of the interval.
fn tail(users: u64) -> f64 {
    let users = users as f64;
    normal_tail((users / (users - 1.0)).sqrt() * student(users - 1.0))
}

/// The 97.5 % point of Student's distribution, after Abramowitz and Stegun 26.7.5; within 0.0001 from 9 degrees of
/// freedom.
fn student(degrees: f64) -> f64 {
    const Z: f64 = 1.959_963_984_540_054;
    let (z3, z5, z7) = (Z.powi(3), Z.powi(5), Z.powi(7));
    let terms = [
        (z3 + Z) / 4.0,
        (5.0 * z5 + 16.0 * z3 + 3.0 * Z) / 96.0,
        (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * Z) / 384.0,
        (79.0 * Z.powi(9) + 776.0 * z7 + 1482.0 * z5 - 1920.0 * z3 - 945.0 * Z) / 92_160.0,
    ];
    terms.iter().rev().fold(0.0, |sum, term| (sum + term) / degrees) + Z
}

/// 1 - Φ(x) for positive x, after Abramowitz and Stegun 26.2.17; the error is below 1e-7.
fn normal_tail(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x);
    let factors = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = factors.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intermediate::{decode, encode};
    use proptest::prelude::*;

    /// Evenly distributed between 0 and 1.
    fn uniform(state: u64, at: u64) -> f64 {
        (drawn(state, at) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn mean_of(measures: &[(u64, f64)], seed: u64) -> BootstrapMean {
        let (mut mean, mut weights) = (BootstrapMean::new(), ResampleWeights::new());
        for &(user, measure) in measures {
            weights.draw(seed, user);
            mean.add(measure, &weights);
        }
        mean
    }

    #[test]
    fn the_bounds_are_those_of_the_poisson_distribution() {
        let (mut term, mut sum) = ((-1f64).exp(), 0.0);
        for (at, bound) in (1..).zip(POISSON) {
            sum += term;
            term /= f64::from(at);
            assert!((f64::from(bound) - sum * 4_294_967_296.0).abs() < 1.0, "{at}");
        }
    }

    #[test]
    fn weights_have_mean_and_variance_one_over_users_and_over_replicates() {
        let mut weights = ResampleWeights::new();
        let (mut sum, mut squares) = (vec![0.0; REPLICATES], vec![0.0; REPLICATES]);
        for user in 0..400 {
            weights.draw(7, user_hash(&format!("user {user}")));
            let own: f64 = weights.0.iter().map(|&weight| f64::from(weight)).sum();
            assert!((own / REPLICATES as f64 - 1.0).abs() < 0.15, "{own}");
            for ((sum, square), &weight) in sum.iter_mut().zip(&mut squares).zip(&weights.0) {
                *sum += f64::from(weight);
                *square += f64::from(weight).powi(2);
            }
        }
        let near = |values: &[f64], wanted: f64| {
            let mean = values.iter().sum::<f64>() / (400.0 * REPLICATES as f64);
            assert!((mean - wanted).abs() < 0.02, "{mean} {wanted}");
        };
        near(&sum, 1.0);
        near(&squares, 2.0);
        assert!(sum.iter().all(|sum| (sum / 400.0 - 1.0).abs() < 0.25));
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, wanted) in [(9.0, 2.262_157), (29.0, 2.045_230), (1e9, 1.959_964)] {
            assert!((student(degrees) - wanted).abs() < 1e-4, "{degrees}");
        }
        for (x, wanted) in [(1.959_964, 0.025), (2.5, 0.006_209_665), (4.0, 0.000_031_671)] {
            assert!((normal_tail(x) - wanted).abs() < 1e-6, "{x}");
        }
        assert!((tail(1_000_000) - 0.025).abs() < 1e-5);
    }

    #[test]
    fn an_interval_holds_the_truth_about_as_often_as_it_says() {
        // Two methods on users with a difficulty of their own; most users are missed by both, as next baskets are.
        let (runs, users) = (400, 60);
        let (mut mean_held, mut difference_held, mut wrongly_worse) = (0, 0, 0);
        for run in 0..runs {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            for user in 0..users {
                let state = user_state(run, user);
                let [chance, gain, luck, more] = [0, 1, 2, 3].map(|at| uniform(state, at));
                let base = if chance < 0.6 { 0.0 } else { gain };
                one.push((drawn(state, 9), base));
                other.push((drawn(state, 9), if luck < 0.2 { more } else { base }));
            }
            // Means: 0.4 · 0.5, and 0.8 of that and 0.2 · 0.5.
            let (one, other) = (mean_of(&one, run), mean_of(&other, run));
            let holds = |estimate: &Estimate, truth: f64| {
                let (low, high) = estimate.interval.unwrap();
                u32::from(low <= truth && truth <= high)
            };
            mean_held += holds(&one.estimate().unwrap(), 0.2);
            let difference = other.paired(&one, |a, b| a - b).unwrap();
            difference_held += holds(&difference, 0.06);
            wrongly_worse += u32::from(difference.is_below(0.06));
        }
        let share = |held: u32| f64::from(held) / runs as f64;
        assert!((0.92..0.98).contains(&share(mean_held)), "{mean_held}");
        assert!((0.92..0.98).contains(&share(difference_held)), "{difference_held}");
        assert!(share(wrongly_worse) < 0.07, "{wrongly_worse}");
    }

    #[test]
    fn a_paired_difference_is_surer_than_the_means_that_it_is_of() {
        let users: Vec<(u64, f64)> = (0..200).map(|user| (user, uniform(1, user) * 0.9)).collect();
        let better: Vec<(u64, f64)> = users.iter().map(|&(user, measure)| (user, measure + 0.01)).collect();
        let (users, better) = (mean_of(&users, 3), mean_of(&better, 3));
        let difference = better.paired(&users, |a, b| a - b).unwrap();
        assert!(difference.is_above(0.009) && difference.is_below(0.011), "{difference:?}");
        let (low, high) = users.estimate().unwrap().interval.unwrap();
        assert!(high - low > 0.05);
    }

    #[test]
    fn few_users_are_no_evidence_and_none_have_no_mean() {
        assert_eq!(BootstrapMean::new().estimate(), None);
        let few: Vec<(u64, f64)> = (0..MIN_USERS - 1).map(|user| (user, 0.5)).collect();
        let few = mean_of(&few, 1).estimate().unwrap();
        assert_eq!((few.interval, few.is_below(1.0), few.is_above(0.0)), (None, false, false));
        let enough: Vec<(u64, f64)> = (0..MIN_USERS).map(|user| (user, 0.5)).collect();
        assert_eq!(mean_of(&enough, 1).estimate().unwrap().interval, Some((0.5, 0.5)));
    }

    #[test]
    fn means_of_other_numbers_of_samples_do_not_add_up() {
        let whole = mean_of(&[(1, 0.5)], 1);
        let cut = BootstrapMean { sums: vec![1], weights: vec![1], ..whole.clone() };
        assert_eq!(whole.clone().merge(&cut), Err(MergeError::OtherRun));
        let full = BootstrapMean { sum: u64::MAX, ..whole.clone() };
        assert_eq!(whole.merge(&full), Err(MergeError::Overflow));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn parts_in_any_order_come_to_the_bits_of_the_whole(
            measures in prop::collection::vec((any::<u64>(), 0.0..1.0f64, 0..4usize), 0..30),
            seed: u64,
            order in Just([0, 1, 2, 3]).prop_shuffle(),
        ) {
            let all: Vec<(u64, f64)> = measures.iter().map(|&(user, measure, _)| (user, measure)).collect();
            let part = |number: usize| {
                let own = measures.iter().filter(|(_, _, part)| *part == number);
                mean_of(&own.map(|&(user, measure, _)| (user, measure)).collect::<Vec<_>>(), seed)
            };
            let merged = order.iter().fold(BootstrapMean::new(), |sum, &at| sum.merge(&part(at)).unwrap());
            let whole = mean_of(&all, seed);
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(decode("mean", &encode(&merged)), Ok(whole));
        }

        #[test]
        fn corrupt_means_are_an_error_or_another_one_but_no_panic(at: prop::sample::Index, byte: u8) {
            let mut bytes = encode(&mean_of(&[(1, 0.5), (2, 0.25)], 1));
            let place = at.index(bytes.len());
            bytes[place] = byte;
            if let Ok(mean) = decode::<BootstrapMean>("mean", &bytes) {
                let _ = (mean.estimate(), mean.merge(&mean_of(&[(3, 0.5)], 1)));
            }
        }
    }
}
