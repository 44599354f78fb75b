//! Items that were changed in the moment of their deletion: what the deletion answered is put back, and at the same time
//! kept in an object of the job, so that neither a killed worker nor a missing permission nor a bucket that does not
//! answer loses it.
//!
//! The objects are below `output/`, which outlives the job: if an item can never be put back, its newest version is
//! there, as a line that `restore` reads. Once an item is back and a checkpoint says so, its object is removed.

use nextbasket_dynamodb::item::Item;
use nextbasket_items::fetch::fetch;
use nextbasket_items::key::KeySchema;
use nextbasket_items::write::put::Put;
use nextbasket_items::write::{OnConflict, WriteOutcome};
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::job::OUTPUT;
use nextbasket_job_engine::limit::Limits;
use nextbasket_job_engine::{Work, WorkError};
use nextbasket_objects::Bucket;

use crate::diff::same_items;
use crate::json_lines::{read_line, write_line};

/// The items of one batch, by the lines of their copies.
#[derive(Debug, Clone)]
pub(super) struct KeptItems {
    objects: Bucket,
    prefix: String,
}

/// Where an item that was kept is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PutBack {
    InTable,
    /// Somebody has put another item with its key meanwhile.
    Replaced,
}

impl KeptItems {
    pub(super) fn of(work: &Work) -> Self {
        let prefix = work.job_object(&format!("{OUTPUT}put-back/{:08}-", work.task().batch));
        Self { objects: work.site().objects.clone(), prefix }
    }

    fn object(&self, line: u64) -> String {
        format!("{}{line:012}.jsonl", self.prefix)
    }

    /// Puts the item back and keeps it, both at once: the first of the two that is done ends the time in which only this
    /// process has the item.
    ///
    /// # Errors
    /// [`CallError`] if it cannot be put back; the message says where it is kept.
    pub(super) async fn put_back(
        &self,
        calls: &Calls,
        limits: &Limits,
        (table, keys): (&str, &KeySchema),
        (line, item): (u64, &Item),
    ) -> Result<(PutBack, f64), CallError> {
        let (kept, put) = futures::join!(self.keep(line, item), put(calls, limits, table, keys, item));
        put.map_err(|error| self.unreturned(table, line, kept, error))
    }

    async fn keep(&self, line: u64, item: &Item) -> Result<(), WorkError> {
        let mut content = Vec::new();
        write_line(item, &mut content)?;
        Ok(self.objects.put(&self.object(line), content).await?)
    }

    /// Puts back what an earlier attempt has kept and may not have put back: of the lines behind this one. The others
    /// have been put back, and are removed.
    pub(super) async fn resume(
        &self,
        calls: &Calls,
        limits: &Limits,
        (table, keys): (&str, &KeySchema),
        after: u64,
    ) -> Result<Vec<(u64, PutBack, f64)>, CallError> {
        let mut returned = Vec::new();
        let mut settled = Vec::new();
        for object in self.objects.list(&self.prefix).await? {
            let name = object.strip_prefix(&self.prefix).and_then(|name| name.strip_suffix(".jsonl"));
            let Some(line) = name.and_then(|line| line.parse::<u64>().ok()) else { continue };
            if line <= after {
                settled.push(line);
                continue;
            }
            let content = self.objects.get(&object).await?;
            let Ok(item) = read_line(1, content.trim_ascii_end()) else {
                return Err(WorkError::Failed(format!("{object} is not an item")).into());
            };
            let put = put(calls, limits, table, keys, &item).await;
            let (became, units) = put.map_err(|error| self.unreturned(table, line, Ok(()), error))?;
            returned.push((line, became, units));
        }
        self.forget(&settled).await;
        Ok(returned)
    }

    /// Removes the items of these lines, which a checkpoint says are back. Objects that cannot be removed are removed
    /// by the next attempt, or stay until the bucket's lifecycle removes them.
    pub(super) async fn forget(&self, lines: &[u64]) {
        if lines.is_empty() {
            return;
        }
        let objects: Vec<String> = lines.iter().map(|line| self.object(*line)).collect();
        if let Err(error) = self.objects.delete_all(&objects).await {
            tracing::warn!(%error, "items that were put back stay in the bucket of jobs");
        }
    }

    /// Says where the item is whose return has failed.
    fn unreturned(&self, table: &str, line: u64, kept: Result<(), WorkError>, error: CallError) -> CallError {
        let place = match kept {
            Ok(()) => {
                let object = format!("s3://{}/{}", self.objects.name(), self.object(line));
                format!(
                    "Its newest version is kept in {object}. To put it back: nextbasket restore {object} {table} \
                     --on-conflict skip"
                )
            }
            Err(error) => format!("Nor can its newest version be kept: {error}"),
        };
        let said = |reason: String| {
            format!(
                "an item of table \"{table}\" was changed in the moment of its deletion and cannot be put back: \
                 {reason}. {place}"
            )
        };
        match error {
            CallError::Stopped => CallError::Stopped,
            CallError::Refused(refused) => WorkError::Failed(said(refused.reason())).into(),
            CallError::Failed(WorkError::Systemic(reason)) => WorkError::Systemic(said(reason)).into(),
            CallError::Failed(WorkError::Transient(reason)) => WorkError::Transient(said(reason)).into(),
            CallError::Failed(WorkError::Failed(reason)) => WorkError::Failed(said(reason)).into(),
            CallError::Failed(error) => error.into(),
        }
    }
}

/// Puts the item, unless there is one with its key.
async fn put(
    calls: &Calls,
    limits: &Limits,
    table: &str,
    keys: &KeySchema,
    item: &Item,
) -> Result<(PutBack, f64), CallError> {
    let writer = Put::new(table, keys, OnConflict::Skip);
    let (outcomes, units) = writer.write(calls, &limits.write, vec![item.clone()]).await?;
    match outcomes.into_iter().next() {
        Some(WriteOutcome::Changed) => Ok((PutBack::InTable, units)),
        Some(WriteOutcome::Refused(reason)) => Err(WorkError::Failed(reason).into()),
        // It was put by an attempt whose answer was lost, or there is another one.
        _ => {
            let (there, _) = fetch(calls, &limits.read, table, &[keys.of(item)]).await?;
            let ours = match there.first() {
                Some(there) => same_items(there, item)?,
                None => false,
            };
            Ok((if ours { PutBack::InTable } else { PutBack::Replaced }, units))
        }
    }
}
