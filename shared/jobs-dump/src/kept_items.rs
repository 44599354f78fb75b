//! Items that others changed in the moment in which a job deleted or replaced them: what the write answered is put back,
//! and at the same time kept in an object of the job, so that neither a killed worker nor a missing permission nor a
//! bucket that does not answer loses it.
//!
//! The objects are below `output/`, which outlives the job: if an item can never be put back, its newest version is
//! there, as a line that `restore` reads. Once an item is back and a checkpoint says so, its object is removed.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use nextbasket_dynamodb::capacity::Consuming;
use nextbasket_dynamodb::item::Item;
use nextbasket_items::key::KeySchema;
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::job::OUTPUT;
use nextbasket_job_engine::limit::Limiter;
use nextbasket_job_engine::{Work, WorkError};
use nextbasket_objects::Bucket;

use crate::json_lines::{read_line, write_line};

/// The write in whose moment an item was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Deletion,
    Revert,
}

impl Moment {
    fn name(self) -> &'static str {
        match self {
            Self::Deletion => "deletion",
            Self::Revert => "revert",
        }
    }

    /// The option with which `restore` puts such an item back, and nothing newer is lost.
    fn restore_option(self) -> &'static str {
        match self {
            Self::Deletion => " --on-conflict skip",
            // What it was reverted to may be in its place.
            Self::Revert => "",
        }
    }
}

/// The items of one batch, by lines of the file that it reads.
#[derive(Debug, Clone)]
pub(crate) struct KeptItems {
    objects: Bucket,
    prefix: String,
    moment: Moment,
}

impl KeptItems {
    pub(crate) fn of(work: &Work, moment: Moment) -> Self {
        let prefix = work.job_object(&format!("{OUTPUT}put-back/{:08}-", work.task().batch));
        Self { objects: work.site().objects.clone(), prefix, moment }
    }

    fn object(&self, line: u64) -> String {
        format!("{}{line:012}.jsonl", self.prefix)
    }

    /// Keeps the item while `put` puts it back: the first of the two that is done ends the time in which only this
    /// process has the item.
    ///
    /// # Errors
    /// [`CallError`] if it cannot be put back; the message says where it is kept.
    pub(crate) async fn put_back<T>(
        &self,
        table: &str,
        (line, item): (u64, &Item),
        put: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let (kept, put) = futures::join!(self.keep(line, item), put);
        put.map_err(|error| self.unreturned(table, line, kept, error))
    }

    async fn keep(&self, line: u64, item: &Item) -> Result<(), WorkError> {
        let mut content = Vec::new();
        write_line(item, &mut content)?;
        Ok(self.objects.put(&self.object(line), content).await?)
    }

    /// What an earlier attempt has kept and may not have put back: the items of the lines behind this one. The others
    /// have been put back, and are removed.
    pub(crate) async fn left_behind(&self, after: u64) -> Result<Vec<(u64, Item)>, WorkError> {
        let mut left = Vec::new();
        let mut settled = Vec::new();
        for object in self.objects.list(&self.prefix).await? {
            let name = object.strip_prefix(&self.prefix).and_then(|name| name.strip_suffix(".jsonl"));
            let Some(line) = name.and_then(|line| line.parse::<u64>().ok()) else { continue };
            if line <= after {
                settled.push(line);
                continue;
            }
            let content = self.objects.get(&object).await?;
            match read_line(1, content.trim_ascii_end()) {
                Ok(item) => left.push((line, item)),
                Err(_) => return Err(WorkError::Failed(format!("{object} is not an item"))),
            }
        }
        self.forget(&settled).await;
        Ok(left)
    }

    /// Removes the items of these lines, which a checkpoint says are back. Objects that cannot be removed are removed
    /// by the next attempt, or stay until the bucket's lifecycle removes them.
    pub(crate) async fn forget(&self, lines: &[u64]) {
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
        let object = format!("s3://{}/{}", self.objects.name(), self.object(line));
        let place = match kept {
            Ok(()) => format!(
                "Its newest version is kept in {object}. To put it back: nextbasket restore {object} {table}{}",
                self.moment.restore_option()
            ),
            // An earlier attempt may have kept it.
            Err(error) => format!("Nor could its newest version be kept now in {object}: {error}"),
        };
        let said = |reason: String| {
            format!(
                "an item of table \"{table}\" was changed in the moment of its {} and cannot be put back: {reason}. \
                 {place}",
                self.moment.name()
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

    /// Whether items can be put, as one has to be that changes in the moment of its deletion. The put asks for what no
    /// item can meet, so that it fails after DynamoDB has checked the permission, and writes nothing.
    ///
    /// # Errors
    /// [`CallError`] if they cannot.
    pub(crate) async fn check_may_put(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        (table, keys): (&str, &KeySchema),
        item: &Item,
    ) -> Result<(), CallError> {
        let send = || {
            calls
                .client
                .put_item()
                .table_name(table)
                .set_item(Some(item.clone()))
                .condition_expression("attribute_exists(#key) AND attribute_not_exists(#key)")
                .expression_attribute_names("#key", &keys.partition.name)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        };
        let denied = |reason: String| {
            WorkError::Systemic(format!(
                "table \"{table}\": items cannot be put, so none is deleted, since an item that is changed in the \
                 moment of its {} could not be put back: {reason}. Allow dynamodb:PutItem on the table.",
                self.moment.name()
            ))
        };
        match calls.call(table, limiter, None, send, Consuming::units).await {
            Err(CallError::Refused(refused)) if refused.is_condition() => Ok(()),
            Err(CallError::Refused(refused)) => Err(denied(refused.reason()).into()),
            Err(CallError::Failed(WorkError::Systemic(reason))) => Err(denied(reason).into()),
            Err(error) => Err(error),
            Ok(_) => Err(denied("the endpoint does not evaluate conditions".to_owned()).into()),
        }
    }
}
