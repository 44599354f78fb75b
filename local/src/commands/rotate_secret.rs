//! `rotate-secret`: a new secret for the hashes of erased users.

use clap::Args;
use serde::Deserialize;

use crate::Failure;
use crate::options::{JobOptions, Parameters};

#[derive(Debug, Args)]
pub struct RotateSecret {
    #[command(flatten)]
    pub job: JobOptions,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rotated {
    secret_id: String,
    kept: u64,
    removed: u64,
}

pub(crate) async fn run(options: &RotateSecret) -> Result<(), Failure> {
    let Some(ended) = options.job.run("rotate-secret", Parameters::default()).await? else { return Ok(()) };
    let Rotated { secret_id, kept, removed } = ended.result_as()?;
    ended.print(options.job.json, || {
        format!("Secret {secret_id} is in use; {kept} earlier ones are kept, {removed} were removed.")
    });
    Ok(())
}
