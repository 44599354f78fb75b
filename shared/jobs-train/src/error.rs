//! What can go wrong in a training.

use nextbasket_recommender::ranker::examples::ExamplesError;
use nextbasket_recommender::{DatasetError, DecodeError, MergeError, ParamsError, PieceTooSmall, RankError};

/// Why a stage cannot work on its input.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// More purchases than a part of a training holds, or purchases of another training.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A parameter is out of its range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// Bytes that no stage wrote.
    #[error(transparent)]
    Bytes(#[from] DecodeError),
    /// Counts that do not belong together or do not fit their integers.
    #[error(transparent)]
    Merge(#[from] MergeError),
    #[error(transparent)]
    Rank(#[from] RankError),
    /// A product's id and categories do not fit in an item.
    #[error("the priors do not fit into the model table: {0}")]
    Priors(#[from] PieceTooSmall),
    /// Baskets to learn from that are not of this version of the program.
    #[error(transparent)]
    Examples(#[from] ExamplesError),
    /// Outputs of another training.
    #[error("an earlier stage's output is of another training: submit the job again")]
    OtherTraining,
    /// JSON that no stage wrote.
    #[error("cannot read an earlier stage's output: {0}. Submit the job again.")]
    Json(#[from] serde_json::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are no purchases to train on")]
pub struct NoPurchases;
