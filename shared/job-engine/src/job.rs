//! What a job is: its id, its state, its stages and how far it has come.

use derive_more::{AddAssign, Into};
use hmac::{Hmac, KeyInit, Mac};
use nextbasket_domain::{Random, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use strum::IntoStaticStr;

use crate::stage::{Aggregate, Assign, Rates};

/// The layout of batches and counts in the operations table. A job that was begun in another layout cannot be resumed:
/// its batches would be done again from their beginning.
pub(crate) const LAYOUT: u32 = 3;

/// Where a job's outputs are, below its own prefix: what its result names.
pub const OUTPUT: &str = "output/";
/// Where its files of refused items are.
pub const REFUSED: &str = "refused/";

/// A job's id. Ids sort as their jobs were submitted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Into, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    /// A new id: the time in milliseconds and 32 random bits, both in hexadecimal.
    pub fn new(now: Timestamp, random: &Random) -> Self {
        Self(format!("{:012x}-{:08x}", now.as_millis(), random.draw() >> 32))
    }

    /// The id of what was started at this time under this name, such as by a schedule: the same whenever it is asked
    /// for. Of the name the last 40 characters that an id may have are in it.
    pub fn started(at: Timestamp, name: &str) -> Self {
        let name: Vec<char> = name.chars().filter(|&c| fits(c)).collect();
        let name: String = name.iter().skip(name.len().saturating_sub(40)).collect();
        Self(format!("{:012x}-{name}", at.as_millis()))
    }

    /// The id that a caller gives, who may submit the same job again after a lost answer.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if (1..=64).contains(&text.len()) && text.chars().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 64 of the characters a-z, A-Z, 0-9, - and _")
        }
    }

    /// The key of an object of this job: all of them are below `jobs/JOB/`. They are removed when the job ends, except
    /// those below [`OUTPUT`] and [`REFUSED`].
    pub fn object_key(&self, name: &str) -> String {
        format!("jobs/{}/{name}", self.0)
    }

    /// Whether an object of this job is kept when the job ends, until the bucket's lifecycle removes it: what a person
    /// asked for.
    pub(crate) fn keeps(&self, key: &str) -> bool {
        [OUTPUT, REFUSED].iter().any(|kept| key.starts_with(&self.object_key(kept)))
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn fits(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for JobId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub enum JobState {
    /// Accepted; it waits to be planned, perhaps for its lock.
    Waiting,
    /// A stage is being worked on.
    Running,
    /// Done.
    Succeeded,
    /// Ended by an error; what was done stays done.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
}

impl JobState {
    /// Whether the job has ended.
    #[must_use]
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The word for it, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How far a batch, a stage or a job has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, AddAssign, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// Items (or lines, rows) looked at.
    pub processed: u64,
    /// Of them, those that met the condition; for kinds without one, as `processed`.
    pub matched: u64,
    /// Items written, changed or deleted.
    pub changed: u64,
    /// Items that could not be: they stand in the refused files with the reason.
    pub refused: u64,
    /// Read units consumed.
    pub read_units: f64,
    /// Write units consumed.
    pub write_units: f64,
    /// Bytes of files that were read, by kinds that say how many there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A stage of a job, as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// Its number, from 0.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// How many batches it has.
    pub batches: u32,
    /// How the work was split.
    pub split: Value,
    /// The order in which its batches go out.
    pub assign: Assign,
    /// How many batches are worked on at a time.
    pub width: u32,
    /// How its results are put together.
    pub aggregate: Aggregate,
    /// How many batches may fail for good, in percent.
    pub tolerated: f64,
    /// The rates of all workers together.
    pub rates: Rates,
    /// How many items it is likely to have in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// When it was planned.
    pub started_at: Timestamp,
    /// When its last batch was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How far it has come: final once it has ended.
    #[serde(default)]
    pub progress: Progress,
    /// Batches done so far.
    #[serde(default)]
    pub done: u32,
    /// Batches that failed for good.
    #[serde(default)]
    pub failed: u32,
}

/// A stage's number and its number of batches: enough to find all data that it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageSize {
    /// The stage's number.
    pub number: u32,
    /// The number of batches, or an upper bound.
    pub batches: u32,
}

/// The lock that a job holds while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLock {
    /// The lock's name.
    pub name: String,
    /// The owner of this acquisition.
    pub owner: String,
    /// Its fencing token.
    pub fence: u64,
}

