//! The `nextbasket` command.

use std::process::ExitCode;

use clap::Parser;
use nextbasket::cli::{Cli, Command, Demo};
use nextbasket::{Failure, ask, demo, import, jobs, lock, serve, train, upload};
use tracing_subscriber::filter::LevelFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // What the functions and the machine report of their own failures; refusals are the client's to see.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::WARN)
        .with_target(false)
        .init();
    match run(cli.command.unwrap_or(Command::Demo(Demo::default()))).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Of a command that was run, it has told itself.
            if !matches!(failure, Failure::Command(_)) {
                eprintln!("nextbasket: {failure}");
            }
            failure.exit_code()
        }
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(options) => demo::run(&options).await,
        Command::Serve(options) => serve::run(options).await,
        Command::Import(options) => import::run(&options).await,
        Command::Train(options) => train::run(&options).await,
        Command::Recommend(options) => ask::recommend(&options).await,
        Command::Related(options) => ask::related(&options).await,
        Command::Jobs(options) => jobs::run(&options).await,
        Command::Lock(options) => lock::run(&options).await,
        Command::Upload(options) => upload::run(&options).await,
    }
}
