//! The `nextbasket` command.

use clap::Parser;
use nextbasket::cli::{Cli, Command, Demo};
use nextbasket::{
    Failure, ask, demo, dump, import, jobs, lock, map, models, out, serve, shop_jobs, signals, table_jobs,
    train, upload,
};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Jobs over tables make and free millions of small strings on many threads: a third of a restore's time otherwise.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    let cli = Cli::parse();
    // What the functions and the machine report of their own failures; refusals are the client's to see.
    // The embedded DynamoDB would tell each condition that does not hold.
    let told = Targets::new().with_default(LevelFilter::WARN).with_target("dynoxide", LevelFilter::ERROR);
    // Internal errors of the log are off: they would be printed to the very standard error that cannot be written.
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    tracing_subscriber::registry().with(lines.log_internal_errors(false)).with(told).init();
    let code = ended(cli.command.unwrap_or(Command::Demo(Demo::default()))).await;
    // Exits at once: the runtime would wait for files that are still being read.
    std::process::exit(i32::from(code));
}

/// Runs the command, reports a failure, and returns the exit code.
async fn ended(command: Command) -> u8 {
    let unhandled = match signals::listen() {
        Ok(unhandled) => unhandled,
        Err(failure) => return failed(&failure),
    };
    let result = tokio::select! {
        result = run(command) => result,
        stopping = unhandled => return stopping.exit_code(),
    };
    match (result, out::lost()) {
        (Err(failure), _) => failed(&failure),
        (Ok(()), Some(error)) => failed(&Failure::File { path: "standard output".to_owned(), source: error }),
        (Ok(()), None) => 0,
    }
}

fn failed(failure: &Failure) -> u8 {
    let said = failure.to_string();
    // A command that was run has reported its failure itself.
    if !said.is_empty() && !matches!(failure, Failure::Command(_)) {
        out::tell(format_args!("nextbasket: {said}"));
    }
    failure.exit_code()
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(options) => demo::run(&options).await,
        Command::Serve(options) => serve::run(options).await,
        Command::Import(options) => import::run(&options).await,
        Command::Train(options) => train::run(&options).await,
        Command::Recommend(options) => ask::recommend(&options).await,
        Command::Related(options) => ask::related(&options).await,
        Command::Map(options) => map::run(&options).await,
        Command::RebuildHistory(options) => shop_jobs::rebuild_history(&options).await,
        Command::RefreshPopular(options) => shop_jobs::refresh_popular(&options).await,
        Command::Models(options) => models::run(&options).await,
        Command::Count(options) => table_jobs::count(&options).await,
        Command::Update(options) => table_jobs::update(&options).await,
        Command::Delete(options) => table_jobs::delete(&options).await,
        Command::Copy(options) => table_jobs::copy(&options).await,
        Command::Fill(options) => table_jobs::fill(&options).await,
        Command::Dump(options) => dump::dump(&options).await,
        Command::Restore(options) => dump::restore(&options).await,
        Command::Verify(options) => dump::verify(&options).await,
        Command::Diff(options) => dump::diff(&options).await,
        Command::Archive(options) => dump::archive(&options).await,
        Command::Jobs(options) => jobs::run(&options).await,
        Command::Lock(options) => lock::run(&options).await,
        Command::Upload(options) => upload::run(&options).await,
    }
}
