//! Changes that may be made again: many at a time, in any order.
//!
//! * [`update`]: one call for each item
//! * [`statements`]: 25 updates a call, for the changes and conditions that PartiQL says alike
//! * [`delete`]: one call for each item, or 25 a call where no condition is asked for
//! * [`put`]: 25 a call, or one for each item where one that is there must not be replaced
//! * [`encoded`]: 25 a call, of items in DynamoDB JSON
//! * [`guard`]: items that a table must not get

mod conflict;
pub mod delete;
pub mod encoded;
pub mod guard;
pub mod put;
pub mod statements;
pub mod update;

pub use conflict::OnConflict;
pub use guard::{ItemGuard, WriteGuard};

use std::future::Future;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::limit::Limiter;

use crate::spawned::spawned;
use nextbasket_job_engine::calls::{CallError, Calls};

/// The outcome of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It was changed.
    Changed,
    /// It does not meet the condition any more, or there is one already that must not be replaced.
    Skipped,
    /// The table must not get it: see [`guard`].
    Barred,
    /// It cannot be changed so: why.
    Refused(String),
}

/// The outcome of each item of a group, and the units that all of them consumed.
pub type Written = (Vec<WriteOutcome>, f64);

/// Writes items in groups, several of them at a time.
pub trait WriteGroup: Send + Sync + 'static {
    /// What is written.
    type Item: Send + 'static;

    /// How many go into one call.
    fn group(&self) -> usize;

    /// How many calls are under way at a time.
    fn at_once(&self) -> usize {
        if self.group() == 1 { 16 } else { 4 }
    }

    /// Writes a group, at most [`group`](Self::group) of them, and returns their outcomes in order.
    ///
    /// # Errors
    /// [`CallError`] if the work has to stop or DynamoDB does not take calls. Why DynamoDB rejects a single item
    /// is in its [`WriteOutcome`].
    fn write(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        group: Vec<Self::Item>,
    ) -> impl Future<Output = Result<Written, CallError>> + Send;
}

/// How items are written: whole ones or keys, as each needs them.
#[derive(Debug)]
pub enum Writer {
    /// Updates, one a call.
    Update(update::Update),
    /// Updates, many a call.
    Statements(statements::Statements),
    /// Deletions.
    Delete(delete::Delete),
    /// Whole items.
    Put(put::Put),
}

impl WriteGroup for Writer {
    type Item = Item;

    fn group(&self) -> usize {
        match self {
            Self::Update(_) => 1,
            Self::Statements(statements) => statements.group(),
            Self::Delete(delete) => delete.group(),
            Self::Put(put) => put.group(),
        }
    }

    async fn write(&self, calls: &Calls, limiter: &Limiter, group: Vec<Item>) -> Result<Written, CallError> {
        match self {
            Self::Update(update) => one_by_one(group, |item| update.write(calls, limiter, item)).await,
            Self::Statements(statements) => statements.write(calls, limiter, group).await,
            Self::Delete(delete) => delete.write(calls, limiter, group).await,
            Self::Put(put) => put.write(calls, limiter, group).await,
        }
    }
}

/// A group in calls of one item each.
async fn one_by_one<T, F>(group: Vec<T>, write: impl Fn(T) -> F) -> Result<Written, CallError>
where
    F: Future<Output = Result<(WriteOutcome, f64), CallError>>,
{
    let (mut all, mut units) = (Vec::with_capacity(group.len()), 0.0);
    for item in group {
        let (became, spent) = write(item).await?;
        all.push(became);
        units += spent;
    }
    Ok((all, units))
}

/// Writes items, many at a time, and returns the outcome of each, in their order. No two of them may have the
/// same key.
///
/// # Errors
/// [`CallError::Stopped`] if the work had to stop before all were written: some were, and may be written again. Other
/// [`CallError`]s if DynamoDB does not take calls.
pub async fn write_all<W: WriteGroup>(
    calls: &Calls,
    limiter: &Limiter,
    writer: &Arc<W>,
    items: Vec<W::Item>,
) -> Result<Written, CallError> {
    let mut became: Vec<Vec<WriteOutcome>> = Vec::new();
    let mut units = 0.0;
    let mut left = items.into_iter();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < writer.at_once() {
            let group: Vec<W::Item> = left.by_ref().take(writer.group()).collect();
            if group.is_empty() {
                break;
            }
            let (calls, writer, limiter) = (calls.clone(), Arc::clone(writer), limiter.clone());
            let number = became.len();
            became.push(Vec::new());
            running.push(spawned(async move { (number, writer.write(&calls, &limiter, group).await) }));
        }
        let Some((number, written)) = running.next().await else {
            return Ok((became.into_iter().flatten().collect(), units));
        };
        let (group, spent) = written?;
        units += spent;
        if let Some(place) = became.get_mut(number) {
            *place = group;
        }
    }
}
