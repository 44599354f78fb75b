//! From counts to a model.

mod in_process;
mod rank;

pub(crate) use in_process::train_at;
pub use in_process::{TrainError, TrainedModel, train};
pub use rank::{NeighbourModels, RankError, rank};
