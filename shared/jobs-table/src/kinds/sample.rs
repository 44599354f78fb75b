//! Which segments stand for a table, and what they say about it.
//!
//! A table is cut into more segments than a whole count needs, and some of them, drawn at random without replacement, are
//! read from beginning to end. That is single-stage cluster sampling with clusters of unequal size (W. G. Cochran,
//! *Sampling Techniques*, 3rd edition, 1977, chapter 9A). Of `N` segments `n` are read and have `yᵢ` items; then
//!
//! * `Ŷ = N/n · Σ yᵢ` is an unbiased estimate of all items,
//! * `v(Ŷ) = N² (1 − n/N) s²/n` of its variance, where `s²` is the variance of the `yᵢ` with the divisor `n − 1`,
//! * and `Ŷ ± t · √v(Ŷ)` an interval, with the quantile `t` of Student's distribution with `n − 1` degrees of freedom.
//!
//! The interval holds as often as it says unless a few segments have most of the items, as where single partition keys
//! have very many. Cochran's rule (section 2.15) tells: `n > 25 G₁²`, where `G₁` is the skewness of the `yᵢ`. Where the
//! sample breaks it, the result says that the interval may be too narrow. It is cut off at what was seen: there cannot be
//! fewer items than were read.

use nextbasket_domain::digest;
use nextbasket_items::segment::segments;
use nextbasket_items::table::Table;
use nextbasket_job_engine::{JobId, Refusal};
use serde_json::{Value, json};

use crate::generated::Chance;
use crate::parameters::{MIN_SAMPLED, MOST_BATCHES, Sample, TableParameters};

/// How often the interval holds the true number.
pub(super) const CONFIDENCE: f64 = 0.95;
/// The 97.5 % quantile of the standard normal distribution.
const NORMAL: f64 = 1.959_963_984_540_054;
/// A table of fewer bytes is read as a whole: that is 1,024 read units.
const SMALL_TABLE: u64 = 8 << 20;
/// How many segments a part of a table is read in, unless the number of all is given.
const SAMPLED: f64 = 50.0;
/// How many times as many segments there are at least as are read, where their number is given.
const FINER: u32 = 10;
/// DynamoDB takes so many segments.
const MAX_SEGMENTS: u32 = 1_000_000;

/// The segments of a table that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentSample {
    pub(super) of: u32,
    /// Their numbers, in order.
    pub(super) chosen: Vec<u32>,
    seed: u64,
}

impl SegmentSample {
    /// How many segments are read, of how many; `None` if the table is read as a whole.
    ///
    /// # Errors
    /// [`Refusal`] if the sample does not fit the number of segments.
    pub(super) fn size(
        sample: Sample,
        parameters: &TableParameters,
        table: &Table,
    ) -> Result<Option<(u32, u32)>, Refusal> {
        let given = parameters.segments;
        // Of a table that was filled since DynamoDB last counted, nothing is known.
        if table.items > 0 && table.bytes < SMALL_TABLE && given.is_none() {
            return Ok(None);
        }
        let by_size = segments(None, table.bytes, u64::MAX);
        let (drawn, of) = match sample {
            Sample::Percent(percent) => {
                let fine = clamped(SAMPLED * 100.0 / percent, MAX_SEGMENTS);
                let of = given.unwrap_or_else(|| by_size.max(fine));
                (clamped(f64::from(of) * percent / 100.0, MAX_SEGMENTS), of)
            }
            Sample::Segments(drawn) => {
                let fine = drawn.saturating_mul(FINER).min(MAX_SEGMENTS);
                (drawn, given.unwrap_or_else(|| by_size.max(fine)))
            }
        };
        if drawn < MIN_SAMPLED || drawn >= of || drawn > MOST_BATCHES {
            let problem = format!(
                "{sample} of {of} segments are {drawn}: between {MIN_SAMPLED} and {MOST_BATCHES} must be read, and fewer \
                 than all. Give another sample or more segments"
            );
            return Err(Refusal::parameter("sample", problem));
        }
        Ok(Some((drawn, of)))
    }

    /// Draws the segments: always the same ones for the same seed, or for the same job if none is given, so that a job
    /// may be planned more than once. `None` if the table is read as a whole.
    ///
    /// # Errors
    /// As of [`size`](Self::size).
    pub(super) fn draw(
        sample: Sample,
        parameters: &TableParameters,
        table: &Table,
        job: &JobId,
    ) -> Result<Option<Self>, Refusal> {
        let Some((drawn, of)) = Self::size(sample, parameters, table)? else { return Ok(None) };
        let seed = if parameters.seed == 0 { seed_of(job) } else { parameters.seed };
        Ok(Some(Self { of, chosen: chosen(seed, drawn, of), seed }))
    }

