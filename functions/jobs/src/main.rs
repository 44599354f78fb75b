//! The function's binary: wiring alone.

use jobs::{Driver, State, handle};
use lambda_runtime::{Error, run, service_fn};
use nextbasket_dynamodb::config::Patience;
use nextbasket_http::{Service, logging};
use nextbasket_tables::Tables;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::init();
    let engine = nextbasket_jobs::engine_from_env(Patience::ANSWER)?;
    let state = State::new(Service::from_env()?, engine, &Tables::from_env(), Driver::from_env())?;
    state.warm_up().await;
    run(service_fn(|event| handle(&state, event))).await
}
