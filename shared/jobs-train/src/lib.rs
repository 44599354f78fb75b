//! The job `train`: purchases in, the live model out.
//!
//! A training is a chain of ten stages, which [`job`] spreads over batches. What a batch computes is a plain function
//! of what earlier stages have left, on its share of the users or of the products, so the shares can be worked on
//! anywhere and in any order:
//!
//! | module | share | result |
//! |---|---|---|
//! | [`training_data`] | a segment of the purchases | its baskets, its products, how many there are |
//! | [`context`] | – | what all parts agree on: parameters, the present, who is evaluated |
//! | [`count`] | a segment | its totals, and its counts of pairs cut by block of products |
//! | [`rank`] | a block of products | their neighbours; and, once, the priors of all products |
//! | [`evaluate`] | a segment | how well its users' newest baskets were predicted |
//! | [`learn`] | – | a ranker that orders the candidates, and whether it is better than the hand formula |
//! | [`gate`] | – | whether the model may go live |
//! | [`publish`] | a block of products | rows in the model table, then the pointer |
//!
//! Shared by them: the job's [`parameters`], [`product_details`], the [`current_model`] that a new one is compared with,
//! and [`error`].
//!
//! Guarantees:
//! * The model and the report are the same to the bit, however users and products are split and in whatever order the
//!   parts are merged, and the model is the one that [`nextbasket_recommender::train`] makes of the same purchases at
//!   once.
//! * A model is evaluated on baskets that it has not seen.
//! * The live model stays whole until the new one is, whatever fails or is killed on the way. Of two trainings at once
//!   at most the later one is published.
//!
//! It does not tune the hand formula's parameters: what each part of the score is worth is what the ranker learns.

pub mod context;
pub mod count;
pub mod current_model;
pub mod error;
pub mod evaluate;
pub mod gate;
pub mod job;
pub mod learn;
pub mod parameters;
pub mod product_details;
pub mod publish;
pub mod rank;
pub mod training_data;

pub use error::{NoPurchases, StageError};
pub use gate::{Comparison, ModelMetrics};
pub use job::Train;
pub use parameters::TrainParameters;