    /// As the plan says it.
    pub(super) fn in_plan(&self) -> Value {
        json!({ "by": "sample", "segments": self.of, "sampled": self.chosen.len(), "seed": self.seed })
    }
}

/// Of how many segments a stage has drawn its own, and with which seed, if it has.
pub(super) fn drawn_from(split: &Value) -> Option<(u32, u64)> {
    let of = u32::try_from(split.get("segments")?.as_u64()?).ok()?;
    (split.get("by")? == "sample").then_some((of, split.get("seed")?.as_u64()?))
}

/// Rounded up, from 1 to `max`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within the bounds")]
fn clamped(number: f64, max: u32) -> u32 {
    // What is meant to be whole may be a little more.
    (number - 1e-9).ceil().clamp(1.0, f64::from(max)) as u32
}

/// Six bytes: JSON's readers keep numbers of up to 53 bits.
fn seed_of(job: &JobId) -> u64 {
    u64::from_str_radix(&digest(job.as_str(), 6), 16).unwrap_or(1)
}

/// So many different numbers below `of`, in order (Floyd's algorithm).
fn chosen(seed: u64, drawn: u32, of: u32) -> Vec<u32> {
    let mut chance = Chance::of(seed, u64::from(of));
    let mut chosen = std::collections::BTreeSet::new();
    for last in of.saturating_sub(drawn)..of {
        let one = u32::try_from(chance.below(u64::from(last) + 1)).unwrap_or(last);
        if !chosen.insert(one) {
            chosen.insert(last);
        }
    }
    chosen.into_iter().collect()
}

/// How many items each segment of a sample has.
#[derive(Debug, Clone)]
pub(super) struct SampledCounts {
    /// Sorted.
    counts: Vec<u64>,
    of: u32,
}

impl SampledCounts {
    pub(super) fn new(mut counts: Vec<u64>, of: u32) -> Self {
        counts.sort_unstable();
        Self { counts, of }
    }

