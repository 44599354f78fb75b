#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod calls;
pub mod engine;
pub mod error;
pub mod job;
pub mod journal;
pub mod kind;
pub mod limit;
mod merge;
mod pause;
pub mod pool;
pub mod redaction;
pub mod session;
pub mod stage;
pub mod store;
pub mod trust;
pub mod work;

pub use engine::Engine;
pub use error::{JobError, Refusal, WorkError};
pub use job::{Job, JobId, JobKey, JobState, Progress};
pub use journal::Journal;
pub use kind::{Estimate, Kind, Kinds, Next, Outcome, Planning};
pub use redaction::Redaction;
pub use stage::{Aggregate, Assign, BatchPlan, Rates, StagePlan};
pub use trust::{Trust, Vouching};
pub use work::Work;

use aws_sdk_dynamodb::Client;
use nextbasket_domain::{Clock, Random};
use nextbasket_erasure::Secrets;
use nextbasket_locks::Leases;
use nextbasket_objects::Bucket;

/// Where jobs run: the clients, the table and the bucket that they share.
#[derive(Debug, Clone)]
pub struct Site {
    /// DynamoDB, with the operations table and the tables that are worked on.
    pub dynamodb: Client,
    /// The operations table's name.
    pub operations: String,
    /// The bucket of plans, results and refusals.
    pub objects: Bucket,
    /// The time.
    pub clock: Clock,
    /// Random bits: ids, jitter.
    pub random: Random,
}

impl Site {
    /// The stack's secrets, in the operations table.
    pub fn secrets(&self) -> Secrets {
        Secrets::new(self.dynamodb.clone(), self.operations.clone())
    }

    /// Leases in the operations table.
    pub fn leases(&self) -> Leases {
        Leases::new(self.dynamodb.clone(), self.operations.clone(), self.clock.clone(), self.random.clone())
    }

    /// Refuses a table that no kind of job may write to or delete from: the one that stores the jobs and locks. A kind
    /// asks before it estimates and before its first stage.
    ///
    /// # Errors
    /// [`JobError::Failed`] that names the table.
    pub fn check_writable(&self, table: &str) -> Result<(), JobError> {
        if table == self.operations {
            let problem = "cannot be changed by a job: it stores the jobs";
            return Err(JobError::Failed(format!("table \"{table}\" {problem}")));
        }
        Ok(())
    }
}
