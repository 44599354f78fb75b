//! `rotate-secret`: a new secret of the stack, which erased users are remembered with from now on.
//!
//! The secret before it is kept for as long as users are remembered with it, since nobody can be hashed anew without the
//! id; retired secrets that nothing needs any more are removed. Done twice, it is two rotations, which does no harm.

use nextbasket_job_engine::calls::{CallError, Consumes};
use nextbasket_job_engine::{
    Estimate, JobError, Kind, Next, Outcome, Planning, Refusal, Site, StagePlan, Trust, Work, WorkError, kind,
};
use nextbasket_tables::Tables;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::unnamed;

const ROTATE: &str = "rotate";

/// The kind `rotate-secret`.
#[derive(Debug, Clone)]
pub struct RotateSecret(pub Tables);

/// Replaces the secret of the hashes that erased users are remembered by.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RotateParameters {}

impl RotateSecret {
    async fn rotate(&self, work: &mut Work) -> Result<Outcome, CallError> {
        let erased_users = self.0.erased_users().map_err(unnamed)?;
        let (random, now) = (work.site().random.clone(), work.site().clock.now());
        let rotation = work.call(Consumes::Both, || erased_users.secrets().rotate(&random, now)).await?;
        work.progress.processed = 1;
        work.progress.matched = 1;
        work.progress.changed = 1;
        let result =
            json!({ "secretId": rotation.current, "kept": rotation.kept, "removed": rotation.removed });
        Ok(Outcome::done(&result)?)
    }
}

impl Kind for RotateSecret {
    type Task = RotateParameters;

    fn name(&self) -> &'static str {
        "rotate-secret"
    }

    fn task(&self, parameters: &Value, _: Trust) -> Result<RotateParameters, Refusal> {
        kind::parameters(parameters)
    }

    /// Two rotations at once would be in each other's way.
    fn lock(&self, _: &RotateParameters) -> Option<String> {
        Some("rotate-secret".to_owned())
    }

    async fn estimate(&self, _: &Site, _: &RotateParameters) -> Result<Estimate, JobError> {
        let notes = vec!["A few items of the operations table are read and written.".to_owned()];
        Ok(Estimate { items: Some(1), notes, ..Estimate::default() })
    }

    async fn plan(&self, planning: &Planning<'_>, _: &RotateParameters) -> Result<Next, JobError> {
        match planning.job.stage() {
            None => Ok(Next::Stage(StagePlan::single(ROTATE, json!({})))),
            Some(stage) => {
                let result: Option<Value> = planning.results(stage.number).await?.pop();
                Ok(Next::Done(result.unwrap_or_default()))
            }
        }
    }

    async fn work(&self, work: &mut Work, _: RotateParameters) -> Result<Outcome, WorkError> {
        self.rotate(work).await.or_else(CallError::outcome)
    }
}

#[cfg(feature = "schema")]
impl nextbasket_job_engine::schema::DescribedKind for RotateSecret {
    fn parameters_schema(&self) -> Value {
        nextbasket_job_engine::schema::schema_of::<RotateParameters>()
    }
}
