//! The commands and their options.

mod duration;
mod jobs;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::lock::Lock;
use crate::upload::Upload;

pub(crate) use duration::{duration, lease, size};
pub use jobs::{Jobs, JobsCommand};

/// Exit codes, for the help text.
const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed, with a sentence that says why; 2 used wrongly; \
     3 another holds the lock; 4 the lock is lost. `lock run` ends as its command does.";

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
    Import(Import),
    /// Train the model on the purchases and make it the live one
    Train(Train),
    /// Show a user's recommendations
    Recommend(Recommend),
    /// Show what goes with a product
    Related(Related),
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
    pub data: Data,
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
    /// Print the counts as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `train`.
#[derive(Debug, Args)]
pub struct Train {
    /// Where the data is.
    #[command(flatten)]
    pub data: Data,
    /// A JSON file of parameters that differ from the defaults
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// How many threads count [default: one for each core]
    #[arg(long, value_name = "N")]
    pub threads: Option<std::num::NonZero<usize>>,
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
