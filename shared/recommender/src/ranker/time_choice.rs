//! Whether the time of the request says more than it misleads.
#![allow(clippy::indexing_slicing, reason = "there is a time and a user for every group")]

use super::Ranker;
use super::conditional_logit::fit;
use super::examples::{Group, View};
use super::features::FEATURES;
use super::forest::Forest;
use super::learn::{HiddenBaskets, unseen_linear};
use super::quality::{Quality, qualities};
use super::time_features::{ElapsedOfUser, TimeFeatures, ask_at};
use crate::counts::DAY_MS;
use serde::{Deserialize, Serialize};
use std::num::NonZero;

/// The share of the hidden baskets, the earliest ones, that both ways are learned from; they are tried on the others.
const EARLY: f64 = 0.6;
/// The number of hidden baskets, early and late ones, without which time stands.
const LEAST_BASKETS: usize = 100;
/// Hidden baskets that are closer together than this say nothing of how time passes.
const LEAST_SPAN_DAYS: f64 = 21.0;
/// How many days after the basket was bought the same is asked for again.
const DELAYS: [f64; 3] = [1.0, 7.0, 30.0];
/// The share of the best recall that must remain after each delay.
const KEPT_RECALL: f64 = 0.97;

/// How time enters a ranker, and why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeChoice {
    /// How.
    pub features: TimeFeatures,
    /// How good both ways are on later baskets; none if the baskets are too few, or too close together, to tell.
    pub tried: Option<TriedTime>,
}

/// Two ways of taking time, learned from earlier baskets, on later ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriedTime {
    /// Of the later baskets.
    pub baskets: usize,
    /// Where time stands at the newest purchase of the model.
    pub standing: Quality,
    /// Where it is that of the request, asked at the time of the basket.
    pub elapsed: Quality,
    /// The same, asked a day, a week and a month later.
    pub delayed: [Quality; DELAYS.len()],
    /// By how much elapsed time is better over all hidden baskets, each judged by weights of the other folds: the mean
    /// difference of the means of recall and nDCG.
    pub gain: f64,
}

impl TriedTime {
    /// Elapsed time is taken if it is better both on later baskets, when they are bought, and over all baskets, and nearly
    /// as good whenever it is asked for. Where dates are made up, or all baskets lie on one day, its features learn
    /// artefacts, and that shows later.
    fn choose(&self) -> TimeFeatures {
        let most = self.elapsed.recall.max(self.standing.recall);
        let kept = self.delayed.iter().all(|delayed| delayed.recall >= KEPT_RECALL * most);
        let better = self.elapsed.mean() > self.standing.mean() && self.gain > 0.0;
        if kept && better { TimeFeatures::Elapsed } else { TimeFeatures::Standing }
    }
}

/// Learns both ways from the earlier baskets, by weights alone, and tries them on the later ones. If both were tried, the
/// scores of all candidates by the chosen way's weights of other folds come along.
pub(super) fn choose(baskets: &HiddenBaskets, threads: NonZero<usize>) -> (TimeChoice, Option<Vec<f64>>) {
    let Some((tried, standing, elapsed)) = try_both(baskets, threads) else {
        return (TimeChoice { features: TimeFeatures::Standing, tried: None }, None);
    };
    let features = tried.choose();
    let scores = match features {
        TimeFeatures::Standing => standing,
        TimeFeatures::Elapsed => elapsed,
    };
    (TimeChoice { features, tried: Some(tried) }, Some(scores))
}

/// Beside the figures the scores of all candidates, standing and elapsed.
fn try_both(baskets: &HiddenBaskets, threads: NonZero<usize>) -> Option<(TriedTime, Vec<f64>, Vec<f64>)> {
    let mut sorted: Vec<i64> = baskets.baskets().iter().map(|basket| basket.time_ms).collect();
    sorted.sort_unstable();
    let (first, last) = (sorted.first()?, sorted.last()?);
    let border = *sorted.get(early(sorted.len()))?;
    let before = sorted.partition_point(|&time| time < border);
    let span_days = last.saturating_sub(*first) as f64 / DAY_MS;
    if before.min(sorted.len() - before) < LEAST_BASKETS || span_days < LEAST_SPAN_DAYS {
        return None;
    }
    let examples = &baskets.examples;
    let groups = examples.groups();
    let index = |group: &Group| groups.partition_point(|other| other.rows().start < group.rows().start);
    let is_early = |group: &Group| baskets.baskets()[index(group)].time_ms < border;
    let late = examples.view(|group| !is_early(group));
    let users: Vec<ElapsedOfUser> =
        late.groups().iter().map(|group| baskets.baskets()[index(group)].elapsed).collect();
    let learned = |time: TimeFeatures| {
        let weights = fit(&examples.view(is_early).without(&time.unused()), threads);
        Ranker::new(time, weights, Forest::new(FEATURES.len()))
    };
    let elapsed = learned(TimeFeatures::Elapsed);
    let [with, without] = [TimeFeatures::Elapsed, TimeFeatures::Standing]
        .map(|time| unseen_linear(examples, &time.unused(), threads));
    let over_all = |scores: &[f64]| mean(&qualities(&examples.all(), scores)).mean();
    let tried = TriedTime {
        baskets: users.len(),
        standing: mean(&asked(&learned(TimeFeatures::Standing), &late, &users, 0.0)),
        elapsed: mean(&asked(&elapsed, &late, &users, 0.0)),
        delayed: DELAYS.map(|days| mean(&asked(&elapsed, &late, &users, days))),
        gain: over_all(&with) - over_all(&without),
    };
    Some((tried, without, with))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
fn early(baskets: usize) -> usize {
    (baskets as f64 * EARLY) as usize
}

/// What a ranker makes of baskets, asked so many days after each was bought.
fn asked(ranker: &Ranker, late: &View<'_>, users: &[ElapsedOfUser], delay_days: f64) -> Vec<Quality> {
    let mut features = Vec::new();
    let all = late.groups().iter().zip(users).map(|(group, user)| {
        features.clear();
        features.extend_from_slice(late.examples().values(group.rows()));
        let user = ElapsedOfUser { ahead: user.ahead + delay_days, ..*user };
        features.chunks_exact_mut(FEATURES.len()).for_each(|row| ask_at(row, user));
        Quality::of(&ranker.scores(&features), late.examples().labels(group.rows()), group.products())
    });
    all.collect()
}

fn mean(all: &[Quality]) -> Quality {
    let mean = |of: fn(&Quality) -> f64| all.iter().map(of).sum::<f64>() / all.len().max(1) as f64;
    Quality { recall: mean(|quality| quality.recall), ndcg: mean(|quality| quality.ndcg) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(mean: f64) -> Quality {
        Quality { recall: mean, ndcg: mean }
    }

    #[test]
    fn elapsed_time_is_taken_if_it_is_better_and_stays_good_a_month_later() {
        let tried = TriedTime {
            baskets: 200,
            standing: quality(0.5),
            elapsed: quality(0.52),
            delayed: [quality(0.52), quality(0.515), quality(0.51)],
            gain: 0.01,
        };
        assert_eq!(tried.choose(), TimeFeatures::Elapsed);
        let others = [
            TriedTime { gain: 0.0, ..tried },
            TriedTime { standing: quality(0.521), ..tried },
            TriedTime { delayed: [quality(0.52), quality(0.52), quality(0.504)], ..tried },
            TriedTime { delayed: [quality(0.504), quality(0.52), quality(0.52)], ..tried },
        ];
        for other in others {
            assert_eq!(other.choose(), TimeFeatures::Standing, "{other:?}");
        }
    }
}
