//! From counts to a model.

mod rank;
mod whole;

pub use rank::{Models, RankError, rank};
pub use whole::{Model, TrainError, train};
