//! The `nextbasket` command.

use clap::Parser;
use nextbasket::cli::{Cli, Command};
use nextbasket::commands::demo::Demo;
use nextbasket::{Failure, signals, stdio};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Jobs over tables allocate and free millions of small strings on many threads: a third of a restore's time otherwise.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    let cli = Cli::parse();
    // Warnings of the functions and the machine. The embedded DynamoDB would report each condition that does not hold.
    // Where there are no credentials, the SDK reports each place that has none; the command says so once.
    let levels = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("aws_config", LevelFilter::ERROR)
        .with_target("dynoxide", LevelFilter::ERROR);
    // Internal errors of the log are off: they would be printed to the very standard error that cannot be written.
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    tracing_subscriber::registry().with(lines.log_internal_errors(false)).with(levels).init();
    let code = run(cli.command.unwrap_or(Command::Demo(Demo::default()))).await;
    // Exits at once: the runtime would wait for files that are still being read.
    std::process::exit(i32::from(code));
}

/// Runs the command, reports a failure, and returns the exit code.
async fn run(command: Command) -> u8 {
    let unhandled = match signals::listen() {
        Ok(unhandled) => unhandled,
        Err(error) => return report(&Failure::other(error)),
    };
    let result = tokio::select! {
        result = command.run() => result,
        signal = unhandled => return signal.exit_code(),
    };
    match (result, stdio::take_lost_output()) {
        (Err(failure), _) => report(&failure),
        (Ok(()), Some(error)) => report(&Failure::File { path: "standard output".to_owned(), source: error }),
        (Ok(()), None) => 0,
    }
}

/// Prints the failure, unless a command that was run under a lock has reported it itself.
fn report(failure: &Failure) -> u8 {
    let message = failure.to_string();
    if !message.is_empty() && !matches!(failure, Failure::Command(_)) {
        stdio::print_error_line(format_args!("nextbasket: {message}"));
    }
    failure.exit_code()
}
