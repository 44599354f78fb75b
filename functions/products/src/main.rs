//! The function's binary: wiring alone.

use lambda_runtime::{Error, run, service_fn, tracing};
use nextbasket_domain::Clock;
use nextbasket_http::Service;
use nextbasket_tables::Tables;
use products::{State, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let tables = Tables::from_env().await;
    let state = State::new(Service::from_env()?, &tables, Clock::system())?;
    run(service_fn(|event| handle(&state, event))).await
}