    fn sum(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn mean(&self) -> f64 {
        self.sum() as f64 / self.counts.len().max(1) as f64
    }

    fn variance(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.counts.iter().map(|count| (*count as f64 - mean).powi(2)).sum();
        squares / self.counts.len().saturating_sub(1).max(1) as f64
    }

    /// Whether enough segments were read for how skewed they are: Cochran's rule.
    fn is_reliable(&self) -> bool {
        let (count, mean) = (self.counts.len().max(1) as f64, self.mean());
        let moment =
            |power| self.counts.iter().map(|one| (*one as f64 - mean).powi(power)).sum::<f64>() / count;
        let (second, third) = (moment(2), moment(3));
        // Without the division, for segments that are all alike.
        count * second.powi(3) >= 25.0 * third.powi(2)
    }

    /// The estimate for all segments, and the ends of its interval.
    fn interval(&self) -> [f64; 3] {
        let (drawn, of) = (self.counts.len().max(1) as f64, f64::from(self.of));
        let estimate = of * self.mean();
        let error = of * ((1.0 - drawn / of).max(0.0) * self.variance() / drawn).sqrt();
        let within = student(drawn - 1.0) * error;
        let seen = self.sum() as f64;
        [estimate, (estimate - within).max(seen), (estimate + within).max(seen)]
    }

    pub(super) fn estimate(&self) -> Value {
        let [estimate, low, high] = self.interval();
        json!({
            "estimate": whole(estimate.round()),
            "low": whole(low.floor()),
            "high": whole(high.ceil()),
            "reliable": self.is_reliable(),
        })
    }

    /// How unlike the segments are.
    pub(super) fn skew(&self) -> Value {
        let at = |n: usize| self.counts.get(n).copied().unwrap_or(0);
        let half = self.counts.len() / 2;
        let median = if self.counts.len().is_multiple_of(2) {
            (at(half.saturating_sub(1)) + at(half)) as f64 / 2.0
        } else {
            at(half) as f64
        };
        let mean = self.mean();
        let variation = if mean > 0.0 { self.variance().sqrt() / mean } else { 0.0 };
        json!({
            "min": at(0),
            "median": median,
            "max": self.counts.last().copied().unwrap_or(0),
            "variation": (variation * 1000.0).round() / 1000.0,
        })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; as saturates")]
fn whole(count: f64) -> u64 {
    count as u64
}

/// The 97.5 % quantile of Student's distribution (M. Abramowitz, I. A. Stegun, *Handbook of Mathematical Functions*,
/// 1964, 26.7.5): off by less than 0.001 from 9 degrees of freedom on.
fn student(freedom: f64) -> f64 {
    let x = NORMAL;
    let terms = [
        (x.powi(3) + x) / 4.0,
        (5.0 * x.powi(5) + 16.0 * x.powi(3) + 3.0 * x) / 96.0,
        (3.0 * x.powi(7) + 19.0 * x.powi(5) + 17.0 * x.powi(3) - 15.0 * x) / 384.0,
    ];
    let freedom = freedom.max(1.0);
    (1..).zip(terms).fold(x, |sum, (power, term)| sum + term / freedom.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items of partition keys that are spread over segments by chance: the sizes of the keys' collections fall as a
    /// power of their rank, so that few keys have many items.
    fn skewed(seed: u64, keys: u64, largest: f64, power: f64, of: u32) -> Vec<u64> {
        let mut segments = vec![0; usize::try_from(of).unwrap()];
        let mut chance = Chance::of(seed, 0);
        for key in 1..=keys {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small")]
            let items = (largest / (key as f64).powf(power)).ceil() as u64;
            segments[usize::try_from(chance.below(u64::from(of))).unwrap()] += items;
        }
        segments
    }

    /// How often in a thousand the interval of a sample holds the number of all.
    fn covered(drawn: u32, table: impl Fn(u64) -> Vec<u64>) -> u64 {
        let holds = |seed: u64| {
            let all = table(seed);
            let of = u32::try_from(all.len()).unwrap();
            let counts = chosen(seed, drawn, of).into_iter().map(|n| all[usize::try_from(n).unwrap()]);
            let [_, low, high] = SampledCounts::new(counts.collect(), of).interval();
            let truth = all.iter().sum::<u64>() as f64;
            u64::from(low <= truth && truth <= high)
        };
        (1..=1000).map(holds).sum()
    }

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says_on_skewed_tables() {
        let even = covered(50, |seed| skewed(seed, 20_000, 1.0, 0.0, 500));
        let skew = covered(50, |seed| skewed(seed, 20_000, 100.0, 0.5, 500));
        let more = covered(50, |seed| skewed(seed, 10_000, 300.0, 0.5, 500));
        for (name, covered) in [("even", even), ("skewed", skew), ("more skewed", more)] {
            assert!((925..=975).contains(&covered), "{name}: {covered} of 1000");
        }
    }

    #[test]
    fn a_sample_says_when_too_few_segments_have_most_of_the_items() {
        let reliable = |power: f64, largest: f64| {
            let sampled = |seed: u64| {
                let all = skewed(seed, 5_000, largest, power, 500);
                let counts = chosen(seed, 50, 500).into_iter().map(|n| all[usize::try_from(n).unwrap()]);
                u64::from(SampledCounts::new(counts.collect(), 500).is_reliable())
            };
            (1..=200).map(sampled).sum::<u64>()
        };
        let (even, hot) = (reliable(0.0, 1.0), reliable(1.0, 2_000.0));
        assert!(even > 150 && hot < 20, "{even} and {hot} of 200");
        assert!(SampledCounts::new(vec![7; 20], 200).is_reliable());
    }

    #[test]
    fn estimates_are_unbiased() {
        let (mut sum, mut truth) = (0.0, 0.0);
        for seed in 1..=500 {
            let all = skewed(seed, 5_000, 100.0, 0.5, 500);
            let counts = chosen(seed, 50, 500).into_iter().map(|n| all[usize::try_from(n).unwrap()]);
            sum += SampledCounts::new(counts.collect(), 500).interval()[0];
            truth += all.iter().sum::<u64>() as f64;
        }
        assert!((sum / truth - 1.0).abs() < 0.01, "{}", sum / truth);
    }

    #[test]
    fn segments_are_drawn_without_replacement_each_as_likely() {
        let mut often = vec![0_u32; 100];
        for seed in 1..=2_000 {
            let drawn = chosen(seed, 20, 100);
            assert_eq!(drawn.len(), 20);
            assert_eq!(drawn, chosen(seed, 20, 100), "the same seed draws the same");
            for n in drawn {
                often[usize::try_from(n).unwrap()] += 1;
            }
        }
        // 400 in the mean, with a standard deviation of 18.
        assert!(often.iter().all(|often| (320..=480).contains(often)), "{often:?}");
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, quantile) in [(9.0, 2.2622), (19.0, 2.0930), (49.0, 2.0096), (999.0, 1.9623)] {
            assert!((student(freedom) - quantile).abs() < 0.001, "{freedom}: {}", student(freedom));
        }
    }

    #[test]
    fn the_skew_is_said_of_the_segments() {
        let skew = SampledCounts::new(vec![9, 1, 5, 5], 40).skew();
        assert_eq!(skew, json!({ "min": 1, "median": 5.0, "max": 9, "variation": 0.653 }));
        let estimate = SampledCounts::new(vec![5; 20], 200).estimate();
        assert_eq!(estimate, json!({ "estimate": 1000, "low": 1000, "high": 1000, "reliable": true }));
    }
}
