//! `rebuild-history`: purchase histories that match the purchases.

use clap::Args;
use serde::Deserialize;

use crate::Failure;
use crate::options::{JobOptions, Parameters};

#[derive(Debug, Args)]
pub struct RebuildHistory {
    /// Only this user
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    #[command(flatten)]
    pub job: JobOptions,
}

#[derive(Debug, Deserialize)]
struct Rebuilt {
    users: u64,
    changed: u64,
    swept: u64,
    erased: u64,
}

pub(crate) async fn run(options: &RebuildHistory) -> Result<(), Failure> {
    let parameters = Parameters::default().with("user", options.user.clone());
    let Some(ended) = options.job.run("rebuild-history", parameters).await? else { return Ok(()) };
    ended.report_skipped();
    let Rebuilt { users, changed, swept, erased } = ended.result_as()?;
    ended.print(options.job.json, || {
        let erased = match erased {
            0 => String::new(),
            erased => format!(" {erased} purchases of erased users had come back and were deleted."),
        };
        format!(
            "Looked at {users} users: {changed} histories were brought in line, {swept} without purchases removed.{erased}"
        )
    });
    Ok(())
}
