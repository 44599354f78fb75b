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
#[cfg(feature = "schema")]
pub mod schema;
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
use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use nextbasket_domain::{Clock, Random};
use nextbasket_erasure::Secrets;
use nextbasket_locks::Leases;
use nextbasket_objects::Bucket;

/// Where jobs run: the clients, the table and the bucket that they share.
#[derive(Debug, Clone)]
pub struct Site {
    /// DynamoDB, with the tables that are worked on.
    pub dynamodb: Client,
    /// The DynamoDB of the operations table, if that is another one. Only kinds that write to no table work so: others
    /// write items and the job's progress in the same transactions, and ask the stack's locks and secrets.
    pub operations_dynamodb: Option<Client>,
    /// The operations table's name.
    pub operations: String,
    /// The bucket of plans, results and refusals.
    pub objects: Bucket,
    /// The time.
    pub clock: Clock,
    /// Random bits: ids, jitter.
    pub random: Random,
    /// The credentials of a profile of this machine; `None` where there are no profiles, as on Lambda.
    pub profiles: Option<fn(&str) -> SharedCredentialsProvider>,
}

impl Site {
    /// With all tables in one DynamoDB, the system's clock, and no profiles.
    pub fn new(dynamodb: Client, operations: String, objects: Bucket, random: Random) -> Self {
        Self {
            dynamodb,
            operations_dynamodb: None,
            operations,
            objects,
            clock: Clock::system(),
            random,
            profiles: None,
        }
    }

    /// The DynamoDB of the operations table.
    pub fn operations_dynamodb(&self) -> &Client {
        self.operations_dynamodb.as_ref().unwrap_or(&self.dynamodb)
    }

    /// The stack's secrets, in the operations table.
    pub fn secrets(&self) -> Secrets {
        Secrets::new(self.operations_dynamodb().clone(), self.operations.clone())
    }

    /// Leases in the operations table.
    pub fn leases(&self) -> Leases {
        let dynamodb = self.operations_dynamodb().clone();
        Leases::new(dynamodb, self.operations.clone(), self.clock.clone(), self.random.clone())
    }

    /// Refuses a table that no kind of job may write to or delete from: the one that stores the jobs and locks, also
    /// under another endpoint's name. A kind asks before it estimates and before its first stage.
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
