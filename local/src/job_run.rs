//! A job that a command runs: submitted, worked on with its progress shown, until it has ended.

pub(crate) mod driver;
mod stage_progress;

use std::io::Write;
use std::path::{Path, PathBuf};

use nextbasket_job_engine::engine;
use nextbasket_job_engine::{Engine, Job, JobId, JobState, Vouching};
use nextbasket_objects::AtomicFile;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Failure;
use crate::confirmation::Confirmation;
use crate::failure::job_failure;
use crate::folder_session::OtherProcesses;
use crate::folder_sharing::IfMissing;
use crate::job_text;
use crate::local_deployment::vouching_by;
use crate::signals::TerminationSignal;
use crate::stdio::{errln, print_result};
use crate::target::{Target, TargetOptions, TargetPlace};
use driver::{DriveOutcome, JobDriver};

/// How many batches a process works on at the same time by default.
pub(crate) const WORKERS: u32 = 8;

/// Options that are named otherwise than their parameters, of all commands.
const NAMED: &[(&str, &str)] = &[
    ("table", "TABLE"),
    ("source", "FILE"),
    ("sources", "FILE"),
    ("tables", "TABLES"),
    ("from", "FROM"),
    ("dump", "SIDE"),
    ("left", "LEFT"),
    ("right", "RIGHT"),
    ("output", "--to"),
    ("to.table", "TO"),
    ("to.region", "--to-region"),
    ("to.endpoint", "--to-endpoint"),
    ("to.profile", "--to-profile"),
    ("input.files", "INPUT"),
    ("keep.count", "--keep"),
    ("keep.days", "--keep-days"),
    ("follow.interval", "--interval"),
    ("batchItems", "--batch-size"),
    ("consistentRead", "--consistent"),
    ("split.attribute", "--by"),
    ("profile", "--as"),
    ("guests", "--guest"),
    ("readUnits", "--rcu"),
    ("writeUnits", "--wcu"),
];

#[derive(Debug, Clone)]
pub(crate) struct RunOptions {
    /// How many batches this process works on at the same time.
    pub workers: u32,
    /// Print JSON: here the estimate of a dry run.
    pub json: bool,
    /// The file for rejected items; `None`: `refused/JOB.jsonl` in the data folder, or in the working folder if the
    /// job is elsewhere.
    pub refused: Option<PathBuf>,
    /// Converts a line of the job's refused files to a line of that file; `None` skips it.
    pub refused_line: fn(&str) -> Option<String>,
    /// Rejected items are not wanted in a file.
    pub discard_refused: bool,
    /// Only print the estimate.
    pub dry_run: bool,
    /// Print the estimate on standard error before the job starts.
    pub estimate_first: bool,
    /// To be confirmed before the job starts, and where.
    pub confirm: Option<Confirmation>,
    pub place: TargetPlace,
    pub other_processes: OtherProcesses,
    /// The options that lead to the job, for whoever resumes it.
    pub target_options: String,
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
            discard_refused: false,
            dry_run: false,
            estimate_first: false,
            confirm: None,
            place: TargetPlace::default(),
            other_processes: OtherProcesses::Unknown,
            target_options: String::new(),
            endless: false,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct EndedJob {
    pub job: Job,
    /// Batches of its last stage that failed for good.
    pub failures: Vec<engine::BatchFailure>,
    /// The file with the rejected items, if there are any.
    pub refused: Option<PathBuf>,
    /// The signal that ended a job that has no end of its own.
    pub stopped_by: Option<TerminationSignal>,
}

impl EndedJob {
    /// The job's result; null if it has failed.
    pub(crate) fn result(&self) -> &Value {
        self.job.result.as_ref().unwrap_or(&Value::Null)
    }

    /// The job's result as a type of the command's own.
    pub(crate) fn result_as<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        T::deserialize(self.result())
            .map_err(|error| Failure::other(format!("result of job {}: {error}", self.job.job_id)))
    }

    /// Prints the job's result: as JSON, `{"jobId", "state", "result", "total", "failures", "refusedFile"}`, or in
    /// words.
    pub(crate) fn print(&self, as_json: bool, words: impl FnOnce() -> String) {
        let Job { job_id, state, result, total, .. } = &self.job;
        let value = json!({
            "jobId": job_id,
            "state": state,
            "result": result,
            "total": total,
            "failures": self.failures,
            "refusedFile": self.refused,
        });
        print_result(as_json, &value, words);
    }

    /// Reports skipped damaged items, if any. They are not a failure.
    pub(crate) fn report_skipped(&self) {
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
        self.stopped_by.map_or(Ok(()), Failure::of_endless)
    }

    /// The failure that the command ends with unless the job has succeeded.
    pub(crate) fn succeeded(self) -> Result<Self, Failure> {
        job_failure(&self.job)?;
        Ok(self)
    }
}

/// The engine at a target. If the state of jobs is in a folder, processes that have its key vouch for jobs; elsewhere
/// this process vouches for the jobs that it submits.
pub(crate) fn engine_at(target: &Target) -> Result<Engine, Failure> {
    vouching_engine(target, target.key().map_or_else(Vouching::submitted, vouching_by))
}

