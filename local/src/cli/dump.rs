//! The options of the commands over dumps.

use clap::{Args, ValueEnum};

use super::Running;
use super::units::{Puts, ReadUnits, WriteUnits};

/// Options of `dump`.
#[derive(Debug, Args)]
pub struct Dump {
    /// The tables [default: those of the stack, but for the operations table]
    pub tables: Vec<String>,
    /// The folder or s3://BUCKET/PREFIX below which the dump gets a folder of its own
    #[arg(long, value_name = "PLACE")]
    pub to: String,
    /// The data files' format
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Only items that meet this condition
    #[arg(long, visible_alias = "where", value_name = "CONDITION")]
    pub filter: Option<String>,
    /// Of CSV, the columns, such as id:S,price:N; items that do not fit are refused [default: what each file's have]
    #[arg(long, value_name = "NAME:TYPE,…", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Leave data files of CSV and plain JSON uncompressed
    #[arg(long)]
    pub no_gzip: bool,
    /// Into how many segments a table is cut [default: by its size]
    #[arg(long, value_name = "N")]
    pub segments: Option<u32>,
    /// The most items of a page
    #[arg(long, value_name = "ITEMS")]
    pub batch_size: Option<u32>,
    /// How fast it reads.
    #[command(flatten)]
    pub reads: ReadUnits,
    /// Read strongly consistently, for twice the units
    #[arg(long)]
    pub consistent: bool,
    /// When it is done, remove older dumps of the same tables in that place, but for the newest so many
    #[arg(long, value_name = "N")]
    pub keep: Option<u32>,
    /// When it is done, remove older dumps of the same tables in that place, but for those of the last so many days
    #[arg(long, value_name = "DAYS")]
    pub keep_days: Option<u32>,
    /// How the job runs.
    #[command(flatten)]
    pub running: Running,
}

/// The format of data files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As AWS exports it: every type, for programs.
    #[default]
    DynamodbJson,
    /// With typed headers, for people and spreadsheets.
    Csv,
    /// A line of plain JSON for each item, for people and scripts.
    JsonLines,
}

/// Options of `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// A dump's folder, the place that holds dumps (the newest good one), an export of AWS, or a CSV or JSON Lines file
    pub from: String,
    /// The table
    pub table: String,
    /// Make the table, as the dump says that it was
    #[arg(long)]
    pub create: bool,
    /// What it does with items that are there already, and how fast it writes.
    #[command(flatten)]
    pub puts: Puts,
    /// How the job runs.
    #[command(flatten)]
    pub running: Running,
}

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// A dump's folder or place, or table:NAME
    pub side: String,
    /// What it must equal: table:NAME; without it, a dump is held against its own manifest
    pub other: Option<String>,
    /// The other table's region, if it is another one
    #[arg(long, value_name = "REGION", requires = "other")]
    pub other_region: Option<String>,
    /// The other table's endpoint, if it is another one
    #[arg(long, value_name = "URL", requires = "other")]
    pub other_endpoint: Option<String>,
    /// How fast it reads.
    #[command(flatten)]
    pub reads: ReadUnits,
    /// How the job runs.
    #[command(flatten)]
    pub running: Running,
}

/// Options of `diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// A dump's folder or place, or table:NAME
    pub left: String,
    /// Likewise
    pub right: String,
    /// Where the differences go, as JSON Lines
    #[arg(long, value_name = "FILE", default_value = "differences.jsonl")]
    pub to: String,
    /// How fast it reads.
    #[command(flatten)]
    pub reads: ReadUnits,
    /// How the job runs.
    #[command(flatten)]
    pub running: Running,
}

/// Options of `archive`.
#[derive(Debug, Args)]
pub struct Archive {
    /// The table
    pub table: String,
    /// Which items go, such as "purchasedAt < '2025-01-01'"
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: String,
    /// The folder or s3://BUCKET/PREFIX below which the copy gets a folder of its own
    #[arg(long, value_name = "PLACE")]
    pub to: String,
    /// How fast it reads.
    #[command(flatten)]
    pub reads: ReadUnits,
    /// How fast it writes.
    #[command(flatten)]
    pub writes: WriteUnits,
    /// How the job runs.
    #[command(flatten)]
    pub running: Running,
}
