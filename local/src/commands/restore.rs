//! `restore`: a table from a dump, an export or a file.

use std::fmt::Write;

use clap::Args;
use serde_json::Value;

use super::dump_location::absolute_location;
use crate::Failure;
use crate::confirmation::ConfirmOption;
use crate::job_run::RunOptions;
use crate::json_fields::{array, count, text};
use crate::options::{JobOptions, Parameters, PutOptions};

#[derive(Debug, Args)]
pub struct Restore {
    /// A dump's folder, a location of dumps (the newest complete one), an export of AWS, or a CSV or JSON Lines file
    pub from: String,
    /// The table
    pub table: String,
    /// Create the table, with the schema that the dump describes
    #[arg(long)]
    pub create: bool,
    #[command(flatten)]
    pub puts: PutOptions,
    #[command(flatten)]
    pub confirm: ConfirmOption,
    #[command(flatten)]
    pub job: JobOptions,
}

pub(crate) async fn run(options: &Restore) -> Result<(), Failure> {
    let Restore { from, table, create, puts, confirm, job } = options;
    let parameters = Parameters::default()
        .with("from", absolute_location(from)?)
        .with("table", table.as_str())
        .with_flag("create", *create);
    let confirm = confirm.of_puts("restore", table, &puts.on_conflict);
    let run_options = RunOptions { confirm, ..job.run_options() };
    let Some(ended) = job.run_as("restore", puts.add_to(parameters), &run_options).await? else {
        return Ok(());
    };
    ended.print(job.json, || {
        let result = ended.result();
        let (lines, written) = (count(result, "lines"), count(result, "written"));
        let mut words =
            format!("{written} of {lines} items written to {table} from {}", text(result, "from"));
        for (name, said) in
            [("deleted", "deleted"), ("skipped", "skipped"), ("erased", "of erased users left out")]
        {
            if count(result, name) > 0 {
                let _ = write!(words, ", {} {said}", count(result, name));
            }
        }
        for note in array(result, "notes").iter().filter_map(Value::as_str) {
            let _ = write!(words, "\n  {note}");
        }
        words
    });
    ended.verdict()
}
