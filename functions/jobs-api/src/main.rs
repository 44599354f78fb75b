//! The function's binary: wiring alone.

use jobs_api::{Driver, State, handle};
use lambda_runtime::{Error, run, service_fn};
use nextbasket_dynamodb::config::Patience;
use nextbasket_http::Service;
use nextbasket_tables::Tables;
use nextbasket_telemetry::logging;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::init();
    let engine = nextbasket_job_kinds::engine_from_env(Patience::ANSWER)?;
    engine.warm_up().await;
    let state = State::new(Service::from_env()?, engine, &Tables::from_env(), Driver::from_env())?;
    run(service_fn(|event| handle(&state, event))).await
}
