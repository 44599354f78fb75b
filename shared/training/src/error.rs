//! What can go wrong in a training.

use nextbasket_recommender::{DatasetError, DecodeError, MergeError, ParamsError, PieceTooSmall, RankError};
use nextbasket_tables::damaged::TooManyDamaged;
use nextbasket_tables::{ConfigError, TableError};

use crate::gate::Compared;

/// Why a stage cannot do its work on the bytes it was given.
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
    /// A product's id and categories do not fit in an item.
    #[error("the priors do not fit in the model table: {0}")]
    Priors(#[from] PieceTooSmall),
    /// JSON that no stage wrote.
    #[error("what a stage before has left cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<RankError> for StageError {
    fn from(error: RankError) -> Self {
        match error {
            RankError::Bytes(error) => Self::Bytes(error),
            RankError::Merge(error) => Self::Merge(error),
        }
    }
}

/// Why there is no new model.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The purchases table is empty.
    #[error("there are no purchases to train on")]
    NoPurchases,
    /// A table has no name.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// More items are damaged than a training tolerates.
    #[error(transparent)]
    Damaged(#[from] TooManyDamaged),
    /// A stage's own work.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The new model is worse than the live one by more than the gate; the live one stays.
    #[error("{0}")]
    Worse(Compared),
    /// The counting crashed.
    #[error("the counting crashed: {0}")]
    Crashed(String),
}
