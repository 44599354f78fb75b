//! `serve`: the HTTP API and the DynamoDB endpoint over a data folder.

use nextbasket_machine::folder::Missing;

use crate::Failure;
use crate::cli::Serve;
use crate::out::{errln, outln};
use crate::sharing::{SERVER_PATIENCE, start, until_free};
use crate::signals::until_stopped;
use crate::system::{Settings, System};

/// Serves until it is told to stop.
///
/// # Errors
/// [`Failure`] if the system does not start or cannot stop cleanly, or after Ctrl-C.
pub async fn run(options: Serve) -> Result<(), Failure> {
    let settings = Settings {
        data: (!options.ephemeral).then_some(options.data),
        missing: Missing::Make,
        listen: options.listen,
        dynamodb_listen: options.dynamodb_listen,
        workers: options.workers,
        ..Settings::on_any_port(None)
    };
    // A command that has the folder open may be about to end.
    let system = until_free(SERVER_PATIENCE, || start(&settings, System::start)).await?;
    // The address alone on standard output, for scripts that wait for it.
    outln!("http://{}", system.address());
    errln!("DynamoDB endpoint: {}", system.machine().dynamodb().endpoint_url());
    errln!("S3 endpoint: {}", system.machine().s3().endpoint_url());
    errln!("Both want the access key. For SDK clients and `sam local`, in their shell:");
    for (name, value) in system.machine().access() {
        errln!("  export {name}={value}");
    }
    errln!("Stop with Ctrl-C.");
    let stopping = until_stopped().await;
    system.stop().await?;
    stopping.as_end()
}