/// Like [`engine_at`], but with these vouchers.
pub(crate) fn vouching_engine(target: &Target, vouching: Vouching) -> Result<Engine, Failure> {
    let kinds = nextbasket_job_kinds::kinds(&target.tables, target.lambda.clone());
    Ok(Engine::new(target.job_site()?, kinds).vouching(vouching))
}

/// Submits a job at this target, works on it and shows its progress until it has succeeded, or, if it has no end of
/// its own, until it is cancelled. `None` after a dry run, whose estimate is printed.
///
/// # Errors
/// [`Failure`] if the target cannot be reached, or the job is rejected, has failed or was cancelled; or if the command
/// was interrupted: the message says who works on the job then, and how to resume or end it.
pub(crate) async fn run(
    target: &TargetOptions,
    kind: &str,
    parameters: Value,
    options: &RunOptions,
) -> Result<Option<EndedJob>, Failure> {
    // A map of files uses the folder for nothing but its own batches.
    let of_files = kind == "map" && parameters.pointer("/input/files").is_some();
    let fills = of_files || matches!(kind, "fill" | "restore");
    let missing = if fills { IfMissing::filled(options.dry_run) } else { IfMissing::Fail };
    if missing == IfMissing::Create {
        check_before_new_folder(target, kind, &parameters).await?;
    }
    let target = target.open(missing).await?;
    let ran = run_at(&target, kind, parameters, options).await;
    match target.close(ran).await? {
        Some(ended) if options.endless && ended.job.state == JobState::Cancelled => Ok(Some(ended)),
        Some(ended) => ended.succeeded().map(Some),
        None => Ok(None),
    }
}

/// What cannot work leaves no new folder: if there is none yet, the job is estimated in memory first.
///
/// # Errors
/// [`Failure`] if the job's parameters are refused, or what it reads is not there.
pub(crate) async fn check_before_new_folder(
    target: &TargetOptions,
    kind: &str,
    parameters: &Value,
) -> Result<(), Failure> {
    if !target.is_data_folder() || target.data.exists() {
        return Ok(());
    }
    let in_memory = target.open(IfMissing::InMemory).await?;
    let estimated = match engine_at(&in_memory) {
        Ok(engine) => engine.estimate(kind, parameters).await.map_err(|error| name_option(error.into())),
        Err(failure) => Err(failure),
    };
    in_memory.close(estimated).await.map(drop)
}

/// As [`run`], at an open target, for commands that have more to do there; the job may have ended in any state.
pub(crate) async fn run_at(
    target: &Target,
    kind: &str,
    parameters: Value,
    options: &RunOptions,
) -> Result<Option<EndedJob>, Failure> {
    let options = RunOptions {
        other_processes: target.other_processes(),
        place: target.place.clone(),
        target_options: target.options.clone(),
        ..options.clone()
    };
    let ran = run_on(&engine_at(target)?, &target.folder, kind, parameters, &options).await;
    ran.map_err(name_option)
}

/// As [`run_at`], on an engine; the default file of rejected items is in this folder.
pub(crate) async fn run_on(
    engine: &Engine,
    folder: &Path,
    kind: &str,
    parameters: Value,
    options: &RunOptions,
) -> Result<Option<EndedJob>, Failure> {
    if options.dry_run || options.estimate_first {
        let estimate = engine.estimate(kind, &parameters).await?;
        if options.dry_run {
            let value = serde_json::to_value(&estimate).map_err(Failure::other)?;
            print_result(options.json, &value, || job_text::estimate(&estimate));
            return Ok(None);
        }
        errln!("{}", job_text::estimate(&estimate));
    }
    if let Some(confirm) = &options.confirm {
        confirm.ask(engine.site(), &options.place).await?;
    }
    let id = engine.submit(None, kind, parameters).await?.job_id;
    let driver = JobDriver {
        engine,
        target_options: &options.target_options,
        workers: options.workers.max(1),
        other_processes: options.other_processes,
    };
    let (job, stopped_by) = match driver.run_to_end(&id, options.endless).await? {
        DriveOutcome::Ended(job, stopped_by) => (*job, stopped_by),
        DriveOutcome::Interrupted(by) => return Err(driver.interrupted(&id, by)),
    };
    let refused = if job.total.refused > 0 && !options.discard_refused {
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
    Ok(Some(EndedJob { job, failures, refused, stopped_by }))
}

/// Names the option instead of the job's parameter: `parameters.timeFormat` is `--time-format`, except for
/// those in [`NAMED`].
fn name_option(failure: Failure) -> Failure {
    let Failure::Usage(text) = &failure else { return failure };
    let Some((field, problem)) = text.strip_prefix("parameters.").and_then(|rest| rest.split_once(": "))
    else {
        return failure;
    };
    if let Some((_, option)) = NAMED.iter().find(|(name, _)| *name == field) {
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

/// Copies the job's rejected items into one file, which appears when it is complete.
async fn write_refused(
    engine: &Engine,
    id: &JobId,
    path: &Path,
    line: fn(&str) -> Option<String>,
) -> Result<(), Failure> {
    let mut file = AtomicFile::create(path).map_err(Failure::of_file(path))?;
    for key in engine.refused(id).await? {
        let content = engine.site().objects.get(&key).await.map_err(Failure::other)?;
        for line in String::from_utf8_lossy(&content).lines().filter_map(line) {
            writeln!(file, "{line}").map_err(Failure::of_file(path))?;
        }
    }
    file.publish().map_err(Failure::of_file(path))
}
