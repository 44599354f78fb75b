//! Event source mappings: a table's stream, given to a function batch by batch as the template says.
//!
//! Each shard has one reader and as many lanes as the mapping's parallelization; records of one partition key take
//! one lane, so that they stay in order. A lane has one batch under way. The checkpoint is the last record before
//! which none is still under way, and it is kept after success, so a crash gives records again, and loses none.
//!
//! The embedded endpoint has one shard a table, and it never closes; shards that a stream gains later are not looked
//! for.

mod checkpoint;
mod dead_letters;
mod delivery;
mod lane;
mod reader;
mod record;
mod trouble;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::error::DisplayErrorContext;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::dynamodb;
use crate::invoke::StreamFunction;
use crate::template::{Function, StartingPosition, StreamMapping, TableTemplate};

pub(crate) use checkpoint::kept;
pub use dead_letters::DeadLetters;

use checkpoint::Checkpoints;
use delivery::Delivery;
use reader::{Shard, ShardReader};
use trouble::Trouble;

/// How long a stop waits for batches that are under way.
const GRACE: Duration = Duration::from_secs(5);

/// Makes mappings look at their streams at once: whoever writes in the same process spares its records the wait.
#[derive(Debug, Clone, Default)]
pub struct Wake(watch::Sender<()>);

impl Wake {
    /// Wakes every mapping that listens.
    pub fn wake(&self) {
        self.0.send_replace(());
    }
}

/// How often a mapping looks and how long it waits before it tries again. Lambda does not say its own.
#[derive(Debug, Clone, Copy)]
pub struct MappingPace {
    /// Between looks at an idle stream.
    pub poll: Duration,
    /// Before the first retry; it doubles with every further one.
    pub first_backoff: Duration,
    /// The longest wait before a retry.
    pub longest_backoff: Duration,
    /// How long callers wait for a mapping that makes no progress. The mapping itself keeps trying.
    pub patience: Duration,
}

impl Default for MappingPace {
    fn default() -> Self {
        MappingPace {
            poll: Duration::from_millis(100),
            first_backoff: Duration::from_millis(50),
            longest_backoff: Duration::from_secs(2),
            patience: Duration::from_secs(180),
        }
    }
}

/// How far a mapping has come since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MappingProgress {
    /// Records that the function has taken.
    pub delivered: u64,
    /// Records that were given up.
    pub given_up: u64,
    /// Records that were read and are under way.
    pub under_way: usize,
}

pub(crate) struct MappingParts {
    pub(crate) client: Client,
    pub(crate) mapping: StreamMapping,
    pub(crate) table: TableTemplate,
    pub(crate) function: Function,
    pub(crate) handler: StreamFunction,
    /// The data folder; without one, checkpoints and dead letters are kept in memory.
    pub(crate) folder: Option<PathBuf>,
    /// The database's file, unless it is in memory.
    pub(crate) database: Option<PathBuf>,
    pub(crate) pace: MappingPace,
    pub(crate) wake: Wake,
}

/// A running mapping. Clones are handles to the same one.
#[derive(Clone)]
pub struct EventSourceMapping {
    shared: Arc<SharedMapping>,
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// What a mapping's handles, readers and lanes share.
struct SharedMapping {
    client: Client,
    mapping: StreamMapping,
    table: TableTemplate,
    function: Function,
    handler: StreamFunction,
    stream_arn: String,
    database: Option<PathBuf>,
    pace: MappingPace,
    wake: Wake,
    checkpoints: Checkpoints,
    dead_letters: DeadLetters,
    trouble: Trouble,
    stop: watch::Sender<bool>,
}

impl SharedMapping {
    async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // The sender is in `self`, so it cannot close.
        let _stopped = stop.wait_for(|stopped| *stopped).await;
    }
}

impl EventSourceMapping {
    pub(crate) async fn start(parts: MappingParts) -> Result<Self, StreamError> {
        let MappingParts { client, mapping, table, function, handler, folder, database, pace, wake } = parts;
        if mapping.tumbling_window.is_some() {
            return Err(StreamError::TumblingWindow { mapping: mapping.name });
        }
        let stream_arn = reader::stream_of(&client, &table.name).await?;
        let shards = reader::shards(&client, &table.name, &stream_arn).await?;
        let checkpoints = Checkpoints::open(folder.as_deref(), &mapping.name, &stream_arn)?;
        if mapping.starting_position == StartingPosition::Latest {
            for shard in &shards {
                checkpoints.begin_after(&shard.id, shard.last)?;
            }
        }
        let shared = Arc::new(SharedMapping {
            checkpoints,
            dead_letters: DeadLetters::open(folder.as_deref()),
            trouble: Trouble::default(),
            stop: watch::Sender::new(false),
            client,
            mapping,
            table,
            function,
            handler,
            stream_arn,
            database,
            pace,
            wake,
        });
        let mut tasks = Vec::new();
        for Shard { id: shard, .. } in shards {
            let delivery = Arc::new(Delivery {
                shared: Arc::clone(&shared),
                shard: shard.clone(),
                started: SystemTime::now(),
            });
            let mut lanes = Vec::new();
            for _ in 0..shared.mapping.parallelization {
                let (lane, task) = lane::start(Arc::clone(&delivery));
                lanes.push(lane);
                tasks.push(task);
            }
            let reader = ShardReader { shared: Arc::clone(&shared), shard, lanes };
            tasks.push(tokio::spawn(reader.run()));
        }
        Ok(EventSourceMapping { shared, tasks: Arc::new(Mutex::new(tasks)) })
    }

