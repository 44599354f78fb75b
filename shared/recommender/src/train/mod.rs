//! From counts to a model.

mod in_process;
mod rank;

pub use in_process::{Model, TrainError, train};
pub use rank::{NeighbourModels, RankError, rank};
