//! Learning to rank the candidates of a user from baskets of the same shop that were hidden from the model.
//!
//! | module or type | what it is for |
//! |---|---|
//! | [`NewestBaskets`], [`Folds`] | which baskets are hidden, and from which count |
//! | [`FEATURES`], [`TimeFeatures`] | what the ranker looks at, of a user and a candidate |
//! | [`HiddenBasket`], [`hidden_baskets`] | a hidden basket, the candidates that a model without it has, and their features |
//! | [`HiddenBaskets`], [`Learned`] | from hidden baskets to a ranker, and its scores of baskets that it has not seen |
//! | [`TimeChoice`], [`TriedTime`] | whether features count time up to the request, and why |
//! | [`Ranker`] | what was learned: its scores, and its bytes |
//! | [`examples`] | hidden baskets as numbers: features, and which candidates were bought |
//! | [`conditional_logit`] | the linear stage: a weight per feature, shrunk to the hand formula |
//! | [`binned`], [`boosting`], [`trees`] | the tree stage: boosted trees, on LambdaRank's gradients, started from the linear score |
//! | [`forest`] | the trees as they are stored and served |
//! | [`quality`] | how good an order of the candidates is, per user |
//!
//! The modules below [`examples`] are numbers alone: no products, no histories, no clock. Equal examples and seeds give
//! equal bits, whatever the number of threads; exponentials and logarithms are the platform's, so this holds for one build
//! on one kind of machine.
//!
//! The stages, learned from some users and judged on others ([`HiddenBaskets::learn`] does that for all folds):
//!
//! ```
//! use nextbasket_recommender::ranker::{binned::BinnedExamples, boosting::BoostSettings, conditional_logit};
//! use nextbasket_recommender::ranker::{examples::Examples, quality::mean_quality};
//! # use std::num::NonZero;
//! # let threads = NonZero::<usize>::MIN;
//! let mut examples = Examples::new(2);
//! for user in 0..40u8 {
//!     // Two candidates with two features each; the hidden basket held three products, one of them a candidate.
//!     let wanted = f32::from(user % 7);
//!     examples.push(&[-1.0, 0.0, -2.0, wanted], &[wanted == 0.0, wanted > 0.0], 3, user % 4)?;
//! }
//! let learned = examples.view(|group| group.fold() != 0);
//! let unseen = examples.view(|group| group.fold() == 0);
//!
//! let weights = conditional_logit::fit(&learned, threads);
//! let mut scores = vec![0.0; examples.rows()];
//! weights.write_scores(&examples.all(), &mut scores);
//!
//! let binned = BinnedExamples::new(&examples, scores.clone(), threads)?;
//! let forest = binned.boost(&learned, &BoostSettings::default(), threads).forest;
//! for group in unseen.groups() {
//!     let rows = group.rows();
//!     forest.add_to(&mut scores[rows.clone()], 0..40, examples.values(rows.clone()), &binned.start()[rows]);
//! }
//! assert!(mean_quality(&unseen, &scores) > 0.3);
//! # Ok::<(), nextbasket_recommender::ranker::examples::ExamplesError>(())
//! ```

pub mod binned;
pub mod boosting;
pub mod conditional_logit;
pub mod examples;
mod features;
mod folds;
pub mod forest;
mod hidden_basket;
mod in_process;
mod lambda_rank;
mod learn;
mod parallel;
pub mod quality;
mod random;
mod time_choice;
mod time_features;
pub mod trees;

pub use features::FEATURES;
pub(crate) use features::{Evidence, Observations, Places};
pub use folds::{FOLDS, Folds, NewestBaskets};
pub use hidden_basket::{HiddenBasket, HiddenBasketKey};
pub use in_process::{hidden_baskets, hidden_baskets_and_carts};
pub use learn::{HiddenBaskets, Learned};
pub use time_choice::{TimeChoice, TriedTime};
pub use time_features::TimeFeatures;

use crate::bytes::{ByteReader, DecodeError, put_varint};
use conditional_logit::LinearWeights;
use forest::Forest;

const VERSION: u8 = 1;

/// What a shop's hidden baskets have taught: a weight per feature, and trees that improve on their sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranker {
    time: TimeFeatures,
    weights: LinearWeights,
    forest: Forest,
}

impl Ranker {
    /// Of stages that were learned together.
    pub fn new(time: TimeFeatures, weights: LinearWeights, forest: Forest) -> Self {
        Self { time, weights, forest }
    }

    /// The weight of each of [`FEATURES`].
    pub fn weights(&self) -> &[f64] {
        self.weights.as_slice()
    }

    /// The number of trees.
    pub fn trees(&self) -> usize {
        self.forest.trees()
    }

    /// How many questions of the trees are about each of [`FEATURES`] and, last, the linear score.
    pub fn splits(&self) -> Vec<usize> {
        self.forest.splits()
    }

    /// How time enters the features.
    pub fn time(&self) -> TimeFeatures {
        self.time
    }

    /// The score of each candidate; only their differences mean something. `features` has the [`FEATURES`] of one
    /// candidate after the other.
    pub fn scores(&self, features: &[f32]) -> Vec<f64> {
        let start: Vec<f64> =
            features.chunks_exact(FEATURES.len()).map(|row| self.weights.score(row)).collect();
        let mut scores = start.clone();
        self.forest.add_to(&mut scores, 0..self.forest.trees(), features, &start);
        scores
    }

    /// Packs the ranker: some 20 KB with 120 trees.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, u8::from(self.time == TimeFeatures::Elapsed)];
        put_varint(&mut out, self.weights.as_slice().len() as u64);
        self.weights
            .as_slice()
            .iter()
            .for_each(|weight| out.extend_from_slice(&weight.to_bits().to_le_bytes()));
        out.extend(self.forest.encode());
        out
    }

    /// Reads what [`Ranker::encode`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not a ranker of this program's features.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes, "ranker");
        reader.version(VERSION)?;
        let time = match reader.byte()? {
            0 => TimeFeatures::Standing,
            1 => TimeFeatures::Elapsed,
            _ => return Err(DecodeError::Invalid("time of a ranker")),
        };
        let length = reader.length(8)?;
        let weights = (0..length).map(|_| reader.u64().map(f64::from_bits)).collect::<Result<Vec<_>, _>>()?;
        let forest = Forest::decode(reader.take(reader.remaining())?)?;
        let fits = weights.len() == FEATURES.len() && forest.columns() == FEATURES.len();
        // Of larger weights, or NaN, sums of features would not be finite.
        if !fits || !weights.iter().all(|weight| weight.abs() <= f64::from(f32::MAX)) {
            return Err(DecodeError::Invalid("features of a ranker"));
        }
        Ok(Self { time, weights: LinearWeights::new(weights), forest })
    }
}

/// The share that each candidate has of the next purchase, by its score.
pub(crate) fn softmax(scores: &[f64]) -> Vec<f64> {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut shares: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
    let all: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= all);
    shares
}
