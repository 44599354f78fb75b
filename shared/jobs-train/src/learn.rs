//! A ranker from the hidden baskets of all trials, and whether it goes live.

use std::num::NonZero;

use nextbasket_recommender::evaluate::{Estimate, Evaluation, ResampleWeights};
use nextbasket_recommender::ranker::{FEATURES, HiddenBaskets, Learned, Ranker, TimeChoice};
use serde::{Deserialize, Serialize};

use crate::error::StageError;
use crate::evaluate::{EvaluatedBasket, ListQuality, SEED};

/// What the ranker's trees are drawn from: the same in every training, so that equal purchases give equal rankers.
const TREES_SEED: u64 = 0;

/// Hidden baskets, in the order of their keys.
#[derive(Debug, Default)]
pub struct LearnInput {
    baskets: HiddenBaskets,
    since_live: Vec<bool>,
}

impl LearnInput {
    /// Makes room for so many baskets with so many candidates in all.
    pub fn reserve(&mut self, baskets: usize, candidates: usize) {
        self.baskets.reserve(baskets, candidates);
    }

    /// Adds the baskets of a trial, of all segments, in any order. Trials have to come in theirs.
    ///
    /// # Errors
    /// [`StageError::Examples`] if a basket is not of this version of the program.
    pub fn push_trial(&mut self, mut trial: Vec<EvaluatedBasket>) -> Result<(), StageError> {
        trial.sort_unstable_by(|a, b| a.hidden.key.cmp(&b.hidden.key));
        for basket in trial {
            self.since_live.push(basket.since_live);
            self.baskets.push(basket.hidden)?;
        }
        Ok(())
    }

    /// Learns a ranker, and compares it with the hand formula on baskets that it has not seen. The number of threads
    /// does not show in the result.
    ///
    /// # Errors
    /// [`StageError::Examples`] if a score is not finite.
    pub fn learn(&self, threads: NonZero<usize>) -> Result<LearnOutput, StageError> {
        let Some(learned) = self.baskets.learn(TREES_SEED, threads)? else {
            return Ok(LearnOutput { report: RankerReport::none(self.baskets.len()), kept: None });
        };
        let (mut model, mut quality, mut hand) =
            (Evaluation::new(), ListQuality::default(), ListQuality::default());
        let mut weights = ResampleWeights::new();
        for (at, (basket, &since_live)) in self.baskets.baskets().iter().zip(&self.since_live).enumerate() {
            if basket.key.position > 0 {
                continue;
            }
            weights.draw(SEED, basket.key.user);
            let list = basket.list(learned.unseen(at));
            model.add(&list, &basket.bought, |product| basket.bought_before.contains(&product));
            quality.add_list(&list, &basket.bought, since_live, &weights);
            hand.add_list(basket.hand_list(), &basket.bought, since_live, &weights);
        }
        let difference = quality.all.paired(&hand.all, |ranker, hand| ranker - hand);
        let report = RankerReport::of(&learned, self.baskets.len(), &quality, &hand, difference);
        let kept = report.used.then_some(KeptRanker { ranker: learned.ranker, model, quality });
        Ok(LearnOutput { report, kept })
    }
}

/// Of stage `learn`.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnOutput {
    pub report: RankerReport,
    /// None if the hand formula stays.
    pub kept: Option<KeptRanker>,
}

/// A ranker that is better than the hand formula, and its evaluation by rankers that have not seen the baskets.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptRanker {
    pub ranker: Ranker,
    pub model: Evaluation,
    pub quality: ListQuality,
}

/// What a training says of its ranker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RankerReport {
    /// Whether answers are in its order. If not, the hand formula stays.
    pub used: bool,
    /// Why, in a sentence.
    pub reason: String,
    /// The number of hidden baskets that it was learned from.
    pub baskets: usize,
    pub trees: usize,
    /// How time enters it, and why; none without a ranker.
    pub time: Option<TimeChoice>,
    /// nDCG@10 of users' newest baskets, by rankers that have not seen them.
    pub ndcg: Option<f64>,
    /// The hand formula's on the same baskets.
    pub hand_ndcg: Option<f64>,
    /// The difference of the two.
    pub difference: Option<Estimate>,
    /// What it has learned.
    pub features: Vec<FeatureReport>,
}

/// What a ranker makes of a feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeatureReport {
    pub name: String,
    /// By how much the linear score grows with the feature.
    pub weight: f64,
    /// The share of what the trees gain that their questions about the feature do.
    pub gain: f64,
}

impl RankerReport {
    fn none(baskets: usize) -> Self {
        Self {
            used: false,
            reason: format!(
                "The hand formula is used: {baskets} baskets of repeat customers are too few to learn from."
            ),
            baskets,
            trees: 0,
            time: None,
            ndcg: None,
            hand_ndcg: None,
            difference: None,
            features: Vec::new(),
        }
    }

    fn of(
        learned: &Learned,
        baskets: usize,
        quality: &ListQuality,
        hand: &ListQuality,
        difference: Option<Estimate>,
    ) -> Self {
        let mean = |quality: &ListQuality| quality.all.estimate().map(|estimate| estimate.mean);
        let used = difference.is_some_and(|difference| difference.mean > 0.0);
        let (ndcg, hand_ndcg) = (mean(quality), mean(hand));
        let figures = format!(
            "nDCG@10 {:.4} against {:.4} on {} baskets that it had not seen",
            ndcg.unwrap_or_default(),
            hand_ndcg.unwrap_or_default(),
            quality.all.users()
        );
        let reason = if used {
            format!("The ranker is used: it is better than the hand formula, {figures}.")
        } else {
            format!("The hand formula is used: the ranker is no better, {figures}.")
        };
        let all: f64 = learned.gains.iter().sum();
        let gain = |at: usize| {
            let gain = learned.gains.get(at).copied().unwrap_or_default();
            if all > 0.0 { gain / all } else { 0.0 }
        };
        let unused = learned.time.features.unused();
        let weights = FEATURES.iter().zip(learned.ranker.weights()).enumerate();
        let features = weights
            .filter(|(at, _)| !unused.contains(at))
            .map(|(at, (name, &weight))| FeatureReport { name: (*name).to_owned(), weight, gain: gain(at) });
        let linear =
            FeatureReport { name: "linearScore".to_owned(), weight: 0.0, gain: gain(FEATURES.len()) };
        Self {
            used,
            reason,
            baskets,
            trees: learned.ranker.trees(),
            time: Some(learned.time),
            ndcg,
            hand_ndcg,
            difference,
            features: features.chain([linear]).collect(),
        }
    }
}
