//! Baskets in, model and scores out. Pure: no AWS, no async, no clock, no input or output.
//!
//! | module | what it is for |
//! |---|---|
//! | [`Params`] | the knobs, their defaults and ranges |
//! | [`DatasetBuilder`], [`Dataset`] | purchases in any order → users, baskets by time, numbered products |
//! | [`Counting`], [`Totals`], [`PairCounts`] | what a block of users adds to the model; merges in any order |
//! | [`rank()`], [`Priors::new`] | merged counts → neighbours per product, and what is known of every product |
//! | [`train()`] | all of that in one process, without ever holding the pairs |
//! | [`NeighbourRow`], [`ProductRows`], [`Priors`] | the model, and its bytes |
//! | [`History`], [`Scorer`] | an answer, with its parts and reasons |
//! | [`window_weights`], [`in_windows`] | popularity alone, counted without a training |
//! | [`evaluate`] | how good lists are, beside plain counts |
//! | [`CartTrials`] | learning, from hidden products of baskets, how much a cart weighs |
//! | [`ranker`] | learning, from hidden baskets, how much each signal of a candidate is worth |
//!
//! **Guarantees.** Equal purchases give equal bytes, whatever order they came in, however the users were split and
//! in whatever order the parts were merged: sums are integers. (Weights come from the platform's `exp2`, so this holds
//! for one build on one kind of machine.) Bytes that are cut, changed or of another format are a [`DecodeError`],
//! never a panic. Time is the data's: ages count back from the newest purchase, not from the day of training.
//!
//! **Not for** explicit ratings, content or text, sessions without purchases, and factor models.

#![warn(missing_docs)]

pub use bytes::DecodeError;
pub use cart_weight::{CART_WEIGHTS, CartTrials};
pub use catalogue::{Catalogue, ProductIx};
pub use counts::{Counting, MergeError, PairCounts, ProductTotals, Totals};
pub use dataset::{Dataset, DatasetBuilder, DatasetError, HeldOut};
pub use params::{Params, ParamsError};
pub use popularity::{in_windows, window_weights};
pub use priors::{PieceTooSmall, Priors, Window};
pub use row::{Neighbour, NeighbourRow, ProductRows};
pub use score::{
    ANCHORS, Anchor, Bought, CANDIDATES, CART_ROWS, History, HistoryBasket, MOST_REASONS, NeighbourReason,
    Recommendation, ScoreParts, ScoreRequest, Scorer, ScratchBuffers, cart_rows,
};
pub use train::{NeighbourModels, RankError, TrainError, TrainedModel, rank, train};

mod bytes;
mod cart_weight;
mod catalogue;
mod counts;
mod dataset;
pub mod evaluate;
mod fixed_point;
mod fnv;
mod id_codec;
pub mod intermediate;
mod params;
mod popularity;
mod priors;
pub mod ranker;
mod row;
mod score;
mod string_table;
mod train;
