//! A job that is run from the command line: submitted, worked on, its progress shown, until it has ended.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nextbasket_batch::engine::{self, Step};
use nextbasket_batch::pool::{self, Stop};
use nextbasket_batch::{Engine, Job, JobId, JobState};
use nextbasket_job_io::output::Output;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{ended, engine, print, say, show};
use crate::Failure;
use crate::out::errln;
use crate::place::{Absent, Company};
use crate::progress::Progress;
use crate::signals::{Stopping, until_stopped};
use crate::target::{Reached, Target};

/// How often the progress is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A stage that is over sooner is not told.
const TOLD: Duration = Duration::from_secs(2);

/// The status of a stage that is complete.
const DONE: &str = "done";

/// How long a job must be unchanged before nobody can be working on it: longer than the claims of a killed process.
const QUIET: Duration = Duration::from_secs(20);

/// How many times in a row the table may fail to answer a command that waits.
const MAX_ERRORS: u32 = 20;

/// How many batches a process works on at a time, if nothing else is said.
pub(crate) const WORKERS: u32 = 8;

/// How a job is run.
#[derive(Debug, Clone)]
pub(crate) struct RunOptions {
    /// How many batches this process works on at a time.
    pub workers: u32,
    /// Print JSON: here the estimate of a dry run.
    pub json: bool,
    /// Where refused items go, if there are any; `None`: `refused/JOB.jsonl` in the data folder, or in the working
    /// folder if the job is elsewhere.
    pub refused: Option<PathBuf>,
    /// What a line of the job's refused files becomes there; `None` leaves it out.
    pub refused_line: fn(&str) -> Option<String>,
    /// Only say what the job would take.
    pub dry_run: bool,
    /// Say first what the job will take, on standard error.
    pub estimate_first: bool,
    /// Which other processes work there.
    pub company: Company,
    /// The job has no end of its own: Ctrl-C cancels it instead of leaving it for later.
    pub endless: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            workers: WORKERS,
            json: false,
            refused: None,
            refused_line: |line| Some(line.to_owned()),
            dry_run: false,
            estimate_first: false,
            company: Company::Workers,
            endless: false,
        }
    }
}

/// A job that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// The job.
    pub job: Job,
    /// Batches of its last stage that failed for good.
    pub failures: Vec<engine::Failure>,
    /// The file with the refused items, if there are any.
    pub refused: Option<PathBuf>,
    /// The signal that asked for the end of a job that has no end of its own.
    pub stopping: Option<Stopping>,
}

impl Ended {
    /// What the job came to; null if it has failed.
    pub(crate) fn result(&self) -> &Value {
        self.job.result.as_ref().unwrap_or(&Value::Null)
    }

    /// What the job came to, as a type of the command's own.
    ///
    /// # Errors
    /// [`Failure`] if it is of another form.
    pub(crate) fn result_as<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        T::deserialize(self.result())
            .map_err(|error| Failure::other(format!("the result of job {}: {error}", self.job.job_id)))
    }

    /// Prints what the job came to: as JSON, `{"jobId", "state", "result", "total", "failures", "refusedFile"}`, or in
    /// words.
    pub(crate) fn say(&self, as_json: bool, words: impl FnOnce() -> String) {
        let Job { job_id, state, result, total, .. } = &self.job;
        let value = json!({
            "jobId": job_id,
            "state": state,
            "result": result,
            "total": total,
            "failures": self.failures,
            "refusedFile": self.refused,
        });
        say(as_json, &value, words);
    }

    /// Reports skipped damaged items, if any. They are not a failure.
    pub(crate) fn note_skipped(&self) {
        if let Some(file) = &self.refused {
            let count = self.job.total.refused;
            errln!(
                "Damaged items that were skipped: {count}. Their keys, with the reasons: {}",
                file.display()
            );
        }
    }

    /// The failure that the command ends with: because items were rejected, or after Ctrl-C.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        if let Some(file) = &self.refused {
            let count = self.job.total.refused;
            return Err(Failure::Other(format!("{count} items were refused: see {}", file.display())));
        }
        self.stopping.map_or(Ok(()), Stopping::as_end)
    }

    /// The failure that the command ends with unless the job has succeeded.
    pub(crate) fn succeeded(self) -> Result<Self, Failure> {
        ended(&self.job)?;
        Ok(self)
    }
}

