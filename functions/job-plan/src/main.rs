//! The function's binary: wiring alone.

use job_plan::{State, handle};
use lambda_runtime::{Error, run, service_fn};
use nextbasket_dynamodb::config::Patience;
use nextbasket_telemetry::{Metrics, logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::init();
    let engine = nextbasket_job_kinds::engine_from_env(Patience::BATCH)?;
    engine.warm_up().await;
    let state = State::new(engine, Metrics::stdout());
    run(service_fn(|event| handle(&state, event))).await
}
