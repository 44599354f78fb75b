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
    /// A dump's folder, a location of dumps (the newest full one with its increments, or all archives), an export of AWS,
    /// or a CSV or JSON Lines file
    pub from: String,
    /// The table
    pub table: String,
    /// Create the table, with the schema that the dump describes; it must not exist
    #[arg(long)]
    pub create: bool,
    /// Only create the table, without items
    #[arg(long, requires = "create")]
    pub schema_only: bool,
    /// Only write the items, into a table that exists: what is done without --create
    #[arg(long, conflicts_with_all = ["create", "schema_only"])]
    pub data_only: bool,
    #[command(flatten)]
    pub puts: PutOptions,
    #[command(flatten)]
    pub confirm: ConfirmOption,
    #[command(flatten)]
    pub job: JobOptions,
}

pub(crate) async fn run(options: &Restore) -> Result<(), Failure> {
    let Restore { from, table, create, schema_only, puts, confirm, job, .. } = options;
    let parameters = Parameters::default()
        .with("from", absolute_location(from)?)
        .with("table", table.as_str())
        .with_flag("create", *create)
        .with_flag("schemaOnly", *schema_only);
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
        for (name, said) in [
            ("deleted", "deleted"),
            ("superseded", "replaced by newer changes"),
            ("skipped", "skipped"),
            ("erased", "of erased users left out"),
        ] {
            if count(result, name) > 0 {
                let _ = write!(words, ", {} {said}", count(result, name));
            }
        }
        for source in array(result, "sources").iter().filter_map(Value::as_str) {
            let _ = write!(words, "\n  {source}");
        }
        for note in array(result, "notes").iter().filter_map(Value::as_str) {
            let _ = write!(words, "\n  {note}");
        }
        words
    });
    ended.verdict()?;
    match ended.result().get("complete").and_then(Value::as_bool) {
        Some(false) => Err(Failure::Other("the dump is not complete: see the notes".to_owned())),
        _ => Ok(()),
    }
}
