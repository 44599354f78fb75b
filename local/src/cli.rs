//! The command line: all commands, and what runs each.

use clap::{Parser, Subcommand};

use crate::Failure;
use crate::commands::{
    archive, console, copy, count, delete, demo, diff, dump, evaluate, fill, find, import, jobs, lock, map,
    models, rebuild_history, recommend, refresh_popular, related, restore, revert, rotate_secret, serve,
    setup, train, update, upload, verify,
};

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed or incomplete, with a message that says why; 2 invalid usage; \
     3 another process holds the lock; 4 the lock was lost; 130 after Ctrl-C; 143 after SIGTERM, but 0 for commands \
     without an end of their own (serve, demo, --follow, --watch). `lock run` exits with its command's code, unless the lock was lost while it ran. A second \
     Ctrl-C ends the command at once. A reader that closes the pipe, as in `nextbasket jobs list | head -1`, is not a \
     failure.";

/// Product recommendations on Lambda and DynamoDB: the whole system on one machine.
///
/// Without a command, it runs the demo: it starts the system in memory, loads a generated coffee shop, trains, shows
/// one shopper's recommendations with their reasons, and serves the HTTP API.
#[derive(Debug, Parser)]
#[command(name = "nextbasket", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Load a generated coffee shop, train, show an answer and serve (the default)
    Demo(demo::Demo),
    /// Serve the HTTP API and the DynamoDB and S3 endpoints over a data folder
    Serve(serve::Serve),
    /// Open the console in a browser: over a deployed stack, or over a data folder
    ///
    /// The page is served on this machine alone. Calls to AWS are signed with your own credentials, and nothing is opened
    /// there. It only reads, unless --writable is given.
    Console(console::OpenConsole),
    /// Import files of purchases or products: CSV or JSON Lines, gzip or not
    ///
    /// What was understood is printed: what the file was read as, its counts, period and revenue, the first purchases,
    /// what was rejected and why, what looks wrong. --dry-run prints the same and writes nothing. Lines that are not
    /// purchases (returns, corrections, lines without a customer, products to skip) are counted and listed, and the exit
    /// code is 0.
    Import(import::Import),
    /// Train a model on the purchases and make it live
    Train(train::Train),
    /// Measure how well the next purchases are predicted, beside plain counts and other methods
    ///
    /// Purchases are hidden, the rest is counted, and each method recommends; a product that was bought is a hit. Nothing is
    /// written, and the live model is not touched: the model that is measured is counted without the hidden purchases.
    Evaluate(evaluate::Evaluate),
    /// Show a user's recommendations
    Recommend(recommend::Recommend),
    /// Show products that go with a product
    Related(related::Related),
    /// Send the records of files or the items of a table to a command or Lambda function, and collect the results
    Map(map::MapRecords),
    /// Rebuild the purchase histories that do not match the purchases
    RebuildHistory(rebuild_history::RebuildHistory),
    /// Recount the popular products, without a training
    RefreshPopular(refresh_popular::RefreshPopular),
    /// Replace the secret that erased users are remembered with
    RotateSecret(rotate_secret::RotateSecret),
    /// List the trained models, or make another one live
    Models(models::Models),
    /// Show the items of a table or an index: filtered, sorted, as a table, JSON Lines or CSV
    Find(find::Find),
    /// Count the items of a table or an index, or estimate how many there are
    Count(count::Count),
    /// Update the items of a table that meet a condition
    Update(update::Update),
    /// Delete the items of a table that meet a condition
    Delete(delete::Delete),
    /// Copy the items of a table to another table
    Copy(copy::Copy),
    /// Fill a table with generated items, for tests
    Fill(fill::Fill),
    /// Dump tables to a folder or S3, with checksums and digests that prove the copy
    Dump(dump::Dump),
    /// Restore a table from a dump, an export of AWS, or CSV and JSON of other tools
    Restore(restore::Restore),
    /// Bring items that changed within an incremental export of AWS back to what they were before
    Revert(revert::Revert),
    /// Verify that a dump is complete, or that a table equals a dump or another table
    Verify(verify::Verify),
    /// List the items and attributes in which two tables or dumps differ
    Diff(diff::Diff),
    /// Move items to an archive; nothing is deleted before its copy is verified
    Archive(archive::Archive),
    /// Create what jobs, locks and uploads need on AWS or at another endpoint: the operations table and the bucket
    ///
    /// For accounts without this product's stack. Both are made as the stack's are: the table with expiry,
    /// encryption and point-in-time recovery, the bucket private, encrypted, and with expiry of what jobs leave. What
    /// exists already is kept, and gets the settings that it lacks.
    Setup(setup::Setup),
    /// Submit, list, show, wait for, work on and cancel jobs
    Jobs(jobs::Jobs),
    /// Acquire, release, show and list locks; run a command under one
    Lock(lock::Lock),
    /// Upload a folder's files to S3, each exactly once, by any number of processes at the same time
    Upload(upload::Upload),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`], which decides the exit code.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Demo(options) => demo::run(&options).await,
            Self::Serve(options) => serve::run(options).await,
            Self::Console(options) => console::run(options).await,
            Self::Import(options) => import::run(&options).await,
            Self::Train(options) => train::run(&options).await,
            Self::Evaluate(options) => evaluate::run(&options).await,
            Self::Recommend(options) => recommend::run(&options).await,
            Self::Related(options) => related::run(&options).await,
            Self::Map(options) => map::run(&options).await,
            Self::RebuildHistory(options) => rebuild_history::run(&options).await,
            Self::RefreshPopular(options) => refresh_popular::run(&options).await,
            Self::RotateSecret(options) => rotate_secret::run(&options).await,
            Self::Models(options) => models::run(&options).await,
            Self::Find(options) => find::run(&options).await,
            Self::Count(options) => count::run(&options).await,
            Self::Update(options) => update::run(&options).await,
            Self::Delete(options) => delete::run(&options).await,
            Self::Copy(options) => copy::run(&options).await,
            Self::Fill(options) => fill::run(&options).await,
            Self::Dump(options) => dump::run(&options).await,
            Self::Restore(options) => restore::run(&options).await,
            Self::Revert(options) => revert::run(&options).await,
            Self::Verify(options) => verify::run(&options).await,
            Self::Diff(options) => diff::run(&options).await,
            Self::Archive(options) => archive::run(&options).await,
            Self::Setup(options) => setup::run(&options).await,
            Self::Jobs(options) => jobs::run(&options).await,
            Self::Lock(options) => lock::run(&options).await,
            Self::Upload(options) => upload::run(&options).await,
        }
    }
}
