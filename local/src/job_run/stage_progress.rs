//! The progress of a job: one bar for each of its stages.

use std::time::Duration;

use nextbasket_job_engine::engine::Step;
use nextbasket_job_engine::{Engine, Job, JobId};

use crate::job_text::DONE;
use crate::stdio::errln;
use crate::step_progress::StepProgress;

/// A stage that ends sooner leaves no line.
const SHORTEST_SHOWN: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct StageProgress {
    stage: Option<(u32, StepProgress)>,
    lock_shown: bool,
}

impl StageProgress {
    /// Reads the job and shows where it is.
    pub(super) async fn poll(&mut self, engine: &Engine, id: &JobId) {
        let Ok(job) = engine.progress(id).await else { return };
        self.show(&job);
        if job.stage().is_none() {
            self.show_lock(engine, id).await;
        }
    }

    /// Reports once which lock the job waits for, if it does.
    pub(super) async fn show_lock(&mut self, engine: &Engine, id: &JobId) {
        if !self.lock_shown
            && let Ok(Step::Locked { name, holder }) = engine.plan(id).await
        {
            self.lock_shown = true;
            errln!("Waiting for the lock {name}, which {holder} holds.");
        }
    }

    pub(super) fn show(&mut self, job: &Job) {
        let Some(stage) = job.stage() else { return };
        let total = stage.of.unwrap_or_else(|| u64::from(stage.batches));
        if self.stage.as_ref().is_none_or(|(number, _)| *number != stage.number) {
            // The next stage is planned only when all of this one is done.
            self.end(DONE);
            self.stage = Some((stage.number, StepProgress::new(stage.name.clone(), total)));
        }
        if let Some((_, bar)) = &self.stage {
            bar.set_total(total);
            bar.set(if stage.of.is_some() { stage.progress.processed } else { u64::from(stage.done) });
        }
    }

    /// Ends the bar of the stage with this status.
    pub(super) fn end(&mut self, status: &str) {
        if let Some((_, bar)) = self.stage.take() {
            match status {
                _ if bar.elapsed() < SHORTEST_SHOWN => bar.clear(),
                DONE => bar.finish(DONE),
                status => bar.stop(status),
            }
        }
    }
}