    /// The mapping's name in the template.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.mapping.name
    }

    /// Waits until every record that the stream has now was taken by the function or given up.
    ///
    /// # Errors
    /// [`StreamError`] if the stream cannot be described, or the mapping stops first or makes no progress.
    pub async fn drain(&self) -> Result<(), StreamError> {
        let shared = &self.shared;
        for shard in reader::shards(&shared.client, &shared.table.name, &shared.stream_arn).await? {
            let Some(last) = shard.last else { continue };
            let mut changes = shared.checkpoints.changes();
            shared.wake.wake();
            while shared.checkpoints.of(&shard.id).is_none_or(|done| done < last) {
                tokio::select! {
                    _ = changes.changed() => {}
                    reason = shared.trouble.lasting() => return Err(self.stuck(reason)),
                    () = tokio::time::sleep(shared.pace.patience) => {
                        let silent = || format!("nothing was taken for {:?}", shared.pace.patience);
                        return Err(self.stuck(shared.trouble.reason().unwrap_or_else(silent)));
                    }
                    () = shared.stopped() => {
                        return Err(StreamError::Stopped { mapping: shared.mapping.name.clone() });
                    }
                }
            }
        }
        Ok(())
    }

    fn stuck(&self, reason: String) -> StreamError {
        StreamError::Stuck { mapping: self.shared.mapping.name.clone(), reason }
    }

    /// The number of records in the stream that were neither delivered nor given up. `None` if that is unknown: for a
    /// stream in memory, or if the database does not report it.
    pub async fn behind(&self) -> Option<u64> {
        let file = self.shared.database.clone()?;
        let (table, (done, ahead)) = (self.shared.table.name.clone(), self.shared.checkpoints.reached());
        let count = tokio::task::spawn_blocking(move || dynamodb::records_after(&file, &table, done)).await;
        Some(count.ok()?.ok()?.saturating_sub(ahead))
    }

    /// How far it has come since it started.
    #[must_use]
    pub fn progress(&self) -> MappingProgress {
        self.shared.checkpoints.progress()
    }

    /// What the mapping gave up; with a data folder, what all its mappings ever gave up.
    #[must_use]
    pub fn dead_letters(&self) -> &DeadLetters {
        &self.shared.dead_letters
    }

    /// Reads no more and lets the batches that are under way finish, for up to five seconds. What was read and not
    /// begun is read again at the next start.
    pub async fn stop(&self) {
        self.halt();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let aborters: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
        if tokio::time::timeout(GRACE, futures::future::join_all(tasks)).await.is_err() {
            tracing::warn!(
                mapping = self.shared.mapping.name,
                "batches were cut off; they are delivered again at the next start"
            );
            aborters.iter().for_each(tokio::task::AbortHandle::abort);
        }
    }

    /// Begins to stop and does not wait for it.
    pub(crate) fn halt(&self) {
        self.shared.stop.send_replace(true);
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error("the template has no stream mapping for the function {function}")]
    NoMapping { function: String },
    #[error("table {table} has no stream")]
    NoStream { table: String },
    #[error("stream mapping {mapping}: TumblingWindowInSeconds is not supported on one machine")]
    TumblingWindow { mapping: String },
    #[error("stream of table {table} cannot be read: {reason}")]
    Refused { table: String, reason: String },
    #[error("checkpoint {path} cannot be written: {source}")]
    Checkpoint { path: PathBuf, source: std::io::Error },
    #[error("stream mapping {mapping} makes no progress: {reason}")]
    Stuck { mapping: String, reason: String },
    #[error("stream mapping {mapping} was stopped")]
    Stopped { mapping: String },
}

fn refused(table: &str, error: &(dyn std::error::Error + 'static)) -> StreamError {
    StreamError::Refused { table: table.to_owned(), reason: DisplayErrorContext(error).to_string() }
}
