//! The function's binary: wiring alone.

use lambda_runtime::{Error, run, service_fn};
use nextbasket_domain::{Clock, Random};
use nextbasket_http::Service;
use nextbasket_tables::Tables;
use nextbasket_telemetry::logging;
use purchases::{State, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::init();
    let random = Random::system()?;
    let state = State::new(Service::from_env()?, &Tables::from_env(), Clock::system(), random)?;
    state.warm_up().await;
    run(service_fn(|event| handle(&state, event))).await
}
