//! Jobs: work that is split into batches, claimed, done, resumed and gathered.
//!
//! For: everything that is too much for one call, from training a model to changing a million items. A job is a
//! [`Kind`](kind::Kind), parameters and stages; a stage is a list of batches. [`Engine::plan`] writes the next stage
//! or ends the job, [`Engine::work`](engine::Engine::work) does one batch. On AWS a state machine calls the two as
//! functions; on one machine a [`pool`] of workers calls the same two.
//!
//! Guarantees: a batch's result is written once, by the holder of its claim; a killed job resumes from its
//! checkpoints and repeats at most one page per worker; a batch that is claimed again and again without progress, for
//! example because it kills its worker, fails and is named; changes that must not happen twice go through
//! [`Work::save_with`](work::Work::save_with), one transaction with the checkpoint; processes may join and leave.
//!
//! Does not: schedule (a job starts when it is submitted), or keep an order between batches of a stage beyond the
//! order in which they go out.
//!
//! | module | holds |
//! |---|---|
//! | [`job`] | what a job is: id, state, stages, progress |
//! | [`stage`] | a stage's plan: split, order, width, batches |
//! | [`kind`] | what a kind of job has to say |
//! | [`engine`] | submit, plan, work, cancel, show |
//! | [`work`] | what a batch in progress can do: checkpoints, refusals, results |
//! | [`session`] | one process's part in a running job: its lock, its share of the rates, whether to stop |
//! | [`pool`] | workers on one machine |
//! | [`store`] | jobs and batches in the operations table |
//! | [`objects`] | plans, results and refusals in S3 |
//! | [`trust`] | which jobs may do more than work on tables, objects and functions |
//! | [`limit`] | rates in capacity units, measured |
//! | [`error`] | what ends a batch, and what ends a job |

pub mod engine;
pub mod error;
pub mod job;
pub mod kind;
pub mod limit;
pub mod objects;
mod pause;
pub mod pool;
pub mod session;
pub mod stage;
pub mod store;
pub mod trust;
pub mod work;

pub use engine::Engine;
pub use error::{JobError, Refusal, WorkError};
pub use job::{Job, JobId, JobState, Progress};
pub use kind::{Estimate, Kind, Kinds, Next, Outcome, Planning};
pub use objects::Objects;
pub use stage::{Aggregate, Assign, BatchPlan, Rates, StagePlan};
pub use trust::{Trust, Vouching};
pub use work::Work;

use aws_sdk_dynamodb::Client;
use nextbasket_domain::{Clock, Random};
use nextbasket_locks::Leases;

/// Where jobs run: the clients, the table and the bucket that they share.
#[derive(Debug, Clone)]
pub struct Site {
    /// DynamoDB, with the operations table and the tables that are worked on.
    pub dynamodb: Client,
    /// The operations table's name.
    pub operations: String,
    /// The bucket of plans, results and refusals.
    pub objects: Objects,
    /// The time.
    pub clock: Clock,
    /// Random bits: ids, jitter.
    pub random: Random,
}

impl Site {
    /// Leases in the operations table.
    #[must_use]
    pub fn leases(&self) -> Leases {
        Leases::new(self.dynamodb.clone(), self.operations.clone(), self.clock.clone(), self.random.clone())
    }
}
