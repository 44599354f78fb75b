//! `restore`: a table from a dump, an export or a file.

use std::fmt::Write;

use clap::Args;
use nextbasket_jobs_dump::SourceFormat;
use serde_json::{Map, Value, json};

use super::dump_location::absolute_location;
use crate::Failure;
use crate::confirmation::ConfirmOption;
use crate::job_run::RunOptions;
use crate::json_fields::{array, count, text};
use crate::options::{JobOptions, Parameters, PutOptions};

#[derive(Debug, Args)]
pub struct Restore {
    /// A dump's folder, a location of dumps (the newest full one with its increments, or all archives), an export of AWS, a
    /// file or folder of CSV or JSON, or a folder of dynamodump
    pub from: String,
    /// The table
    pub table: String,
    /// Create the table, with the schema that the source describes, or with the key of --keys; it must not exist
    #[arg(long)]
    pub create: bool,
    /// Only create the table, without items
    #[arg(long, requires = "create")]
    pub schema_only: bool,
    /// Only write the items, into a table that exists: what is done without --create
    #[arg(long, conflicts_with_all = ["create", "schema_only"])]
    pub data_only: bool,
    /// The format of plain files [default: recognised by the file's name or content]
    #[arg(long, value_enum)]
    pub format: Option<SourceFormat>,
    /// The table's key, such as pk:S,sk:N, where the source does not say it; a type that is left out is that of --types,
    /// or S
    #[arg(long, value_name = "NAME:TYPE,…", value_delimiter = ',')]
    pub keys: Vec<String>,
    /// The types of columns of CSV without types in its header, such as price=N,tags=SS; the others are those of the
    /// table's key, or text, and an empty cell is an attribute that the item does not have
    #[arg(long, value_name = "NAME=TYPE,…", value_delimiter = ',', value_parser = column_type)]
    pub types: Vec<(String, String)>,
    /// Change each item on its way, as update does: "SET email = 'x', name = fullName REMOVE fullName"
    #[arg(long, value_name = "CHANGE")]
    pub set: Option<String>,
    /// Only items that meet this condition, as they are in the source
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,
    #[command(flatten)]
    pub puts: PutOptions,
    #[command(flatten)]
    pub confirm: ConfirmOption,
    #[command(flatten)]
    pub job: JobOptions,
}

pub(crate) async fn run(options: &Restore) -> Result<(), Failure> {
    let Restore { from, table, create, schema_only, format, keys, types, set, condition, puts, .. } = options;
    let Restore { confirm, job, .. } = options;
    let types: Map<String, Value> = types.iter().map(|(name, kind)| (name.clone(), json!(kind))).collect();
    let parameters = Parameters::default()
        .with("from", absolute_location(from)?)
        .with("table", table.as_str())
        .with_flag("create", *create)
        .with_flag("schemaOnly", *schema_only)
        .with("format", json!(format))
        .with("keys", (!keys.is_empty()).then(|| keys.clone()))
        .with("types", (!types.is_empty()).then_some(types))
        .with("set", set.clone())
        .with("where", condition.clone());
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
            ("omitted", "that do not meet the condition"),
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

/// A column and its type.
fn column_type(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((name, kind)) if !name.is_empty() => Ok((name.to_owned(), kind.to_owned())),
        _ => Err("expected NAME=TYPE, such as price=N".to_owned()),
    }
}
