//! `console`: the page over a deployed stack, or over a data folder.

use std::net::SocketAddr;

use clap::Args;
use nextbasket_console::SessionSecret;
use nextbasket_machine::access::read_key_file;
use nextbasket_machine::folder::{MissingFolder, Role, running_server};

use crate::Failure;
use crate::console::stack::{StackConsole, StackConsoleOptions};
use crate::folder_sharing::{SERVER_PATIENCE, start, until_free};
use crate::local_deployment::{DeploymentOptions, LocalDeployment};
use crate::options::value::listen_address;
use crate::signals::until_stopped;
use crate::stdio::{errln, outln};
use crate::target::TargetOptions;

#[derive(Debug, Args)]
pub struct OpenConsole {
    #[command(flatten)]
    pub target: TargetOptions,
    /// The name of the deployed stack
    #[arg(long, value_name = "STACK", default_value = "nextbasket")]
    pub stack: String,
    /// The address of the page; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8090", value_parser = listen_address)]
    pub listen: SocketAddr,
    /// Let the page write: items, products, purchases, jobs
    #[arg(long)]
    pub writable: bool,
    /// Show this table as well; may be repeated
    #[arg(long = "table", value_name = "TABLE")]
    pub tables: Vec<String>,
}

pub(crate) async fn run(options: OpenConsole) -> Result<(), Failure> {
    if options.target.state.is_some() {
        let problem = "the console shows the jobs of the stack's own operations table: leave it out";
        return Err(Failure::Usage(format!("--state: {problem}")));
    }
    if options.target.is_data_folder() { over_folder(options).await } else { over_stack(options).await }
}

async fn over_stack(options: OpenConsole) -> Result<(), Failure> {
    let console = StackConsole::start(StackConsoleOptions {
        target: &options.target,
        stack: &options.stack,
        listen: options.listen,
        writable: options.writable,
        tables: options.tables,
    })
    .await?;
    outln!("Console: {}", console.link);
    let allowed = if options.writable { "It may write." } else { "It only reads: --writable lets it write." };
    errln!("Stack {} at {}. {allowed}", options.stack, console.place);
    errln!("Stop with Ctrl-C.");
    let signal = until_stopped().await;
    console.stop().await;
    Failure::of_endless(signal)
}

/// A server that has the folder open serves its console already.
async fn over_folder(options: OpenConsole) -> Result<(), Failure> {
    let data = options.target.data;
    if let Some(server) = running_server(&data)?.filter(|server| matches!(server.role, Role::Server { .. })) {
        let key = read_key_file(&data)?;
        outln!("Console: {}", SessionSecret::new(key.derive("console")).link(server.http));
        errln!("{server} serves it.");
        return Ok(());
    }
    let deployment_options = DeploymentOptions {
        listen: options.listen,
        missing: MissingFolder::Fail,
        writable: options.writable,
        ..DeploymentOptions::on_any_port(Some(data))
    };
    let deployment =
        until_free(SERVER_PATIENCE, || start(&deployment_options, LocalDeployment::start)).await?;
    outln!("Console: {}", deployment.console_link());
    errln!("Stop with Ctrl-C.");
    let signal = until_stopped().await;
    deployment.stop().await?;
    Failure::of_endless(signal)
}
