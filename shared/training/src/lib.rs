//! Training over the tables: purchases in, the live model out.
//!
//! A training is a chain of stages. Each is a plain function of what the stages before it have left, on its share of
//! the users or of the products, so that the shares can be worked on anywhere and in any order:
//!
//! | stage | its share | leaves |
//! |---|---|---|
//! | [`survey`] | a segment of the purchases | its baskets, its products, how many there are |
//! | [`terms`] | – | what all parts agree on: the products, the present, who is judged |
//! | [`count`] | a segment | its sums, and its counts cut by block of products |
//! | [`rank`] | a block of products | their neighbours; and, once, what is known of all products |
//! | [`evaluate`] | a segment | how well its users' newest baskets were foretold |
//! | [`gate`] | – | whether the model may go live |
//! | [`publish`] | a block of products | rows in the model table, then the pointer |
//!
//! [`run`] is all of them in one process, [`job`] spreads them over batches. The others hold what they share: [`settings`], [`labels`] of products, the
//! [`live`] model that a new one is compared with, and [`error`].
//!
//! It guarantees
//! * the same model and the same report, to the bit, however the users and the products are split and in whatever
//!   order the parts are put together, and that the model is the one that [`nextbasket_recommender::train`] makes at
//!   once of the same purchases;
//! * that the model is judged by baskets that the judged one has not seen;
//! * that the live model stays whole until the new one is, whatever fails or is killed on the way, and that of two
//!   trainings at once at most the later one is published.
//!
//! It does not tune parameters. A stage that learns from the held-out baskets how much each part of the score is worth
//! would stand between `rank` and `evaluate`: it needs the same cohort, trial and rows as judging does.

pub mod count;
pub mod error;
pub mod evaluate;
mod frames;
pub mod gate;
pub mod job;
pub mod labels;
pub mod live;
pub mod publish;
pub mod rank;
mod run;
pub mod settings;
pub mod survey;
pub mod terms;

pub use error::{StageError, TrainingError};
pub use gate::{Compared, Metrics};
pub use job::Train;
pub use run::{Progress, Trained, run};
pub use settings::Settings;
