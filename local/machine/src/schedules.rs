//! What starts by itself: the template's schedules, while the machine runs.
//!
//! A run that was missed because no machine ran is made up for when the next one starts: once, however many were
//! missed. EventBridge Scheduler, which does this on AWS, is never switched off.

mod expression;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use tokio::task::JoinHandle;

pub use expression::{ExpressionError, ScheduleExpression};

use crate::folder::write_atomically;
use crate::template::Schedule;

/// When each schedule was due last, in the data folder.
const FILE: &str = "schedules.json";
/// How long to sleep at most: the clock may be set, and a laptop may have slept.
const LOOK: Duration = Duration::from_secs(30);
/// How long to wait before what could not be started is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// Starts what is due: the schedule, and when it was due.
pub type Starter =
    Arc<dyn Fn(Schedule, DateTime<Utc>) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The time, as the schedules see it.
pub type Now = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Schedules that are kept until this is dropped.
#[derive(Debug)]
pub struct Schedules(JoinHandle<()>);

impl Drop for Schedules {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A schedule, and when it was due last or first seen.
struct KeptSchedule {
    schedule: Schedule,
    expression: ScheduleExpression,
    last: DateTime<Utc>,
}

impl Schedules {
    /// Starts what is due from now on, and what was due since the folder's last machine ended.
    pub fn start(
        schedules: &[Schedule],
        folder: Option<&Path>,
        now: Now,
        starter: Starter,
    ) -> Result<Self, ExpressionError> {
        let file = folder.map(|folder| folder.join(FILE));
        let known = file.as_deref().map(read).unwrap_or_default();
        let mut kept = Vec::new();
        for schedule in schedules {
            let expression =
                ScheduleExpression::parse(&schedule.expression).map_err(|error| error.of(&schedule.name))?;
            let last = known.get(&schedule.name).copied().unwrap_or_else(|| now());
            kept.push(KeptSchedule { schedule: schedule.clone(), expression, last });
        }
        keep(file.as_deref(), &kept);
        Ok(Self(tokio::spawn(run(kept, file, now, starter))))
    }
}

async fn run(mut kept: Vec<KeptSchedule>, file: Option<PathBuf>, now: Now, starter: Starter) {
    loop {
        let mut wait = LOOK;
        for at in 0..kept.len() {
            let Some(one) = kept.get_mut(at) else { continue };
            let time = now();
            let Some(due) = one.expression.latest(one.last, time) else {
                let next = one.expression.next(one.last);
                let left = next.and_then(|next| (next - time).to_std().ok());
                wait = wait.min(left.unwrap_or(LOOK));
                continue;
            };
            match starter(one.schedule.clone(), due).await {
                Ok(()) => {
                    one.last = due;
                    keep(file.as_deref(), &kept);
                }
                Err(reason) => {
                    tracing::warn!(
                        schedule = one.schedule.name,
                        reason,
                        "a scheduled execution could not be started"
                    );
                    wait = wait.max(AGAIN);
                }
            }
        }
        // Never without a pause, however close the next one is.
        tokio::time::sleep(wait.max(Duration::from_millis(10))).await;
    }
}

fn read(file: &Path) -> BTreeMap<String, DateTime<Utc>> {
    let content = std::fs::read(file).unwrap_or_default();
    let kept: BTreeMap<String, String> = serde_json::from_slice(&content).unwrap_or_default();
    let time = |text: String| Some(DateTime::parse_from_rfc3339(&text).ok()?.to_utc());
    kept.into_iter().filter_map(|(name, text)| Some((name, time(text)?))).collect()
}

fn keep(file: Option<&Path>, kept: &[KeptSchedule]) {
    let Some(file) = file else { return };
    let times: BTreeMap<&str, String> =
        kept.iter().map(|one| (one.schedule.name.as_str(), one.last.to_rfc3339())).collect();
    if let Err(error) = write_atomically(file, &times, true) {
        tracing::warn!(%error, "the last due times of schedules could not be written");
    }
}
