//! From counts to a model.

mod rank;
mod whole;

pub use rank::rank;
pub use whole::{Model, TrainError, train};
