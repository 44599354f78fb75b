//! The progress of a stage, in a few small items.
//!
//! A batch's end and the stage's count of it are one transaction. When a running batch's progress is counted, the
//! same transaction notes in the batch what was counted. So the counts are exact, whatever is killed and whichever
//! answers are lost. Transactions on one item conflict with each other, so each uses one of [`SHARDS`] items at
//! random.

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::{ItemReader, number, text};

use super::{BatchState, EXPIRE_AT, PK, SK, Store, partition, refused};
use crate::job::{JobId, Progress};

/// The number of items that share the counting of a stage. Reading all of them costs one read unit.
const SHARDS: u64 = 16;

/// The progress of a stage.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// The number of batches that are done.
    pub done: u32,
    /// The number of batches that failed for good.
    pub failed: u32,
    /// The progress of its batches, as far as it was counted.
    pub progress: Progress,
}

impl Counts {
    /// The number of batches that have ended, done or failed.
    pub fn ended(&self) -> u32 {
        self.done.saturating_add(self.failed)
    }
}

/// A change of a batch that is to be counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CountChange {
    /// How it ended, if it did.
    pub(crate) end: Option<BatchState>,
    /// Its progress that was counted before.
    pub(crate) before: Progress,
    pub(crate) now: Progress,
}

const DONE: &str = "done";
const FAILED: &str = "failed";
const PROCESSED: &str = "processed";
const MATCHED: &str = "matched";
const CHANGED: &str = "changed";
const REFUSED: &str = "refused";
const READ: &str = "readUnits";
const WRITTEN: &str = "writeUnits";
const BYTES: &str = "bytes";

impl CountChange {
    /// The amounts to add to the counts, as decimal digits.
    fn additions(&self) -> Vec<(&'static str, String)> {
        let ended = |state| i128::from(u8::from(self.end == Some(state)));
        let difference =
            |count: fn(&Progress) -> u64| i128::from(count(&self.now)) - i128::from(count(&self.before));
        let units = |count: fn(&Progress) -> f64| format!("{:.3}", count(&self.now) - count(&self.before));
        [
            (DONE, ended(BatchState::Done).to_string()),
            (FAILED, ended(BatchState::Failed).to_string()),
            (PROCESSED, difference(|progress| progress.processed).to_string()),
            (MATCHED, difference(|progress| progress.matched).to_string()),
            (CHANGED, difference(|progress| progress.changed).to_string()),
            (REFUSED, difference(|progress| progress.refused).to_string()),
            (READ, units(|progress| progress.read_units)),
            (WRITTEN, units(|progress| progress.write_units)),
            (BYTES, difference(|progress| progress.bytes).to_string()),
        ]
        .into_iter()
        .filter(|(_, added)| added.bytes().any(|byte| (b'1'..=b'9').contains(&byte)))
        .collect()
    }
}

impl Store {
    /// The write that counts a change, for the transaction that makes it; `None` if there is nothing to count.
    pub(crate) fn count(
        &self,
        job: &JobId,
        stage: u32,
        change: &CountChange,
    ) -> Result<Option<TransactWriteItem>, TableError> {
        let additions = change.additions();
        if additions.is_empty() {
            return Ok(None);
        }
        let shard = self.random.draw() % SHARDS;
        let clauses: Vec<String> = additions.iter().map(|(name, _)| format!("#{name} :{name}")).collect();
        let mut update = Update::builder()
            .table_name(&self.table)
            .key(PK, text(partition(job)))
            .key(SK, text(format!("{}{shard:02}", counts_of(stage))))
            .update_expression(format!("SET #expiry = :expiry ADD {}", clauses.join(", ")))
            .expression_attribute_names("#expiry", EXPIRE_AT)
            .expression_attribute_values(":expiry", self.expiry());
        for (name, added) in additions {
            update = update
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":{name}"), number(added));
        }
        let update = update.build().map_err(refused(&self.table))?;
        Ok(Some(TransactWriteItem::builder().update(update).build()))
    }

    /// The progress of the stage: now or, for half the price, a moment ago.
    pub async fn counts(&self, job: &JobId, stage: u32, consistent: bool) -> Result<Counts, TableError> {
        let mut sums = [0_i128; 7];
        let (mut read_units, mut write_units) = (0.0, 0.0);
        for item in self.query_with(&partition(job), &counts_of(stage), consistent).await? {
            let mut reader = ItemReader { table: &self.table, key: "count".to_owned(), item };
            for (sum, name) in
                sums.iter_mut().zip([DONE, FAILED, PROCESSED, MATCHED, CHANGED, REFUSED, BYTES])
            {
                *sum += reader.optional(name, ItemReader::number::<i128>)?.unwrap_or(0);
            }
            read_units += reader.optional(READ, ItemReader::number::<f64>)?.unwrap_or(0.0);
            write_units += reader.optional(WRITTEN, ItemReader::number::<f64>)?.unwrap_or(0.0);
        }
        let [done, failed, processed, matched, changed, refused, bytes] =
            sums.map(|sum| u64::try_from(sum).unwrap_or(0));
        let small = |count| u32::try_from(count).unwrap_or(u32::MAX);
        let progress = Progress { processed, matched, changed, refused, read_units, write_units, bytes };
        Ok(Counts { done: small(done), failed: small(failed), progress })
    }
}

pub(super) fn counts_of(stage: u32) -> String {
    format!("count/{stage:06}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_counted_also_when_it_becomes_less() {
        let before = Progress { processed: 10, refused: 2, read_units: 1.5, ..Progress::default() };
        let now = Progress { processed: 4, refused: 2, read_units: 3.0, ..Progress::default() };
        let change = CountChange { end: Some(BatchState::Done), before, now };
        let added = change.additions();
        assert_eq!(
            added.iter().map(|(name, added)| (*name, added.as_str())).collect::<Vec<_>>(),
            [("done", "1"), ("processed", "-6"), ("readUnits", "1.500")]
        );
        assert!(CountChange { end: None, before: now, now }.additions().is_empty());
    }
}
