//! `train`: a training as a job, its stages spread over batches.
//!
//! | stage | batches | leaves |
//! |---|---|---|
//! | `survey` | one for each segment of the purchases, and one for the products | what was bought, by pseudonym; all stages after it work on this one reading |
//! | `catalogue` | 1 | the products of all segments, and what all parts agree on |
//! | `count` | one for each segment | sums, and counts cut by block of products |
//! | `priors` | 1 | the sums over all users, and what is known of all products |
//! | `rank` | one for each block | the model's rows, and the trial's |
//! | `evaluate` | one for each segment | how well its users' newest baskets were foretold |
//! | `draft` | 1 | a version and the idle slot; what stood there cannot go live again |
//! | `publish` | one for each block | rows in the model table |
//! | `switch` | 1 | the model live; what the job has read, removed |
//!
//! Between `evaluate` and `draft` stands the [gate](crate::gate::compare): a model that is worse than the live one by
//! more than it ends the job with both figures, before anything is written over. Without evaluation there is no stage
//! `evaluate` and no gate.
//!
//! A job holds the lock `train` from beginning to end. What it publishes is bound to its version as well, so that a job
//! that has lost its lock unawares can neither publish nor spoil what another one writes.

mod calls;
mod count;
mod course;
mod evaluate;
mod merge;
mod plan;
mod publish;
mod rank;
mod read;

use nextbasket_batch::{
    Estimate, JobError, Kind, Next, Outcome, Planning, Refusal, Site, Work, WorkError, kind,
};
use nextbasket_tables::{ConfigError, Tables};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::StageError;
use crate::settings::Settings;

const SURVEY: &str = "survey";
const CATALOGUE: &str = "catalogue";
const COUNT: &str = "count";
const PRIORS: &str = "priors";
const RANK: &str = "rank";
const EVALUATE: &str = "evaluate";
const DRAFT: &str = "draft";
const PUBLISH: &str = "publish";
const SWITCH: &str = "switch";

/// The kind `train`. Its parameters are [`Settings`].
#[derive(Debug, Clone)]
pub struct Train {
    tables: Tables,
}

impl Train {
    /// Over these tables: purchases, products and the model's.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        Self { tables }
    }
}

impl Kind for Train {
    type Task = Settings;

    fn name(&self) -> &'static str {
        "train"
    }

    fn task(&self, parameters: &Value) -> Result<Settings, Refusal> {
        let settings: Settings = kind::parameters(parameters)?;
        match settings.validate() {
            Ok(()) => Ok(settings),
            Err(error) => Err(Refusal::parameter(&error.field(), error.to_string())),
        }
    }

    fn lock(&self, _: &Settings) -> Option<String> {
        Some("train".to_owned())
    }

    async fn estimate(&self, _: &Site, settings: &Settings) -> Result<Estimate, JobError> {
        plan::estimate(&self.tables, settings).await
    }

    async fn plan(&self, planning: &Planning<'_>, settings: &Settings) -> Result<Next, JobError> {
        plan::next(&self.tables, planning, settings).await
    }

    async fn work(&self, work: &mut Work, settings: Settings) -> Result<Outcome, WorkError> {
        let tables = &self.tables;
        match work.job().stage().map(|stage| stage.name.clone()).as_deref() {
            Some(SURVEY) => read::work(work, tables).await,
            Some(CATALOGUE) => merge::catalogue(work, settings).await,
            Some(COUNT) => count::work(work).await,
            Some(PRIORS) => merge::priors(work, tables).await,
            Some(RANK) => rank::work(work).await,
            Some(EVALUATE) => evaluate::work(work, tables).await,
            Some(DRAFT) => publish::draft(work, tables).await,
            Some(PUBLISH) => publish::rows(work, tables).await,
            Some(SWITCH) => publish::switch(work, tables).await,
            other => Err(WorkError::Failed(format!("a training has no stage {other:?}"))),
        }
    }
}
/// What a stage says to bytes that it cannot work on: the same at every attempt.
fn failed(error: impl Into<StageError>) -> WorkError {
    WorkError::Failed(error.into().to_string())
}

/// A table without a name is missing in every batch.
fn unnamed(error: &ConfigError) -> WorkError {
    WorkError::Systemic(error.to_string())
}

/// Works on a thread of its own, since a claim has to be renewed meanwhile.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StageError> + Send + 'static,
) -> Result<T, WorkError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(failed),
        Err(error) => Err(WorkError::Failed(format!("the counting crashed: {error}"))),
    }
}

/// What the batch is told, and what the stages before have left.
async fn told(work: &Work) -> Result<(usize, course::Course), WorkError> {
    let input: course::Input = work.input()?;
    Ok((input.part, read_json(work, &input.course).await?))
}

async fn read_json<T: DeserializeOwned>(work: &Work, key: &str) -> Result<T, WorkError> {
    serde_json::from_slice(&work.site().objects.get(key).await?).map_err(failed)
}

/// Writes an object of this attempt's own and answers its key.
async fn put(work: &Work, name: &str, content: Vec<u8>) -> Result<String, WorkError> {
    let key = work.own_object(name);
    work.site().objects.put(&key, content).await?;
    Ok(key)
}
