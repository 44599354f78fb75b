//! A job that is worked on or waited for, with its progress.

use std::time::Duration;

use nextbasket_batch::engine::Step;
use nextbasket_batch::pool::{self, Stop};
use nextbasket_batch::{Engine, Job, JobId};

use super::{ended, print};
use crate::Failure;
use crate::progress::Progress;
use crate::serve::until_stopped;

/// How often the progress is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Works on a job with others until it has ended.
pub(super) async fn work(
    engine: &Engine,
    id: &JobId,
    workers: u32,
    stop: &Stop,
    as_json: bool,
) -> Result<(), Failure> {
    engine.job(id).await?;
    let Some(job) = driven(engine, id, workers, stop).await? else { return Ok(()) };
    print(&engine.show(&job.job_id).await?, as_json)?;
    ended(&job)
}

/// Waits for a job that others work on.
pub(super) async fn wait(engine: &Engine, id: &JobId, as_json: bool) -> Result<(), Failure> {
    let mut shown = Shown::default();
    loop {
        let job = engine.job(id).await?;
        if job.state.has_ended() {
            shown.end();
            print(&engine.show(id).await?, as_json)?;
            return ended(&job);
        }
        shown.look(engine, id).await?;
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            stopped = until_stopped() => return stopped,
        }
    }
}

/// Works on the job and shows its progress until it has ended; `None` if it was interrupted and left for later.
async fn driven(engine: &Engine, id: &JobId, workers: u32, stop: &Stop) -> Result<Option<Job>, Failure> {
    let driving = pool::drive(engine, id, workers, stop);
    tokio::pin!(driving);
    let interrupted = until_stopped();
    tokio::pin!(interrupted);
    let mut shown = Shown::default();
    let mut told = false;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            job = &mut driving => {
                shown.end();
                let job = job?;
                if job.is_none() {
                    eprintln!("Stopped at its checkpoints. To go on: nextbasket jobs work {id}");
                }
                return Ok(job);
            }
            _ = looks.tick() => shown.look(engine, id).await?,
            result = &mut interrupted, if !told => {
                result?;
                told = true;
                stop.stop();
            }
        }
    }
}

/// What is shown of a job's progress.
#[derive(Default)]
struct Shown {
    stage: Option<(u32, Progress)>,
    waiting: bool,
}

impl Shown {
    async fn look(&mut self, engine: &Engine, id: &JobId) -> Result<(), Failure> {
        let Ok(view) = engine.show(id).await else { return Ok(()) };
        let Some(stage) = view.job.stage() else {
            if !self.waiting
                && let Ok(Step::Locked { name, holder }) = engine.plan(id).await
            {
                self.waiting = true;
                eprintln!("Waiting for the lock {name}, which {holder} has.");
            }
            return Ok(());
        };
        if self.stage.as_ref().is_none_or(|(number, _)| *number != stage.number) {
            self.end();
            let total = stage.of.unwrap_or_else(|| u64::from(stage.batches));
            self.stage = Some((stage.number, Progress::new(stage.name.clone(), total, false)));
        }
        if let Some((_, bar)) = &self.stage {
            let done = if stage.of.is_some() { stage.progress.processed } else { u64::from(stage.done) };
            bar.set_total(stage.of.unwrap_or_else(|| u64::from(stage.batches)).max(done));
            bar.set(done);
        }
        Ok(())
    }

    fn end(&mut self) {
        if let Some((_, bar)) = self.stage.take() {
            bar.finish("done");
        }
    }
}
