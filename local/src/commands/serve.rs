//! `serve`: the HTTP API and the DynamoDB and S3 endpoints over a data folder.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use nextbasket_machine::folder::MissingFolder;

use crate::Failure;
use crate::folder_sharing::{SERVER_PATIENCE, start, until_free};
use crate::local_deployment::{DeploymentOptions, LocalDeployment};
use crate::options::value::listen_address;
use crate::signals::until_stopped;
use crate::stdio::{errln, outln};

#[derive(Debug, Args)]
pub struct Serve {
    /// The data folder; created if it does not exist
    #[arg(long, value_name = "DIR", default_value = "nextbasket-data")]
    pub data: PathBuf,
    /// Keep everything in memory, without a data folder
    #[arg(long, conflicts_with = "data")]
    pub ephemeral: bool,
    /// The address of the HTTP API; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = listen_address)]
    pub listen: SocketAddr,
    /// The address of the DynamoDB endpoint; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0", value_parser = listen_address)]
    pub dynamodb_listen: SocketAddr,
    /// How many batches of jobs it works on at the same time; 0 leaves jobs and schedules to other processes
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub workers: u32,
    /// A folder with texts of reasons of your own, one file a language, such as de.ftl (docs/REASONS.md)
    #[arg(long, value_name = "DIR")]
    pub reason_texts: Option<PathBuf>,
    /// Let the console change items of tables
    #[arg(long)]
    pub writable: bool,
}

pub(crate) async fn run(options: Serve) -> Result<(), Failure> {
    let deployment_options = DeploymentOptions {
        data: (!options.ephemeral).then_some(options.data),
        missing: MissingFolder::Create,
        listen: options.listen,
        dynamodb_listen: options.dynamodb_listen,
        workers: options.workers,
        reason_texts: options.reason_texts,
        writable: options.writable,
        ..DeploymentOptions::on_any_port(None)
    };
    // A command that has the folder open may end soon.
    let deployment =
        until_free(SERVER_PATIENCE, || start(&deployment_options, LocalDeployment::start)).await?;
    // The address alone on standard output, for scripts that wait for it.
    outln!("http://{}", deployment.address());
    errln!("DynamoDB endpoint: {}", deployment.machine().dynamodb().endpoint_url());
    errln!("S3 endpoint: {}", deployment.machine().s3().endpoint_url());
    errln!("Both require the access key. For SDK clients and `sam local`, in their shell:");
    for (name, value) in deployment.machine().access() {
        errln!("  export {name}={value}");
    }
    errln!("Console: {}", deployment.console_link());
    errln!("Stop with Ctrl-C.");
    let signal = until_stopped().await;
    deployment.stop().await?;
    Failure::of_endless(signal)
}
