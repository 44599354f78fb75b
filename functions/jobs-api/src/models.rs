//! The models' routes: which there are, and which is live.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use nextbasket_domain::Timestamp;
use nextbasket_http::{ApiError, Request, json, list};
use nextbasket_tables::model::{ModelRecord, ModelTable, RollbackError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A model, as a client sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    version: u64,
    live: bool,
    trained_at: Timestamp,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    training: Option<Training>,
}

#[derive(Serialize)]
struct Training {
    users: u64,
    purchases: u64,
    products: u64,
    params: String,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Value>,
}

impl Model {
    /// From what is kept of it.
    ///
    /// # Errors
    /// [`ApiError`] if its figures are not of the expected form.
    pub fn of(record: ModelRecord) -> Result<Self, ApiError> {
        let ModelRecord { version, live, trained_at, info } = record;
        let training = info.map(|info| {
            let metrics = info.metrics.map(|text| serde_json::from_str(&text)).transpose();
            Ok::<_, ApiError>(Training {
                users: info.users,
                purchases: info.purchases,
                products: info.products,
                params: info.params,
                seconds: info.seconds,
                metrics: metrics.map_err(ApiError::internal)?,
            })
        });
        Ok(Self { version, live, trained_at, training: training.transpose()? })
    }
}

/// `GET /models`.
pub(crate) async fn list_models(
    models: &ModelTable,
    request: &Request<'_>,
) -> Result<ApiGatewayV2httpResponse, ApiError> {
    request.query(&[])?;
    let items = models.models().await?.into_iter().map(Model::of).collect::<Result<Vec<_>, _>>()?;
    list(&items, None, |_| Err(ApiError::internal("two models do not fit into one answer")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    version: u64,
}

/// `PUT /models/current`.
pub(crate) async fn make_current(
    models: &ModelTable,
    request: &Request<'_>,
) -> Result<ApiGatewayV2httpResponse, ApiError> {
    request.query(&[])?;
    let Choice { version } = request.body()?;
    let pointer = models.make_current(version).await.map_err(problem)?;
    let known = models.models().await?.into_iter().find(|model| model.version == version);
    let record =
        known.unwrap_or(ModelRecord { version, live: true, trained_at: pointer.trained_at, info: None });
    json(200, &Model::of(record)?)
}

fn problem(error: RollbackError) -> ApiError {
    match error {
        RollbackError::NoSuchModel { .. } => {
            ApiError::not_found("model_not_found", error.to_string()).at("version")
        }
        RollbackError::Overwritten { .. } => {
            ApiError::conflict("model_overwritten", error.to_string()).at("version")
        }
        RollbackError::Table(error) => error.into(),
    }
}
