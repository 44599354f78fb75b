//! Works on a job together with other processes, and shows its progress.

use std::time::{Duration, Instant};

use nextbasket_job_engine::engine::Step;
use nextbasket_job_engine::pool::{self, Stop};
use nextbasket_job_engine::{Engine, Job, JobId};

use super::stage_progress::StageProgress;
use crate::Failure;
use crate::failure::job_failure;
use crate::folder_session::OtherProcesses;
use crate::job_text;
use crate::signals::{TerminationSignal, until_stopped};
use crate::stdio::errln;

/// How often the progress is read.
const POLL: Duration = Duration::from_millis(500);

/// How long a job must be unchanged before nobody can be working on it: longer than the claims of a killed process.
const QUIET: Duration = Duration::from_secs(20);

/// How many times in a row the table may fail to answer a command that waits.
const MAX_ERRORS: u32 = 20;

/// Works on jobs in this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JobDriver<'a> {
    pub engine: &'a Engine,
    /// The options that lead to the job, such as ` --data shop`.
    pub target_options: &'a str,
    /// How many batches this process works on at the same time.
    pub workers: u32,
    pub other_processes: OtherProcesses,
}

pub(crate) enum DriveOutcome {
    /// The job has ended; with the signal that caused it, if the job had no end of its own.
    Ended(Box<Job>, Option<TerminationSignal>),
    /// The command was interrupted; the job can be resumed.
    Interrupted(TerminationSignal),
}

impl JobDriver<'_> {
    /// Works on a job, with other processes, until it has ended, and prints it.
    pub(crate) async fn work(&self, id: &JobId, as_json: bool) -> Result<(), Failure> {
        self.engine.job(id).await?;
        match self.run_to_end(id, false).await? {
            DriveOutcome::Ended(job, _) => self.print_ended(&job, as_json).await,
            DriveOutcome::Interrupted(by) => Err(self.interrupted(id, by)),
        }
    }

    /// Waits for a job that other processes work on, and prints it; if no process does, works on it.
    pub(crate) async fn wait(&self, id: &JobId, as_json: bool) -> Result<(), Failure> {
        let (mut shown, mut seen, mut errors) = (StageProgress::default(), None, 0);
        let mut quiet_since = Instant::now();
        loop {
            let job = match self.engine.progress(id).await {
                Ok(job) => job,
                Err(error) if error.is_transient() && errors < MAX_ERRORS => {
                    errors += 1;
                    tokio::time::sleep(POLL).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            errors = 0;
            if job.state.has_ended() {
                shown.end(job_text::status(job.state));
                return self.print_ended(&job, as_json).await;
            }
            if seen.as_ref() != Some(&job) {
                quiet_since = Instant::now();
            }
            let since = match self.other_processes {
                OtherProcesses::None => Some("No other"),
                OtherProcesses::Commands if quiet_since.elapsed() > QUIET => Some("For a while no"),
                _ => None,
            };
            if let Some(since) = since {
                shown.end("nobody works on it:");
                errln!("{since} process works on job {id}; this one does now.");
                return self.work(id, as_json).await;
            }
            shown.show(&job);
            if job.stage().is_none() {
                shown.show_lock(self.engine, id).await;
            }
            seen = Some(job);
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                by = until_stopped() => return Err(Failure::Stopped { by, message: String::new() }),
            }
        }
    }

    async fn print_ended(&self, job: &Job, as_json: bool) -> Result<(), Failure> {
        job_text::print(&self.engine.show(&job.job_id).await?, as_json)?;
        job_failure(job)
    }

    /// Works on the job, and first on the one that holds the lock that it needs: where no server works on jobs, no
    /// other process may do so.
    pub(crate) async fn run_to_end(&self, id: &JobId, endless: bool) -> Result<DriveOutcome, Failure> {
        if matches!(self.other_processes, OtherProcesses::None | OtherProcesses::Commands) {
            let mut last = None;
            while let Step::Locked { name, holder } = self.engine.plan(id).await? {
                let other = holder.strip_prefix("job/").and_then(|id| JobId::parse(id).ok());
                let Some(other) = other.filter(|other| last.as_ref() != Some(other)) else { break };
                let follows = self.engine.job(&other).await?.parameters.get("follow").is_some();
                if self.other_processes == OtherProcesses::None {
                    errln!("Job {other} was left with the lock {name}: it is brought to its end first.");
                    if follows {
                        // That job has no end of its own.
                        self.engine.cancel(&other).await?;
                    }
                } else if follows {
                    break;
                } else {
                    errln!("Job {other} has the lock {name}: it is worked on first, whoever else does.");
                }
                if let DriveOutcome::Interrupted(by) = self.drive(&other, false).await? {
                    return Ok(DriveOutcome::Interrupted(by));
                }
                last = Some(other);
            }
        }
        self.drive(id, endless).await
    }

    /// Works on the job and shows its progress until it has ended, or was interrupted and can be resumed.
    async fn drive(&self, id: &JobId, endless: bool) -> Result<DriveOutcome, Failure> {
        let stop = Stop::default();
        let driving = pool::drive(self.engine, id, self.workers, &stop);
        tokio::pin!(driving);
        let interrupted = until_stopped();
        tokio::pin!(interrupted);
        let mut shown = StageProgress::default();
        let mut stopped_by = None;
        let mut polls = tokio::time::interval(POLL);
        loop {
            tokio::select! {
                driven = &mut driving => {
                    let job = driven.inspect_err(|_| shown.end("stopped"))?;
                    shown.end(job.as_ref().map_or("stopped", |job| job_text::status(job.state)));
                    return Ok(match job {
                        Some(job) => DriveOutcome::Ended(Box::new(job), stopped_by),
                        None => DriveOutcome::Interrupted(stopped_by.unwrap_or(TerminationSignal::Terminate)),
                    });
                }
                _ = polls.tick() => shown.poll(self.engine, id).await,
                by = &mut interrupted, if stopped_by.is_none() => {
                    stopped_by = Some(by);
                    if endless {
                        self.engine.cancel(id).await?;
                    } else {
                        stop.stop();
                    }
                }
            }
        }
    }

    /// The failure of a command that was interrupted, with who works on the job now, and how to end or resume it.
    pub(crate) fn interrupted(&self, id: &JobId, by: TerminationSignal) -> Failure {
        let options = self.target_options;
        let (now, next) = match self.other_processes {
            OtherProcesses::Server => {
                ("stopped here. The server goes on with the job.", "wait for it: nextbasket jobs wait")
            }
            _ => (
                "stopped. The job waits at its checkpoints, and keeps its lock.",
                "resume it: nextbasket jobs work",
            ),
        };
        let message =
            format!("{now}\nTo {next} {id}{options}\nTo end it: nextbasket jobs cancel {id}{options}");
        Failure::Stopped { by, message }
    }
}
