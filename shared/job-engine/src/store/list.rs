//! Lists of jobs: all by the time of their submission, and those that have not ended.

use derive_more::Into;
use futures::{StreamExt, TryStreamExt};
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::ItemReader;
use serde::{Deserialize, Serialize};

use super::{ACTIVE, SK, Store, UNCLEANED, key};
use crate::job::{Job, JobId};

pub(super) const BY_TIME: &str = "jobs-by-time";
/// The number of jobs that are read at a time.
const READERS: usize = 16;
/// The number of digits of a time in milliseconds, so that times sort as text.
const DIGITS: usize = 16;

/// A position in the list of jobs, by the time of their submission.
#[derive(Debug, Clone, PartialEq, Eq, Into, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobsPosition(String);

impl JobsPosition {
    /// The position of this job.
    pub fn of(job: &Job) -> Self {
        let at = u64::try_from(job.created_at.as_millis()).unwrap_or(0);
        Self(format!("{at:0DIGITS$x}/{}", job.job_id))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn job(&self) -> Option<JobId> {
        let (at, id) = self.0.split_once('/')?;
        let is_time = at.len() == DIGITS && at.bytes().all(|byte| byte.is_ascii_hexdigit());
        JobId::parse(id).ok().filter(|_| is_time)
    }
}

impl TryFrom<String> for JobsPosition {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let position = Self(text);
        if position.job().is_some() { Ok(position) } else { Err("is not a position in the list of jobs") }
    }
}

/// A page of jobs, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct JobsPage {
    /// The jobs of the page.
    pub jobs: Vec<Job>,
    /// Where the next page begins, if there is one.
    pub next: Option<JobsPosition>,
}

impl Store {
    /// Lists jobs, the newest submission first, starting after `after`.
    pub async fn list(&self, limit: u32, after: Option<&JobsPosition>) -> Result<JobsPage, TableError> {
        let output = self
            .select(BY_TIME, "")
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|position| key(BY_TIME, position.as_str())))
            .send()
            .await
            .map_err(|error| self.failed(error))?;
        let mut positions = Vec::new();
        for item in output.items.unwrap_or_default() {
            let mut reader = ItemReader { table: &self.table, key: BY_TIME.to_owned(), item };
            positions.push(reader.parsed(SK, |sk| JobsPosition::try_from(sk.to_owned()))?);
        }
        let more = output.last_evaluated_key.is_some();
        let next = positions.last().filter(|_| more).cloned();
        let jobs: Vec<Option<Job>> = futures::stream::iter(positions.iter().filter_map(JobsPosition::job))
            .map(|id| async move { self.find(&id, true).await })
            .buffered(READERS)
            .try_collect()
            .await?;
        Ok(JobsPage { jobs: jobs.into_iter().flatten().collect(), next })
    }

    /// The ids of the jobs that have not ended, sorted.
    pub async fn active(&self) -> Result<Vec<JobId>, TableError> {
        self.listed(ACTIVE).await
    }

    /// The ids of the jobs that have ended, and of which something could not be removed.
    pub(crate) async fn uncleaned(&self) -> Result<Vec<JobId>, TableError> {
        self.listed(UNCLEANED).await
    }

    /// Notes that nothing is left of a job of [`uncleaned`](Self::uncleaned).
    pub(crate) async fn cleaned(&self, id: &JobId) -> Result<(), TableError> {
        self.delete(key(UNCLEANED, id.as_str())).await
    }

    async fn listed(&self, partition: &str) -> Result<Vec<JobId>, TableError> {
        let items = self.query(partition, "").await?;
        items
            .into_iter()
            .map(|item| {
                let mut reader = ItemReader { table: &self.table, key: partition.to_owned(), item };
                reader.parsed(SK, JobId::parse)
            })
            .collect()
    }
}
