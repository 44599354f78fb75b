//! `GET models/{version}`: what a model has learned. `GET trainings`: how models came about.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use nextbasket_domain::Timestamp;
use nextbasket_http::ApiError;
use nextbasket_job_engine::{Job, JobId, JobState};
use nextbasket_recommender::Params;
use nextbasket_recommender::ranker::{FEATURES, Ranker, TimeFeatures};
use nextbasket_tables::model::{ModelInfo, ModelRecord};
use serde::Serialize;
use serde_json::Value;

use crate::Console;
use crate::answer::{Answer, Json, Problem};

/// The kind of job that makes models.
const TRAIN: &str = "train";

/// How many trainings are listed, and the most jobs that are looked at for them.
const MAX_TRAININGS: usize = 50;
const PAGE: u32 = 100;
const MAX_PAGES: usize = 10;

/// The name of the feature that holds the score of the linear stage.
const LINEAR_SCORE: &str = "linearScore";

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/models/{version}", get(show)).route("/trainings", get(trainings))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelDetails {
    version: u64,
    live: bool,
    products: usize,
    users: u64,
    purchases: u64,
    /// `None` if the hand formula orders the products.
    ranker: Option<RankerDetails>,
    /// The weight of what is bought together with the products of a cart.
    cart_weight: f64,
    parameters: Params,
}

#[derive(Serialize)]
struct RankerDetails {
    /// `elapsed` if features count time up to the request, `standing` if not.
    time: &'static str,
    /// The linear stage.
    columns: Vec<ColumnWeight>,
    trees: usize,
    /// What the trees ask for, the most used first.
    features: Vec<FeatureUse>,
}

#[derive(Serialize)]
struct ColumnWeight {
    name: &'static str,
    weight: f64,
}

#[derive(Serialize)]
struct FeatureUse {
    name: &'static str,
    splits: usize,
    /// The share of what the trees gain; of models that were evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    gain: Option<f64>,
}

async fn show(State(console): State<Console>, Path(version): Path<String>) -> Answer<ModelDetails> {
    let version: u64 =
        version.parse().map_err(|_| ApiError::invalid("version", "must be a whole number, such as 7"))?;
    let (model, records) = tokio::join!(console.lists.model(Some(version)), records(&console));
    let Some(model) = model? else { return Err(not_found(version)) };
    let record = records?.into_iter().find(|record| record.version == version);
    let (live, info) = record.map_or((false, None), |record| (record.live, record.info));
    let priors = &model.priors;
    Ok(Json(ModelDetails {
        version,
        live,
        products: priors.len(),
        users: priors.users(),
        purchases: priors.baskets(),
        ranker: model.ranker.as_ref().map(|ranker| RankerDetails::of(ranker, info.as_ref())),
        cart_weight: priors.params().together_weight,
        parameters: priors.params().clone(),
    }))
}

fn not_found(version: u64) -> Problem {
    let detail = format!("model {version} not found: nothing was trained yet");
    ApiError::not_found("model_not_found", detail).at("version").into()
}

async fn records(console: &Console) -> Result<Vec<ModelRecord>, ApiError> {
    Ok(console.models()?.models().await?)
}

impl RankerDetails {
    fn of(ranker: &Ranker, info: Option<&ModelInfo>) -> Self {
        let unused = ranker.time().unused();
        let used = |at: &usize| !unused.contains(at);
        let weights = FEATURES.iter().zip(ranker.weights()).enumerate();
        let columns = weights
            .filter(|(at, _)| used(at))
            .map(|(_, (name, weight))| ColumnWeight { name, weight: *weight })
            .collect();
        let metrics = info.and_then(metrics);
        let names = FEATURES.iter().copied().chain([LINEAR_SCORE]);
        let mut features: Vec<FeatureUse> = names
            .zip(ranker.splits())
            .enumerate()
            .filter(|(at, _)| used(at))
            .map(|(_, (name, splits))| FeatureUse { name, splits, gain: gain(metrics.as_ref(), name) })
            .collect();
        features.sort_by_key(|feature| std::cmp::Reverse(feature.splits));
        let time = match ranker.time() {
            TimeFeatures::Standing => "standing",
            TimeFeatures::Elapsed => "elapsed",
        };
        Self { time, columns, trees: ranker.trees(), features }
    }
}

/// As the training reported it.
fn gain(metrics: Option<&Value>, feature: &str) -> Option<f64> {
    let features = metrics?.get("ranker")?.get("features")?.as_array()?;
    features.iter().find(|one| one.get("name").is_some_and(|name| name == feature))?.get("gain")?.as_f64()
}

fn metrics(info: &ModelInfo) -> Option<Value> {
    serde_json::from_str(info.metrics.as_deref()?).ok()
}

#[derive(Serialize)]
struct Trainings {
    /// Newest first.
    items: Vec<Training>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Training {
    /// None of a model that is kept and whose job is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<JobId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<JobState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Value>,
    /// Why there is no model of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Job> for Training {
    fn from(job: Job) -> Self {
        let mut result = job.result.unwrap_or_default();
        Self {
            job_id: Some(job.job_id),
            state: Some(job.state),
            started_at: job.started_at.or(Some(job.created_at)),
            ended_at: job.ended_at,
            version: result.get("modelVersion").and_then(Value::as_u64),
            metrics: result.get_mut("metrics").map(Value::take).filter(|metrics| !metrics.is_null()),
            reason: job.failure,
        }
    }
}

async fn trainings(State(console): State<Console>) -> Answer<Trainings> {
    let mut items = Vec::new();
    let mut after = None;
    for _ in 0..MAX_PAGES {
        let page = console.engine.list(PAGE, after.as_ref()).await;
        let page = page.map_err(|error| console.job_problem(error))?;
        items.extend(page.jobs.into_iter().filter(|job| job.kind == TRAIN).map(Training::from));
        after = page.next;
        if after.is_none() || items.len() >= MAX_TRAININGS {
            break;
        }
    }
    items.truncate(MAX_TRAININGS);
    for record in records(&console).await? {
        if !items.iter().any(|training| training.version == Some(record.version)) {
            items.push(Training {
                ended_at: Some(record.trained_at),
                version: Some(record.version),
                metrics: record.info.as_ref().and_then(metrics),
                ..Training::default()
            });
        }
    }
    items.sort_by_key(|training| std::cmp::Reverse(training.started_at.or(training.ended_at)));
    Ok(Json(Trainings { items }))
}
