//! `GET kinds`: the kinds of job, with the schemas that forms are made of.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use nextbasket_job_engine::schema::KindSchema;
use nextbasket_job_kinds::schemas;
use serde::Serialize;

use crate::Console;
use crate::answer::Json;

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/kinds", get(kinds))
}

#[derive(Serialize)]
struct Kinds {
    items: Vec<KindSchema>,
}

async fn kinds(State(console): State<Console>) -> Json<Kinds> {
    Json(Kinds { items: schemas(&console.tables) })
}