/// A random key of a job. It lives as long as the job runs and is never shown: for pseudonyms that nobody can make
/// again once the job has ended.
#[derive(Clone, PartialEq, Eq)]
pub struct JobKey(pub(crate) [u8; 32]);

impl JobKey {
    /// Of these bytes: for tests, which want the same pseudonyms again.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn draw(random: &Random) -> Self {
        Self(random.draw_key())
    }

    /// A pseudonym: 128 bits of the HMAC-SHA-256 of the id, in hexadecimal.
    pub fn pseudonym(&self, id: &str) -> String {
        // HMAC accepts keys of any length, and this one is as long as the hash.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(id.as_bytes());
        let mut code = hex::encode(mac.finalize().into_bytes());
        code.truncate(32);
        code
    }
}

impl std::fmt::Debug for JobKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JobKey")
    }
}

/// How a job ends: decided, while what it has left is still being removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ending {
    pub(crate) state: JobState,
    pub(crate) failure: Option<String>,
    pub(crate) result: Option<Value>,
    pub(crate) at: Timestamp,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its id.
    pub job_id: JobId,
    /// Its kind's name.
    pub kind: String,
    /// What it was submitted with. Once it has ended, constants that may be of persons are replaced by `…`.
    pub parameters: Value,
    /// Proof that a process at the machine vouches for the job. It is stored beside the job and not shown.
    #[serde(skip)]
    pub voucher: Option<String>,
    /// Where it stands.
    pub state: JobState,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When its first stage was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Its newest stages, at most [`Job::KEPT_STAGES`]; of a job that follows a table, only the one that is worked on or
    /// was last.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// The sum of all stages that have ended.
    #[serde(default)]
    pub total: Progress,
    /// The lock it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<HeldLock>,
    /// Whether somebody asked for its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelling: bool,
    /// What ended it, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What it came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Not before this time is the next stage planned: a job that follows a table waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Timestamp>,
    /// How often it was written; writers agree by it.
    #[serde(default)]
    pub revision: u64,
    /// Its key; gone once it has ended. Stored beside the job.
    #[serde(skip)]
    pub(crate) key: Option<JobKey>,
    /// How it ends, once that is decided. Stored beside the job.
    #[serde(skip)]
    pub(crate) ending: Option<Ending>,
    /// Of a job that has ended and whose parameters are not kept whole: the id of a secret of the stack, and with it
    /// the authentication code of the parameters. Stored beside the job.
    #[serde(skip)]
    pub(crate) parameters_code: Option<String>,
    /// Superseded stages whose data has to be removed before the next stage is planned. Stored beside the job.
    #[serde(skip)]
    pub(crate) leftovers: Vec<StageSize>,
    /// The version of the layout of its items. Stored beside the job.
    #[serde(skip)]
    pub(crate) layout: u32,
}

impl Job {
    /// How many stages a job keeps.
    pub const KEPT_STAGES: usize = 20;

    /// A job that is submitted now.
    pub fn new(job_id: JobId, kind: String, parameters: Value, now: Timestamp) -> Self {
        Self {
            job_id,
            kind,
            parameters,
            voucher: None,
            state: JobState::Waiting,
            created_at: now,
            started_at: None,
            ended_at: None,
            stages: Vec::new(),
            total: Progress::default(),
            lock: None,
            cancelling: false,
            failure: None,
            result: None,
            waits_until: None,
            revision: 0,
            key: None,
            ending: None,
            parameters_code: None,
            leftovers: Vec::new(),
            layout: LAYOUT,
        }
    }

    /// The job's key.
    ///
    /// # Errors
    /// If it has ended, or was submitted to a version of nextbasket whose jobs have none.
    pub fn key(&self) -> Result<&JobKey, &'static str> {
        self.key
            .as_ref()
            .ok_or("the job has no key of its own, as it comes from an earlier version: submit it again")
    }

    /// Whether no more of its batches are to be worked on: it was cancelled, has failed, is ending or has ended.
    pub fn is_ending(&self) -> bool {
        self.cancelling || self.failure.is_some() || self.ending.is_some() || self.state.has_ended()
    }

    /// The stage that is worked on, or the last one.
    pub fn stage(&self) -> Option<&Stage> {
        self.stages.last()
    }

    /// The size of the stage of this number; the largest possible size if the job does not remember the stage.
    pub fn stage_size(&self, number: u32) -> StageSize {
        let known = self.stages.iter().find(|stage| stage.number == number);
        StageSize { number, batches: known.map_or(u32::MAX, |stage| stage.batches) }
    }
}
