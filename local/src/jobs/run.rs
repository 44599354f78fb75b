//! A job that is run from the command line: submitted, worked on, its progress shown, until it has ended.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nextbasket_batch::engine::{self, Step};
use nextbasket_batch::pool::{self, Stop};
use nextbasket_batch::{Engine, Job, JobId, JobState};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{ended, engine, print, say, show};
use crate::Failure;
use crate::progress::Progress;
use crate::serve::until_stopped;
use crate::target::{Reached, Target};

/// How often the progress is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A stage that is over sooner is not told.
const TOLD: Duration = Duration::from_secs(2);

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
    /// Nobody else works on jobs there, so one that has a lock was left by a command that is gone.
    pub alone: bool,
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
            alone: false,
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

    /// The failure that the command ends with if items were refused.
    pub(crate) fn none_refused(&self) -> Result<(), Failure> {
        let Some(file) = &self.refused else { return Ok(()) };
        let count = self.job.total.refused;
        Err(Failure::Other(format!("{count} items were refused: see {}", file.display())))
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
    let reached = target.reach().await?;
    let ran = run_at(&reached, kind, parameters, options).await;
    reached.close().await?;
    match ran? {
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
    let options = RunOptions { alone: reached.is_alone(), ..options.clone() };
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
        eprintln!("{}", show::estimate(&estimate));
    }
    let id = engine.submit(None, kind, parameters).await?.job_id;
    if options.alone {
        end_what_was_left(engine, &id, options.workers.max(1)).await?;
    }
    let Some(job) = driven(engine, &id, options.workers.max(1), options.endless, &Stop::default()).await?
    else {
        return Err(Failure::other(format!("stopped. {}", to_go_on(&id, folder))));
    };
    let refused = if job.total.refused > 0 {
        let path = options.refused.clone().unwrap_or_else(|| folder.join(format!("refused/{id}.jsonl")));
        write_refused(engine, &id, &path, options.refused_line).await?;
        Some(path)
    } else {
        None
    };
    let failures = engine.show(&id).await?.failures;
    Ok(Some(Ended { job, failures, refused }))
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
pub(super) async fn work(
    engine: &Engine,
    id: &JobId,
    workers: u32,
    stop: &Stop,
    as_json: bool,
) -> Result<(), Failure> {
    engine.job(id).await?;
    let Some(job) = driven(engine, id, workers, false, stop).await? else {
        eprintln!("{}", to_go_on(id, Path::new("")));
        return Ok(());
    };
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

/// A job that was left with the lock that this one needs would keep it for minutes, and stay unfinished.
async fn end_what_was_left(engine: &Engine, id: &JobId, workers: u32) -> Result<(), Failure> {
    let mut last = None;
    while let Step::Locked { name, holder } = engine.plan(id).await? {
        let left = holder.strip_prefix("job/").and_then(|id| JobId::parse(id).ok());
        let Some(left) = left.filter(|left| last.as_ref() != Some(left)) else { return Ok(()) };
        eprintln!("Job {left} was left with the lock {name}: it is brought to its end first.");
        if engine.job(&left).await?.parameters.get("follow").is_some() {
            // It has no end of its own.
            engine.cancel(&left).await?;
        }
        if driven(engine, &left, workers, false, &Stop::default()).await?.is_none() {
            return Err(Failure::other(format!("stopped; nextbasket jobs work {id} goes on")));
        }
        last = Some(left);
    }
    Ok(())
}

/// Works on the job and shows its progress until it has ended; `None` if it was interrupted and left for later.
async fn driven(
    engine: &Engine,
    id: &JobId,
    workers: u32,
    endless: bool,
    stop: &Stop,
) -> Result<Option<Job>, Failure> {
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
                return Ok(job?);
            }
            _ = looks.tick() => shown.look(engine, id).await?,
            result = &mut interrupted, if !told => {
                result?;
                told = true;
                if endless {
                    engine.cancel(id).await?;
                } else {
                    stop.stop();
                }
            }
        }
    }
}

/// `folder`: the data folder, or empty.
fn to_go_on(id: &JobId, folder: &Path) -> String {
    let mut text = format!("The job waits at its checkpoints. To go on: nextbasket jobs work {id}");
    if !folder.as_os_str().is_empty() {
        text.push_str(&format!(" --data {}", folder.display()));
    }
    text
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
            if bar.elapsed() < TOLD {
                bar.clear();
            } else {
                bar.finish("done");
            }
        }
    }
}

/// Copies the job's refused items into one file.
async fn write_refused(
    engine: &Engine,
    id: &JobId,
    path: &Path,
    line: fn(&str) -> Option<String>,
) -> Result<(), Failure> {
    let failed = |source| Failure::File { path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).map_err(failed)?);
    for key in engine.refused(id).await? {
        let content = engine.site().objects.get(&key).await.map_err(Failure::other)?;
        for line in String::from_utf8_lossy(&content).lines().filter_map(line) {
            writeln!(file, "{line}").map_err(failed)?;
        }
    }
    file.flush().map_err(failed)
}