/// Submits a job at this target, works on it and shows its progress until it has succeeded, or, if it has no end of
/// its own, until it is cancelled. `None` after a dry run, whose estimate is printed.
///
/// # Errors
/// [`Failure`] if the target cannot be reached, or the job is refused, has failed or was cancelled; or if the command
/// was interrupted: the job then waits at its checkpoints, as is said.
pub(crate) async fn run(
    target: &Target,
    kind: &str,
    parameters: Value,
    options: &RunOptions,
) -> Result<Option<Ended>, Failure> {
    // A map of files uses the folder for nothing but its own batches.
    let of_files = kind == "map" && parameters.pointer("/input/files").is_some();
    let fills = of_files || matches!(kind, "fill" | "restore");
    let absent = if fills { Absent::filled(options.dry_run) } else { Absent::Refuse };
    let reached = target.reach(absent).await?;
    let ran = run_at(&reached, kind, parameters, options).await;
    match reached.finish(ran).await? {
        Some(ended) if options.endless && ended.job.state == JobState::Cancelled => Ok(Some(ended)),
        Some(ended) => ended.succeeded().map(Some),
        None => Ok(None),
    }
}

/// As [`run`], at a target that was reached, for who has more to do there; the job may have ended in any state.
///
/// # Errors
/// [`Failure`] if the job is refused, or cannot be worked on.
pub(crate) async fn run_at(
    reached: &Reached,
    kind: &str,
    parameters: Value,
    options: &RunOptions,
) -> Result<Option<Ended>, Failure> {
    let options = RunOptions { company: reached.company(), ..options.clone() };
    run_on(&engine(reached)?, reached.folder(), kind, parameters, &options).await
}

/// As [`run_at`], on an engine; the default file of refused items is in this folder.
///
/// # Errors
/// [`Failure`] if the job is refused, or cannot be worked on.
pub(crate) async fn run_on(
    engine: &Engine,
    folder: &Path,
    kind: &str,
    parameters: Value,
    options: &RunOptions,
) -> Result<Option<Ended>, Failure> {
    if options.dry_run || options.estimate_first {
        let estimate = engine.estimate(kind, &parameters).await?;
        if options.dry_run {
            let value = serde_json::to_value(&estimate).map_err(Failure::other)?;
            say(options.json, &value, || show::estimate(&estimate));
            return Ok(None);
        }
        errln!("{}", show::estimate(&estimate));
    }
    let id = engine.submit(None, kind, parameters).await?.job_id;
    let here = Here { engine, folder, workers: options.workers.max(1), company: options.company };
    let (job, stopping) = match here.bring_to_its_end(&id, options.endless).await? {
        Driven::Ended(job, stopping) => (*job, stopping),
        Driven::Stopped(by) => return Err(Failure::Stopped { by, said: here.how_to_go_on(&id) }),
    };
    let refused = if job.total.refused > 0 {
        let path = options.refused.clone().unwrap_or_else(|| folder.join(format!("refused/{id}.jsonl")));
        write_refused(engine, &id, &path, options.refused_line).await?;
        if job.state == JobState::Failed {
            errln!("Refused items, with the reasons: {}", path.display());
        }
        Some(path)
    } else {
        None
    };
    let failures = engine.show(&id).await?.failures;
    Ok(Some(Ended { job, failures, refused, stopping }))
}

