//! Jobs and models: `POST`, `GET /jobs`, `GET`, `DELETE /jobs/{jobId}`, `GET /models` and `PUT /models/current`.
//!
//! The [`Driver`] starts an accepted job: as an execution of the state machine, or with the workers of this process.
//! All of it is for callers who may change the catalogue.
//!
//! | module | holds |
//! |---|---|
//! | [`driver`] | who works on a job that was accepted |
//! | [`models`] | the models' routes |
//! | [`problem`] | errors of jobs, as the client may know them |

pub mod driver;
pub mod models;
pub mod problem;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use http::HeaderValue;
use http::header::LOCATION;
use lambda_runtime::LambdaEvent;
use nextbasket_http::{ApiError, Request, Service, cursor, json, list, service};
use nextbasket_job_engine::engine::Cancelled;
use nextbasket_job_engine::store::JobsPosition;
use nextbasket_job_engine::{Engine, Estimate, JobError, JobId, JobState};
use nextbasket_tables::Tables;
use nextbasket_tables::model::ModelTable;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use driver::Driver;

/// The name of the list of jobs in its cursors.
const LIST: &str = "jobs";

#[derive(Debug, Clone)]
pub struct State {
    service: Service,
    engine: Engine,
    models: ModelTable,
    driver: Driver,
}

impl State {
    /// With this engine, the table of models and this driver.
    ///
    /// # Errors
    /// If the table has no name.
    pub fn new(
        service: Service,
        engine: Engine,
        tables: &Tables,
        driver: Driver,
    ) -> Result<Self, lambda_runtime::Error> {
        Ok(Self { service, engine, models: tables.model()?, driver })
    }
}

/// Answers one request.
///
/// # Errors
/// None: what goes wrong is answered as problem details.
pub async fn handle(
    state: &State,
    event: LambdaEvent<ApiGatewayV2httpRequest>,
) -> Result<ApiGatewayV2httpResponse, lambda_runtime::Error> {
    state
        .service
        .answer(event, async |request| {
            request.caller.administer()?;
            match request.route() {
                "POST /jobs" => submit(state, &request).await,
                "GET /jobs" => list_jobs(state, &request).await,
                "GET /jobs/{jobId}" => show(state, &request).await,
                "DELETE /jobs/{jobId}" => cancel(state, &request).await,
                "GET /models" => models::list_models(&state.models, &request).await,
                "PUT /models/current" => models::make_current(&state.models, &request).await,
                _ => Err(service::unknown_route(&request)),
            }
        })
        .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewJob {
    job_id: Option<JobId>,
    kind: String,
    #[serde(default)]
    parameters: Map<String, Value>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize)]
struct DryRun {
    kind: String,
    parameters: Value,
    estimate: Estimate,
}

async fn submit(state: &State, request: &Request<'_>) -> Result<ApiGatewayV2httpResponse, ApiError> {
    request.query(&[])?;
    let NewJob { job_id, kind, parameters, dry_run } = request.body()?;
    let parameters = Value::Object(parameters);
    let engine = &state.engine;
    if dry_run {
        let estimate =
            engine.estimate(&kind, &parameters).await.map_err(|e| problem::of_estimate(engine, e))?;
        return json(200, &DryRun { kind, parameters, estimate });
    }
    let given = job_id.is_some();
    let job = engine.submit(job_id, &kind, parameters).await.map_err(|e| problem::of_job(engine, e))?;
    if !job.state.has_ended()
        && let Err(error) = state.driver.start(&job.job_id).await
    {
        // A client that knows the id can submit it again. Any other job would be lost.
        if !given && let Err(error) = withdraw(engine, &job.job_id).await {
            tracing::error!(job = %job.job_id, %error, "a job that was not started could not be cancelled");
        }
        return Err(error);
    }
    let mut response = json(202, &job)?;
    let location = HeaderValue::from_str(&format!("/jobs/{}", job.job_id)).map_err(ApiError::internal)?;
    response.headers.insert(LOCATION, location);
    Ok(response)
}

/// Cancels a job that nobody works on. If it was started after all, it ends as cancelled.
async fn withdraw(engine: &Engine, id: &JobId) -> Result<(), JobError> {
    engine.cancel(id).await.map(drop)
}

async fn list_jobs(state: &State, request: &Request<'_>) -> Result<ApiGatewayV2httpResponse, ApiError> {
    let query = request.query(&["limit", "cursor"])?;
    let limit = u32::try_from(query.limit()?).map_err(ApiError::internal)?;
    let after: Option<JobsPosition> =
        query.text("cursor").map(|text| cursor::decode(LIST, text)).transpose()?;
    let page =
        state.engine.list(limit, after.as_ref()).await.map_err(|e| problem::of_job(&state.engine, e))?;
    let end = page.next.map(|next| cursor::encode(LIST, next)).transpose()?;
    list(&page.jobs, end, |last| cursor::encode(LIST, JobsPosition::of(last)))
}

async fn show(state: &State, request: &Request<'_>) -> Result<ApiGatewayV2httpResponse, ApiError> {
    let id = job_id(request)?;
    request.query(&[])?;
    let view = state.engine.show(&id).await.map_err(|e| problem::of_job(&state.engine, e))?;
    json(200, &view)
}

/// The end comes with the next plan, once the batches under way have saved their checkpoints: a job keeps its lock for
/// as long as one of its batches may write. So the state machine's execution is not stopped, but ends by itself.
async fn cancel(state: &State, request: &Request<'_>) -> Result<ApiGatewayV2httpResponse, ApiError> {
    let id = job_id(request)?;
    request.query(&[])?;
    let cancelled = state.engine.cancel(&id).await.map_err(|e| problem::of_job(&state.engine, e))?;
    match cancelled {
        // The same request again, after a lost answer.
        Cancelled::Before(job) if job.state == JobState::Cancelled => json(200, &job),
        Cancelled::Before(job) => {
            let how = job.state.as_str();
            let detail = format!("job {} has already {how}; nothing was changed", job.job_id);
            Err(ApiError::conflict("job_ended", detail).at("jobId"))
        }
        Cancelled::Ended(job) | Cancelled::Stopping(job) => json(202, &job),
    }
}

fn job_id(request: &Request<'_>) -> Result<JobId, ApiError> {
    request.path("jobId", JobId::parse)
}
