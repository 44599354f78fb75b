//! `train`: counts the purchases and makes the model the live one, as a job.

use std::num::NonZero;
use std::path::Path;
use std::thread::available_parallelism;

use nextbasket_batch::{Engine, Job};
use nextbasket_recommender::Params;
use nextbasket_training::TrainingError;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Failure;
use crate::cli::Train;
use crate::jobs::engine;
use crate::jobs::run::{Ended, RunOptions, run_on};
use crate::out::{errln, outln};
use crate::place::Absent;

/// What a training came to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trained {
    model_version: u64,
    users: u64,
    purchases: u64,
    products: u64,
    #[serde(skip)]
    seconds: Seconds,
}

/// How long its stages took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Seconds {
    reading: f64,
    counting: f64,
    publishing: f64,
}

/// Trains on the purchases.
///
/// # Errors
/// [`Failure`] if the parameters or the target cannot be used, or there is nothing to train on.
pub async fn run(options: &Train) -> Result<(), Failure> {
    let params = match &options.params {
        Some(path) => read_params(path)?,
        None => json!({}),
    };
    let reached = options.target.reach(Absent::Refuse).await?;
    let result = match engine(&reached) {
        Ok(engine) => {
            let how = RunOptions {
                dry_run: options.dry_run,
                json: options.json,
                company: reached.company(),
                ..RunOptions::default()
            };
            let training = train(&engine, reached.folder(), params, options.threads, how);
            reached.in_bulk(training).await.and_then(|trained| trained)
        }
        Err(failure) => Err(failure),
    };
    let result = reached.finish(result).await;
    let Some(trained) = result? else { return Ok(()) };
    if options.json {
        outln!("{}", as_json(&trained));
    } else {
        outln!("{}", sentence(&trained));
    }
    Ok(())
}

/// Of a file, as it is; what is left out has its default.
fn read_params(path: &Path) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(path).map_err(Failure::of_file(path))?;
    let wrong = |error: &dyn std::fmt::Display| Failure::Usage(format!("{}: {error}", path.display()));
    let params: Params = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    params.validate().map_err(|error| wrong(&error))?;
    serde_json::from_str(&text).map_err(|error| wrong(&error))
}

/// Trains with progress on standard error; `None` after a dry run.
///
/// # Errors
/// [`Failure`] if the job fails or is left for later.
pub(crate) async fn train(
    engine: &Engine,
    folder: &Path,
    params: Value,
    threads: Option<NonZero<usize>>,
    how: RunOptions,
) -> Result<Option<Trained>, Failure> {
    let threads = threads.or_else(|| available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN);
    let workers = u32::try_from(threads.get()).unwrap_or(u32::MAX).min(1_000);
    let parameters = json!({ "params": params, "width": workers });
    let how = RunOptions { workers, ..how };
    let Some(ended) = run_on(engine, folder, "train", parameters, &how).await? else {
        return Ok(None);
    };
    if ended.job.failure.as_deref() == Some(TrainingError::NoPurchases.to_string().as_str()) {
        return Err(TrainingError::NoPurchases.into());
    }
    let ended: Ended = ended.succeeded()?;
    ended.note_skipped();
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

/// What a training came to, in a sentence.
pub(crate) fn sentence(trained: &Trained) -> String {
    format!(
        "Model {} is live: {} products from {} purchases of {} users.",
        trained.model_version, trained.products, trained.purchases, trained.users
    )
}

fn as_json(trained: &Trained) -> Value {
    json!({
        "modelVersion": trained.model_version,
        "users": trained.users,
        "purchases": trained.purchases,
        "products": trained.products,
        "seconds": {
            "reading": trained.seconds.reading,
            "counting": trained.seconds.counting,
            "publishing": trained.seconds.publishing,
        },
    })
}
