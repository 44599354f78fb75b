//! `serve`: the HTTP API and the DynamoDB endpoint over a data folder.

use std::io::Write;

use tokio::signal;

use crate::Failure;
use crate::cli::Serve;
use crate::system::{Settings, System};

/// Serves until it is told to stop.
///
/// # Errors
/// [`Failure`] if the system does not start or cannot stop in order.
pub async fn run(options: Serve) -> Result<(), Failure> {
    let system = System::start(Settings {
        data: (!options.ephemeral).then_some(options.data),
        listen: options.listen,
        dynamodb_listen: options.dynamodb_listen,
        workers: options.workers,
    })
    .await?;
    // The address alone on standard output, for scripts that wait for it.
    let mut out = std::io::stdout();
    let _ = writeln!(out, "http://{}", system.address());
    let _ = out.flush();
    eprintln!("DynamoDB endpoint: {}", system.machine().dynamodb().endpoint_url());
    eprintln!("S3 endpoint: {}", system.machine().s3().endpoint_url());
    eprintln!("Stop with Ctrl-C.");
    until_stopped().await?;
    system.stop().await
}

/// Waits for Ctrl-C or a request to terminate.
///
/// # Errors
/// [`Failure`] if signals cannot be listened to.
pub async fn until_stopped() -> Result<(), Failure> {
    let mut terminate =
        signal::unix::signal(signal::unix::SignalKind::terminate()).map_err(Failure::other)?;
    tokio::select! {
        result = signal::ctrl_c() => result.map_err(Failure::other),
        _ = terminate.recv() => Ok(()),
    }
}
