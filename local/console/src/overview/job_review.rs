//! The jobs of the last weeks: what runs, what failed, what was trained.

use std::sync::Arc;

use futures::future::try_join_all;
use nextbasket_domain::Timestamp;
use nextbasket_domain::time::DAY_MS;
use nextbasket_job_engine::{Job, JobError, JobState};
use tokio::sync::Mutex;

use crate::Console;
use crate::answer::Problem;

/// How long failures are shown.
const FAILED_MS: i64 = 7 * DAY_MS;

/// How far back good dumps and trainings are looked for.
const LOOKED_BACK_MS: i64 = 35 * DAY_MS;

const PAGE: u32 = 100;

/// The most jobs that are looked at.
const MAX_JOBS: usize = 500;

/// How long a reading is good. Pages ask every few seconds, and each reading costs read units.
const CACHED_MS: i64 = 10_000;

#[derive(Default)]
pub(crate) struct JobReview {
    pub(crate) running: Vec<Job>,
    pub(crate) failed: Vec<Job>,
    pub(crate) last_training: Option<Job>,
    /// Newest first.
    pub(crate) newest: Arc<Vec<Job>>,
}

/// The last reading of the list of jobs, and when it was.
#[derive(Default)]
pub(crate) struct JobCache(Mutex<Option<(Timestamp, Arc<Vec<Job>>)>>);

pub(crate) async fn review(console: &Console, now: Timestamp) -> Result<JobReview, Problem> {
    let (active, newest) = tokio::try_join!(active(console), newest(console, now))
        .map_err(|error| console.job_problem(error))?;
    let recent = now.plus_millis(-FAILED_MS);
    let failed = newest.iter().filter(|job| job.state == JobState::Failed && job.created_at >= recent);
    Ok(JobReview {
        running: active,
        failed: failed.cloned().collect(),
        last_training: newest.iter().find(|job| job.kind == "train").cloned(),
        newest,
    })
}

async fn active(console: &Console) -> Result<Vec<Job>, JobError> {
    let engine = &console.engine;
    let ids = engine.active().await?;
    let jobs = try_join_all(ids.iter().map(|id| async move {
        match engine.progress(id).await {
            Ok(job) => Ok(Some(job).filter(|job| !job.state.has_ended())),
            // It has ended and was removed meanwhile.
            Err(JobError::Unknown(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }));
    Ok(jobs.await?.into_iter().flatten().collect())
}

async fn newest(console: &Console, now: Timestamp) -> Result<Arc<Vec<Job>>, JobError> {
    let mut cached = console.0.jobs_seen.0.lock().await;
    if let Some((_, jobs)) = cached.as_ref().filter(|(at, _)| now <= at.plus_millis(CACHED_MS)) {
        return Ok(Arc::clone(jobs));
    }
    let oldest = now.plus_millis(-LOOKED_BACK_MS);
    let (mut jobs, mut after) = (Vec::new(), None);
    loop {
        let page = console.engine.list(PAGE, after.as_ref()).await?;
        jobs.extend(page.jobs);
        after = page.next;
        let is_far = jobs.last().is_none_or(|job: &Job| job.created_at < oldest);
        if after.is_none() || is_far || jobs.len() >= MAX_JOBS {
            break;
        }
    }
    let jobs = Arc::new(jobs);
    *cached = Some((now, Arc::clone(&jobs)));
    Ok(jobs)
}