/// A refusal of a parameter as one of an option: `parameters.timeFormat` is `--time-format`, but for those that are
/// named here.
pub(crate) fn as_option(failure: Failure, named: &[(&str, &str)]) -> Failure {
    let Failure::Usage(text) = &failure else { return failure };
    let Some((field, problem)) = text.strip_prefix("parameters.").and_then(|rest| rest.split_once(": "))
    else {
        return failure;
    };
    if let Some((_, option)) = named.iter().find(|(name, _)| *name == field) {
        return Failure::Usage(format!("{option}: {problem}"));
    }
    let mut option = String::new();
    for c in field.rsplit('.').next().unwrap_or(field).chars() {
        if c.is_ascii_uppercase() {
            option.push('-');
        }
        option.push(c.to_ascii_lowercase());
    }
    Failure::Usage(format!("--{option}: {problem}"))
}

/// Works on a job with others until it has ended.
pub(super) async fn work(here: &Here<'_>, id: &JobId, as_json: bool) -> Result<(), Failure> {
    here.engine.job(id).await?;
    match here.bring_to_its_end(id, false).await? {
        Driven::Ended(job, _) => {
            print(&here.engine.show(&job.job_id).await?, as_json)?;
            ended(&job)
        }
        Driven::Stopped(by) => Err(Failure::Stopped { by, said: here.how_to_go_on(id) }),
    }
}

/// Waits for a job that other processes work on; if no process does, works on it.
pub(super) async fn wait(here: &Here<'_>, id: &JobId, as_json: bool) -> Result<(), Failure> {
    let (mut shown, mut seen, mut errors) = (Shown::default(), None, 0);
    let mut quiet_since = Instant::now();
    loop {
        let job = match here.engine.progress(id).await {
            Ok(job) => job,
            Err(error) if error.is_transient() && errors < MAX_ERRORS => {
                errors += 1;
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        errors = 0;
        if job.state.has_ended() {
            shown.end(how(job.state));
            print(&here.engine.show(id).await?, as_json)?;
            return ended(&job);
        }
        if seen.as_ref() != Some(&job) {
            quiet_since = Instant::now();
        }
        let quiet = quiet_since.elapsed();
        if here.company == Company::Nobody || (here.company == Company::Commands && quiet > QUIET) {
            shown.end("nobody works on it:");
            let since = if here.company == Company::Nobody { "No other" } else { "For a while no" };
            errln!("{since} process works on job {id}; this one does now.");
            return work(here, id, as_json).await;
        }
        shown.show(&job);
        if job.stage().is_none() {
            shown.tell_lock(here.engine, id).await;
        }
        seen = Some(job);
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            by = until_stopped() => return Err(Failure::Stopped { by, said: String::new() }),
        }
    }
}

/// Where a job is worked on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Here<'a> {
    /// The engine that plans and works on it.
    pub engine: &'a Engine,
    /// The data folder; an empty path if there is none.
    pub folder: &'a Path,
    /// The number of batches that this process works on at a time.
    pub workers: u32,
    /// Which other processes work there.
    pub company: Company,
}

/// How the work on a job ended here.
enum Driven {
    /// The job has ended; with the signal that asked for that, if it had no end of its own.
    Ended(Box<Job>, Option<Stopping>),
    /// The job was interrupted and can be resumed.
    Stopped(Stopping),
}

