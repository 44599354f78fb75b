//! The function's binary: wiring alone.

use lambda_runtime::{Error, run, service_fn};
use nextbasket_domain::{Clock, Random};
use nextbasket_http::Service;
use nextbasket_tables::Tables;
use nextbasket_telemetry::logging;
use recommendations::reason_texts::ReasonTexts;
use recommendations::{State, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::init();
    let state = State::new(Service::from_env()?, &Tables::from_env(), Clock::system(), Random::system()?)?
        // A function that cannot start shows its error as `Debug` has it.
        .with_texts(ReasonTexts::from_env().map_err(|error| error.to_string())?);
    state.warm_up().await;
    run(service_fn(|event| handle(&state, event))).await
}
