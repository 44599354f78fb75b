//! `dump`: copies of tables whose completeness can be proved.

use std::fmt::Write;

use clap::Args;
use nextbasket_jobs_dump::Format;
use serde_json::{Value, json};

use super::dump_location::absolute_location;
use crate::Failure;
use crate::json_fields::{array, count, text};
use crate::local_deployment::table_names;
use crate::options::{JobOptions, Parameters, ReadRate};

#[derive(Debug, Args)]
pub struct Dump {
    /// The tables; * in a name stands for any characters [default: those of the stack, except the operations table]
    pub tables: Vec<String>,
    /// Only tables that have this tag; without TABLES, all that have it
    #[arg(long, value_name = "KEY=VALUE", value_parser = tag)]
    pub tag: Option<Value>,
    /// The folder or s3://BUCKET/PREFIX in which each dump gets a folder of its own
    #[arg(long, value_name = "LOCATION")]
    pub to: String,
    /// The format of the data files
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Only items that meet this condition
    #[arg(long = "where", visible_alias = "filter", value_name = "CONDITION")]
    pub condition: Option<String>,
    /// Only the tables' settings, without items; `restore --create --schema-only` makes the tables again
    #[arg(long, conflicts_with_all = ["condition", "columns", "keep", "keep_days"])]
    pub schema_only: bool,
    /// The columns of CSV, such as id:S,price:N; items that do not fit are rejected [default: what each file's items have]
    #[arg(long, value_name = "NAME:TYPE,…", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Do not compress data files of CSV and plain JSON
    #[arg(long)]
    pub no_gzip: bool,
    /// The number of segments of each table [default: by its size]
    #[arg(long, value_name = "N")]
    pub segments: Option<u32>,
    /// The maximum number of items in a page
    #[arg(long, value_name = "ITEMS")]
    pub batch_size: Option<u32>,
    #[command(flatten)]
    pub reads: ReadRate,
    /// Read strongly consistently, for twice the units
    #[arg(long)]
    pub consistent: bool,
    /// When it is done, remove older full dumps of the same tables at that location, except the newest N
    #[arg(long, value_name = "N", conflicts_with = "condition")]
    pub keep: Option<u32>,
    /// When it is done, remove older full dumps of the same tables at that location, except those of the last DAYS days
    #[arg(long, value_name = "DAYS", conflicts_with = "condition")]
    pub keep_days: Option<u32>,
    /// Remove older dumps even if the new one has less than half of their items
    #[arg(long)]
    pub accept_shrunk: bool,
    #[command(flatten)]
    pub job: JobOptions,
}

pub(crate) async fn run(options: &Dump) -> Result<(), Failure> {
    let Dump { tables, to, format, condition, columns, no_gzip, segments, batch_size, reads, job, .. } =
        options;
    let tables = match (tables.is_empty(), &options.tag) {
        (true, None) => Some(stack_tables()?),
        (true, Some(_)) => None,
        (false, _) => Some(tables.clone()),
    };
    let columns = (!columns.is_empty()).then(|| columns.clone());
    let keep = Parameters::default()
        .with("count", options.keep)
        .with("days", options.keep_days)
        .with_flag("acceptShrunk", options.accept_shrunk);
    let parameters = Parameters::default()
        .with("tables", tables)
        .with("tag", options.tag.clone())
        .with("to", absolute_location(to)?)
        .with("format", json!(format))
        .with("where", condition.clone())
        .with_flag("schemaOnly", options.schema_only)
        .with("columns", columns)
        .with("gzip", no_gzip.then_some(false))
        .with("segments", *segments)
        .with("batchSize", *batch_size)
        .with_flag("consistentRead", options.consistent)
        .with_object("keep", keep);
    let Some(ended) = job.run("dump", reads.add_to(parameters)).await? else { return Ok(()) };
    ended.print(job.json, || {
        let lines = array(ended.result(), "dumps").iter().map(|dump| {
            let (table, folder) = (text(dump, "table"), text(dump, "folder"));
            let (files, size) = (count(dump, "files"), indicatif::HumanBytes(count(dump, "bytes")));
            let mut line =
                format!("{table}: {} items in {files} files, {size}: {folder}", count(dump, "count"));
            let removed = array(dump, "removed").len();
            if removed > 0 {
                let _ = write!(line, "\n  {removed} older dumps removed");
            }
            for kept in array(dump, "kept") {
                let (reason, newest) = (text(kept, "reason"), text(kept, "newest"));
                let _ = write!(line, "\n  {} kept: {reason} ({newest})", count(kept, "count"));
            }
            for note in array(dump, "notes").iter().filter_map(Value::as_str) {
                let _ = write!(line, "\n  {note}");
            }
            line
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    ended.verdict()
}

/// A tag as the job's parameters have it.
fn tag(text: &str) -> Result<Value, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(json!({ "key": key, "value": value })),
        _ => Err("expected KEY=VALUE, such as team=shop".to_owned()),
    }
}

/// The tables of the stack, without the operations table: that changes while jobs run, this one too.
fn stack_tables() -> Result<Vec<String>, Failure> {
    let names = table_names()?;
    let names = [names.products, names.purchases, names.history, names.model];
    Ok(names.into_iter().flatten().collect())
}
