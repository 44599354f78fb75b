//! The mark of a dump that is being made, in its folder: which job makes it, and when a worker last worked on it.
//!
//! The lock of a destination stops only jobs of the same operations table. Retention in jobs of other stacks or
//! machines reads this mark instead.

use std::time::Duration;

use nextbasket_domain::Timestamp;
use nextbasket_job_engine::{Work, WorkError};
use nextbasket_objects::{Files, Location, ObjectError};
use serde::{Deserialize, Serialize};

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
}

/// Keeps the mark of a dump up to date.
pub(crate) struct Beat {
    at: Location,
    next: Timestamp,
}

impl Beat {
    pub(crate) fn new(folder: &Location) -> Self {
        Self { at: folder.join(RUNNING), next: Timestamp::EPOCH }
    }

    pub(crate) async fn beat(&mut self, work: &Work, files: &Files) -> Result<(), WorkError> {
        let now = work.site().clock.now();
        if now < self.next {
            return Ok(());
        }
        let sign = Sign { owner: format!("job/{}", work.job().job_id), at: now };
        files.write_with_folder(&self.at, serde_json::to_vec(&sign)?).await?;
        self.next = now.plus_millis(i64::try_from(BEAT.as_millis()).unwrap_or(i64::MAX));
        Ok(())
    }
}

/// Removes the mark: the dump is not being made any more.
pub(crate) async fn end(files: &Files, folder: &Location) -> Result<(), ObjectError> {
    files.remove(&folder.join(RUNNING)).await
}

/// When a worker last worked on the dump in this folder; `None` if it has no mark.
pub(crate) async fn last_seen(files: &Files, folder: &Location) -> Result<Option<Timestamp>, ObjectError> {
    let sign = files.read_if_found(&folder.join(RUNNING)).await?;
    Ok(sign.and_then(|content| serde_json::from_slice::<Sign>(&content).ok()).map(|sign| sign.at))
}
