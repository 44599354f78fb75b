//! `train`: a model of the purchases, which becomes the live one.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use clap::Args;
use nextbasket_job_engine::{Engine, Job};
use nextbasket_jobs_train::{ModelMetrics, NoPurchases};
use nextbasket_recommender::Params;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Failure;
use crate::folder_sharing::IfMissing;
use crate::job_run::{EndedJob, RunOptions, engine_at, run_on};
use crate::stdio::{errln, print_result};
use crate::target::TargetOptions;

#[derive(Debug, Args)]
pub struct Train {
    #[command(flatten)]
    pub target: TargetOptions,
    /// A JSON file of parameters that differ from the defaults
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// The number of threads [default: one for each core]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZero<usize>>,
    /// Print an estimate, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trained {
    model_version: u64,
    users: u64,
    purchases: u64,
    products: u64,
    /// How long groups of its stages took, which the job does not report.
    #[serde(skip_deserializing)]
    seconds: Seconds,
    /// None if there was no basket to evaluate the model on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metrics: Option<ModelMetrics>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
struct Seconds {
    reading: f64,
    counting: f64,
    publishing: f64,
}

pub(crate) async fn run(options: &Train) -> Result<(), Failure> {
    let params = match &options.params {
        Some(path) => read_params(path)?,
        None => json!({}),
    };
    let target = options.target.open(IfMissing::Fail).await?;
    let result = match engine_at(&target) {
        Ok(engine) => {
            let run_options = RunOptions {
                dry_run: options.dry_run,
                json: options.json,
                other_processes: target.other_processes(),
                ..RunOptions::default()
            };
            let training = train(&engine, &target.folder, params, options.threads, run_options);
            target.bulk_load(training).await.and_then(|trained| trained)
        }
        Err(failure) => Err(failure),
    };
    if let Some(trained) = target.close(result).await? {
        let value = serde_json::to_value(&trained).map_err(Failure::other)?;
        print_result(options.json, &value, || sentence(&trained));
    }
    Ok(())
}

/// The content of a file, as it is: missing parameters have their defaults.
pub(super) fn read_params(path: &Path) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(path).map_err(Failure::of_file(path))?;
    let invalid =
        |error: &dyn std::fmt::Display| Failure::Usage(format!("--params: {}: {error}", path.display()));
    let params: Params = serde_json::from_str(&text).map_err(|error| invalid(&error))?;
    params.validate().map_err(|error| invalid(&error))?;
    serde_json::from_str(&text).map_err(|error| invalid(&error))
}

/// Trains with progress on standard error; `None` after a dry run.
pub(crate) async fn train(
    engine: &Engine,
    folder: &Path,
    params: Value,
    threads: Option<NonZero<usize>>,
    run_options: RunOptions,
) -> Result<Option<Trained>, Failure> {
    let threads = threads.or_else(|| available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN);
    let workers = u32::try_from(threads.get()).unwrap_or(u32::MAX).min(1_000);
    let parameters = json!({ "params": params, "width": workers });
    let run_options = RunOptions { workers, ..run_options };
    let Some(ended) = run_on(engine, folder, "train", parameters, &run_options).await? else {
        return Ok(None);
    };
    if ended.job.failure.as_deref() == Some(NoPurchases.to_string().as_str()) {
        return Err(NoPurchases.into());
    }
    let ended: EndedJob = ended.succeeded()?;
    ended.report_skipped();
    let seconds = seconds(&ended.job);
    errln!(
        "Training: read {:.1} s, counted {:.1} s, published {:.1} s",
        seconds.reading,
        seconds.counting,
        seconds.publishing
    );
    Ok(Some(Trained { seconds, ..ended.result_as()? }))
}

fn seconds(job: &Job) -> Seconds {
    let mut seconds = Seconds::default();
    for stage in &job.stages {
        let end = stage.ended_at.unwrap_or(stage.started_at).as_millis();
        #[allow(clippy::cast_precision_loss, reason = "a duration in milliseconds")]
        let took = (end - stage.started_at.as_millis()).max(0) as f64 / 1000.0;
        *match stage.name.as_str() {
            "survey" | "catalogue" => &mut seconds.reading,
            "draft" | "publish" | "switch" => &mut seconds.publishing,
            _ => &mut seconds.counting,
        } += took;
    }
    seconds
}

pub(crate) fn sentence(trained: &Trained) -> String {
    let ranker = trained.metrics.as_ref().and_then(|metrics| metrics.ranker.as_ref());
    let ranker = ranker.map_or(String::new(), |ranker| format!("\n{}", ranker.reason));
    format!(
        "Model {} is live: {} products from {} purchases of {} users.{ranker}",
        trained.model_version, trained.products, trained.purchases, trained.users
    )
}