impl Here<'_> {
    /// Works on the job, and first on the one that holds the lock that it needs: where no server works on jobs, no
    /// other process may do so.
    async fn bring_to_its_end(&self, id: &JobId, endless: bool) -> Result<Driven, Failure> {
        if self.company != Company::Workers {
            let mut last = None;
            while let Step::Locked { name, holder } = self.engine.plan(id).await? {
                let other = holder.strip_prefix("job/").and_then(|id| JobId::parse(id).ok());
                let Some(other) = other.filter(|other| last.as_ref() != Some(other)) else { break };
                let follows = self.engine.job(&other).await?.parameters.get("follow").is_some();
                if self.company == Company::Nobody {
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
                if let Driven::Stopped(by) = self.drive(&other, false).await? {
                    return Ok(Driven::Stopped(by));
                }
                last = Some(other);
            }
        }
        self.drive(id, endless).await
    }

    /// Works on the job and shows its progress until it has ended, or was interrupted and can be resumed.
    async fn drive(&self, id: &JobId, endless: bool) -> Result<Driven, Failure> {
        let stop = Stop::default();
        let driving = pool::drive(self.engine, id, self.workers, &stop);
        tokio::pin!(driving);
        let interrupted = until_stopped();
        tokio::pin!(interrupted);
        let mut shown = Shown::default();
        let mut stopping = None;
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                driven = &mut driving => {
                    let job = driven.inspect_err(|_| shown.end("stopped"))?;
                    shown.end(job.as_ref().map_or("stopped", |job| how(job.state)));
                    return Ok(match (job, stopping) {
                        (Some(job), stopping) => Driven::Ended(Box::new(job), stopping),
                        (None, stopping) => Driven::Stopped(stopping.unwrap_or(Stopping::Terminate)),
                    });
                }
                _ = looks.tick() => shown.look(self.engine, id).await,
                by = &mut interrupted, if stopping.is_none() => {
                    stopping = Some(by);
                    if endless {
                        self.engine.cancel(id).await?;
                    } else {
                        stop.stop();
                    }
                }
            }
        }
    }

    fn how_to_go_on(&self, id: &JobId) -> String {
        let mut text =
            format!("stopped. The job waits at its checkpoints. To go on: nextbasket jobs work {id}");
        if !self.folder.as_os_str().is_empty() {
            text.push_str(&format!(" --data {}", self.folder.display()));
        }
        text
    }
}

/// The status of a stage that ended with the job in this state.
fn how(state: JobState) -> &'static str {
    match state {
        JobState::Succeeded => DONE,
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
        _ => "stopped",
    }
}

/// What is shown of a job's progress.
#[derive(Default)]
struct Shown {
    stage: Option<(u32, Progress)>,
    waiting: bool,
}

impl Shown {
    async fn look(&mut self, engine: &Engine, id: &JobId) {
        let Ok(job) = engine.progress(id).await else { return };
        self.show(&job);
        if job.stage().is_none() {
            self.tell_lock(engine, id).await;
        }
    }

    /// Reports once which lock the job waits for, if it does.
    async fn tell_lock(&mut self, engine: &Engine, id: &JobId) {
        if !self.waiting
            && let Ok(Step::Locked { name, holder }) = engine.plan(id).await
        {
            self.waiting = true;
            errln!("Waiting for the lock {name}, which {holder} has.");
        }
    }

    fn show(&mut self, job: &Job) {
        let Some(stage) = job.stage() else { return };
        if self.stage.as_ref().is_none_or(|(number, _)| *number != stage.number) {
            // The next stage is planned only when all of this one is done.
            self.end(DONE);
            let total = stage.of.unwrap_or_else(|| u64::from(stage.batches));
            self.stage = Some((stage.number, Progress::new(stage.name.clone(), total, false)));
        }
        if let Some((_, bar)) = &self.stage {
            bar.set_total(stage.of.unwrap_or_else(|| u64::from(stage.batches)));
            bar.set(if stage.of.is_some() { stage.progress.processed } else { u64::from(stage.done) });
        }
    }

    fn end(&mut self, how: &str) {
        if let Some((_, bar)) = self.stage.take() {
            match how {
                _ if bar.elapsed() < TOLD => bar.clear(),
                DONE => bar.finish(DONE),
                how => bar.stop(how),
            }
        }
    }
}

/// Copies the job's refused items into one file, which appears when it is complete.
async fn write_refused(
    engine: &Engine,
    id: &JobId,
    path: &Path,
    line: fn(&str) -> Option<String>,
) -> Result<(), Failure> {
    let mut file = Output::create(path).map_err(Failure::of_file(path))?;
    for key in engine.refused(id).await? {
        let content = engine.site().objects.get(&key).await.map_err(Failure::other)?;
        for line in String::from_utf8_lossy(&content).lines().filter_map(line) {
            writeln!(file, "{line}").map_err(Failure::of_file(path))?;
        }
    }
    file.publish().map_err(Failure::of_file(path))
}
