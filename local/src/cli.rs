//! The commands and their options.

pub mod dump;
mod duration;
mod jobs;
mod map;
pub(crate) mod parameters;
mod running;
mod shop;
pub mod table_jobs;
pub mod units;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::lock::Lock;
use crate::target::Target;
use crate::upload::Upload;

pub(crate) use duration::{duration, lease, size};
pub use jobs::{Jobs, JobsCommand};
pub use map::{Format as MapFormat, MapRecords};
pub use running::Running;
pub use shop::{Models, ModelsCommand, RebuildHistory, RefreshPopular};

/// Exit codes, for the help text.
const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed or incomplete, with a sentence that says why; 2 used wrongly; \
     3 another holds the lock; 4 the lock is lost; 130 after Ctrl-C; 143 after SIGTERM, but 0 for what has no end of \
     its own (serve, demo, --follow, --watch). `lock run` ends as its command does. A second Ctrl-C ends at once. \
     A reader that goes, as in `nextbasket jobs list | head -1`, is no failure.";

/// Product recommendations on Lambda and DynamoDB: the whole system on one machine.
///
/// Without a command: the demo. It starts the system in memory, loads a generated coffee shop, trains, shows one
/// shopper's recommendations with their reasons, and serves the HTTP API.
#[derive(Debug, Parser)]
#[command(name = "nextbasket", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Load a generated coffee shop, train, show an answer and serve (what `nextbasket` alone does)
    Demo(Demo),
    /// Serve the HTTP API and the DynamoDB endpoint over a data folder
    Serve(Serve),
    /// Take in a file of purchases or products: CSV or JSON Lines, gzip or not
    ///
    /// Lines that are not purchases (returns, corrections, lines without a customer, products to skip) are counted
    /// and listed, and the exit code is 0. It is 1 if other lines were rejected, if purchases differ from what is
    /// stored under their ids, if the file is truncated, or if it has lines and none of them was imported.
    Import(Import),
    /// Train the model on the purchases and make it the live one
    Train(Train),
    /// Show a user's recommendations
    Recommend(Recommend),
    /// Show what goes with a product
    Related(Related),
    /// Give files or a table's items to a command or a Lambda function, batch by batch, and gather what it answers
    Map(MapRecords),
    /// Bring the histories in line with the purchases
    RebuildHistory(RebuildHistory),
    /// Count anew what is popular, without a training
    RefreshPopular(RefreshPopular),
    /// List the trained models, or make another one the live one
    Models(Models),
    /// Count the items of a table
    Count(table_jobs::Count),
    /// Change the items of a table that meet a condition
    Update(table_jobs::Update),
    /// Delete the items of a table that meet a condition
    Delete(table_jobs::Delete),
    /// Copy the items of a table into another one
    Copy(table_jobs::Copy),
    /// Fill a table with generated items, for trying
    Fill(table_jobs::Fill),
    /// Dump tables to a folder or S3, with checksums and digests, so that the copy can be proved
    Dump(dump::Dump),
    /// Restore a table from a dump, an export of AWS, CSV or JSON Lines
    Restore(dump::Restore),
    /// Prove a dump complete, or a table equal to a dump or to another table
    Verify(dump::Verify),
    /// Name the items and attributes in which tables or dumps differ
    Diff(dump::Diff),
    /// Move items to an archive: nothing is deleted before its copy is verified
    Archive(dump::Archive),
    /// Submit, list, show, wait for, work on and cancel jobs
    Jobs(Jobs),
    /// Acquire, release, show and list locks; run a command under one
    Lock(Lock),
    /// Upload a folder's files to S3, each exactly once, by any number of processes at once
    Upload(Upload),
}

/// Where the data is.
#[derive(Debug, Clone, Args)]
pub struct Data {
    /// The data folder; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "nextbasket-data")]
    pub data: PathBuf,
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Where the HTTP API listens; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// What the shop is generated from: the same seed gives the same shop
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Show the answer and end, without serving
    #[arg(long)]
    pub once: bool,
}

impl Default for Demo {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), seed: 1, once: false }
    }
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The data folder; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "nextbasket-data")]
    pub data: PathBuf,
    /// Keep everything in memory and nothing in a folder
    #[arg(long, conflicts_with = "data")]
    pub ephemeral: bool,
    /// Where the HTTP API listens; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where the DynamoDB endpoint listens; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub dynamodb_listen: SocketAddr,
    /// How many batches of jobs it works on at a time; 0 leaves jobs, and what schedules start, to other processes
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub workers: u32,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Lines of purchases, or whole purchases.
    Purchases,
    /// Products of the catalogue.
    Products,
}

/// Options of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The file
    pub file: PathBuf,
    /// Where the data is.
    #[command(flatten)]
    pub target: Target,
    /// What the file holds
    #[arg(long, value_enum, default_value = "purchases")]
    pub kind: Kind,
    /// Which of the file's columns are ours, as in user_id=CustomerID,product_id=StockCode
    #[arg(long, value_name = "OURS=THEIRS,…")]
    pub map: Option<String>,
    /// The currency of prices that name none (ISO 4217)
    #[arg(long, default_value = "EUR")]
    pub currency: String,
    /// How times are written, as in %d/%m/%Y %H:%M; RFC 3339 and the like need none
    #[arg(long, value_name = "PATTERN")]
    pub time_format: Option<String>,
    /// Product ids that are no products, such as POST,gift_*
    #[arg(long, value_name = "PATTERN,…")]
    pub skip_products: Option<String>,
    /// Where refused lines go, as JSON Lines [default: refused/FILE.jsonl in the data folder]
    #[arg(long, value_name = "FILE")]
    pub refused: Option<PathBuf>,
    /// Say what the import would take, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the counts as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `train`.
#[derive(Debug, Args)]
pub struct Train {
    /// Where the data is.
    #[command(flatten)]
    pub target: Target,
    /// A JSON file of parameters that differ from the defaults
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// How many threads count [default: one for each core]
    #[arg(long, value_name = "N")]
    pub threads: Option<std::num::NonZero<usize>>,
    /// Say what the training would take, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `recommend`.
#[derive(Debug, Args)]
pub struct Recommend {
    /// The user
    pub user: String,
    /// Where the data is.
    #[command(flatten)]
    pub data: Data,
    /// How many products, 1 to 100
    #[arg(long, default_value_t = 10)]
    pub limit: u32,
    /// Only products of this category
    #[arg(long)]
    pub category: Option<String>,
    /// Print the answer as the API gives it
    #[arg(long)]
    pub json: bool,
}

/// Options of `related`.
#[derive(Debug, Args)]
pub struct Related {
    /// The product
    pub product: String,
    /// Where the data is.
    #[command(flatten)]
    pub data: Data,
    /// together: in the same baskets; similar: by the same shoppers, at other times
    #[arg(long, default_value = "together")]
    pub kind: String,
    /// How many products, 1 to 100
    #[arg(long, default_value_t = 10)]
    pub limit: u32,
    /// Print the answer as the API gives it
    #[arg(long)]
    pub json: bool,
}
