//! The progress of a job: one bar for each of its stages.

use std::time::Duration;

use nextbasket_job_engine::engine::Step;
use nextbasket_job_engine::{Engine, Job, JobId};
use serde_json::Value;

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
        // A stage that reads files knows their bytes before it knows their records.
        let bytes = stage.split.get("bytes").and_then(Value::as_u64).filter(|_| stage.of.is_none());
        let total = stage.of.or(bytes).unwrap_or_else(|| u64::from(stage.batches));
        if self.stage.as_ref().is_none_or(|(number, _)| *number != stage.number) {
            // The next stage is planned only when all of this one is done.
            self.end(DONE);
            let name = stage.name.clone();
            let bar = match bytes {
                Some(_) => StepProgress::of_bytes(name, total),
                None => StepProgress::new(name, total),
            };
            self.stage = Some((stage.number, bar));
        }
        if let Some((_, bar)) = &self.stage {
            bar.set_total(total);
            match (stage.of, bytes) {
                (None, Some(_)) => bar.set_bytes(stage.progress.bytes, stage.progress.processed),
                (None, None) => bar.set(u64::from(stage.done)),
                (Some(_), _) => bar.set(stage.progress.processed),
            }
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
