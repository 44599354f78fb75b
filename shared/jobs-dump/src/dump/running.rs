//! The mark of a dump that is being made, in its folder: which job makes it, and when a worker last worked on it.
//!
//! The lock of a destination stops only jobs of the same operations table. Retention in jobs of other stacks or
//! machines reads this mark instead.

use std::time::Duration;

use nextbasket_domain::Timestamp;
use nextbasket_job_engine::{Work, WorkError};
use nextbasket_objects::{Files, Location, ObjectError};
use serde::{Deserialize, Serialize};

use crate::manifest::DumpKind;

/// The mark's file name in the export's folder.
pub(crate) const RUNNING: &str = "nextbasket-running.json";

/// How often the mark is rewritten.
const BEAT: Duration = Duration::from_secs(5 * 60);
/// How long after its last mark a dump still counts as being made: a job may wait for a worker for hours.
pub(crate) const FRESH_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sign {
    owner: String,
    /// When one of its workers last worked on it.
    at: Timestamp,
    /// Marks of earlier versions do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<DumpKind>,
}

/// Keeps the mark of a dump up to date.
pub(crate) struct Beat {
    at: Location,
    kind: DumpKind,
    next: Timestamp,
}

impl Beat {
    pub(crate) fn new(folder: &Location, kind: DumpKind) -> Self {
        Self { at: folder.join(RUNNING), kind, next: Timestamp::EPOCH }
    }

    pub(crate) async fn beat(&mut self, work: &Work, files: &Files) -> Result<(), WorkError> {
        let now = work.site().clock.now();
        if now < self.next {
            return Ok(());
        }
        let owner = format!("job/{}", work.job().job_id);
        let sign = Sign { owner, at: now, kind: Some(self.kind) };
        files.write_with_folder(&self.at, serde_json::to_vec(&sign)?).await?;
        self.next = now.plus_millis(i64::try_from(BEAT.as_millis()).unwrap_or(i64::MAX));
        Ok(())
    }
}

/// Removes the mark: the dump is not being made any more.
pub(crate) async fn end(files: &Files, folder: &Location) -> Result<(), ObjectError> {
    files.remove(&folder.join(RUNNING)).await
}

/// A dump that is being made, or was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// When a worker last worked on it.
    pub seen: Timestamp,
    pub kind: Option<DumpKind>,
}

/// What the mark in this folder says; `None` if it has none.
pub(crate) async fn unfinished(files: &Files, folder: &Location) -> Result<Option<Unfinished>, ObjectError> {
    let sign = files.read_if_found(&folder.join(RUNNING)).await?;
    let sign = sign.and_then(|content| serde_json::from_slice::<Sign>(&content).ok());
    Ok(sign.map(|Sign { at, kind, .. }| Unfinished { seen: at, kind }))
}
