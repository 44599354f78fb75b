//! `train`: a training as a job, its stages spread over batches.
//!
//! | stage | batches | result |
//! |---|---|---|
//! | `survey` | one for each segment of the purchases, and one for the products | what was bought, by pseudonym; all later stages work on this one reading |
//! | `catalogue` | 1 | the products of all segments, and what all parts agree on |
//! | `count` | one for each segment | totals, and counts of pairs cut by block of products |
//! | `priors` | 1 | the totals over all users, and the priors of all products |
//! | `rank` | one for each block | the model's rows, and the trials' |
//! | `evaluate` | one for each segment | the hidden baskets of its users, with their candidates; how well they were predicted |
//! | `learn` | 1 | a ranker, if it is better than the hand formula |
//! | `draft` | 1 | a version and the idle slot; the model in that slot cannot go live again |
//! | `publish` | one for each block | rows in the model table |
//! | `switch` | 1 | the model live; what the job has read of users, removed |
//!
//! Between `learn` and `draft` is the [gate](crate::gate::compare): a model that is worse than the live one by more
//! than the gate allows ends the job with both figures, before anything is overwritten. Without evaluation there is no
//! stage `evaluate` or `learn`, no ranker and no gate; if no ranker is wanted there is no stage `learn`.
//!
//! A job holds the lock `train` from beginning to end. What it publishes is bound to its version as well, so that a job
//! that has lost its lock unawares can neither publish nor spoil what another one writes.

mod count;
mod evaluate;
mod learn;
mod merge;
mod objects;
mod outputs;
mod plan;
mod publish;
mod rank;
mod survey;

use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::{
    Estimate, JobError, Kind, Next, Outcome, Planning, Refusal, Site, Trust, Work, WorkError, kind,
};
use nextbasket_tables::{ConfigError, Tables};
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::outputs::{BatchInput, StageOutputs};
use crate::error::StageError;
use crate::parameters::TrainParameters;

const SURVEY: &str = "survey";
const CATALOGUE: &str = "catalogue";
const COUNT: &str = "count";
const PRIORS: &str = "priors";
const RANK: &str = "rank";
const EVALUATE: &str = "evaluate";
const LEARN: &str = "learn";
const DRAFT: &str = "draft";
const PUBLISH: &str = "publish";
const SWITCH: &str = "switch";

/// The kind `train`, over these tables: purchases, products and the model's. Its parameters are [`TrainParameters`].
#[derive(Debug, Clone)]
pub struct Train(pub Tables);

impl Kind for Train {
    type Task = TrainParameters;

    fn name(&self) -> &'static str {
        "train"
    }

    fn task(&self, parameters: &Value, _: Trust) -> Result<TrainParameters, Refusal> {
        let parameters: TrainParameters = kind::parameters(parameters)?;
        parameters.validate()?;
        Ok(parameters)
    }

    fn lock(&self, _: &TrainParameters) -> Option<String> {
        Some("train".to_owned())
    }

    async fn estimate(&self, _: &Site, parameters: &TrainParameters) -> Result<Estimate, JobError> {
        plan::estimate(&self.0, parameters).await
    }

    async fn plan(&self, planning: &Planning<'_>, parameters: &TrainParameters) -> Result<Next, JobError> {
        plan::next(&self.0, planning, parameters).await
    }

    async fn work(&self, work: &mut Work, parameters: TrainParameters) -> Result<Outcome, WorkError> {
        let tables = &self.0;
        match work.job().stage().map(|stage| stage.name.clone()).as_deref() {
            Some(SURVEY) => survey::work(work, tables).await.or_else(CallError::outcome),
            Some(CATALOGUE) => merge::catalogue(work, parameters).await,
            Some(COUNT) => count::work(work).await,
            Some(PRIORS) => merge::priors(work, tables).await.or_else(CallError::outcome),
            Some(RANK) => rank::work(work).await,
            Some(EVALUATE) => evaluate::work(work, tables).await.or_else(CallError::outcome),
            Some(LEARN) => learn::work(work).await,
            Some(DRAFT) => publish::draft(work, tables).await.or_else(CallError::outcome),
            Some(PUBLISH) => publish::rows(work, tables).await.or_else(CallError::outcome),
            Some(SWITCH) => publish::switch(work, tables).await.or_else(CallError::outcome),
            other => Err(WorkError::Failed(format!("unknown stage {other:?} of a training"))),
        }
    }
}

#[cfg(feature = "schema")]
impl nextbasket_job_engine::schema::DescribedKind for Train {
    fn parameters_schema(&self) -> Value {
        nextbasket_job_engine::schema::schema_of::<TrainParameters>()
    }
}

/// Bytes that a stage cannot work on fail every attempt.
fn failed(error: impl Into<StageError>) -> WorkError {
    WorkError::Failed(error.into().to_string())
}

/// A table without a name is missing in every batch.
fn config_error(error: &ConfigError) -> WorkError {
    WorkError::Systemic(error.to_string())
}

/// Works on a thread of its own, since a claim has to be renewed meanwhile.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StageError> + Send + 'static,
) -> Result<T, WorkError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(failed),
        Err(error) => Err(WorkError::Failed(format!("the computation panicked: {error}"))),
    }
}

/// The number of the batch's segment or block, and the outputs of the earlier stages.
async fn batch_input(work: &Work) -> Result<(usize, StageOutputs), WorkError> {
    let input: BatchInput = work.input()?;
    Ok((input.part, read_json(work, &input.outputs).await?))
}

async fn read_json<T: DeserializeOwned>(work: &Work, key: &str) -> Result<T, WorkError> {
    serde_json::from_slice(&work.site().objects.get(key).await?).map_err(failed)
}
