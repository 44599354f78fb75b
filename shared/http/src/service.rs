//! From an event to an answer, alike for every API function.

use std::env;
use std::time::Instant;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_runtime::LambdaEvent;
use nextbasket_dynamodb::capacity::metered;
use nextbasket_telemetry::{Metrics, Unit};

use crate::respond::{ApiResponse, problem};
use crate::{ApiError, AuthMode, Caller, Request};

/// The error code for a route that the function does not know.
const UNKNOWN_ROUTE: &str = "route_not_found";

/// What API Gateway sends to a function.
pub type ApiEvent = LambdaEvent<ApiGatewayV2httpRequest>;

/// What every API function needs beside its tables.
#[derive(Debug, Clone)]
pub struct Service {
    /// How callers prove who they are.
    pub auth: AuthMode,
    pub metrics: Metrics,
}

impl Service {
    /// From `AUTH_MODE`, with metrics on standard output.
    ///
    /// # Errors
    /// If `AUTH_MODE` is missing or unknown.
    pub fn from_env() -> Result<Self, String> {
        let mode = env::var("AUTH_MODE")
            .map_err(|_| "environment variable AUTH_MODE is not set: expected iam or jwt".to_owned())?;
        Ok(Self { auth: mode.parse()?, metrics: Metrics::stdout() })
    }

    /// Names the caller, runs the route, and answers: with what it gives, or with problem details. What went wrong
    /// on our side is logged with its causes; latency and capacity are measured.
    pub async fn answer(
        &self,
        event: ApiEvent,
        route: impl AsyncFnOnce(Request<'_>) -> Result<ApiResponse, ApiError>,
    ) -> Result<ApiResponse, lambda_runtime::Error> {
        let started = Instant::now();
        let request_id =
            event.payload.request_context.request_id.as_deref().unwrap_or(&event.context.request_id);
        let (result, units) = metered(async {
            let caller = Caller::of(&event.payload, self.auth)?;
            // Boxed, since the compiler gives up on futures that nest as deep as the SDK's do.
            Box::pin(route(Request { event: &event.payload, caller })).await
        })
        .await;
        // The route key of an unknown route, or of a request without a caller, may be any text, so it is not used as
        // a dimension.
        let known =
            !matches!(&result, Err(error) if [UNKNOWN_ROUTE, ApiError::UNAUTHORIZED].contains(&error.code));
        let response = result.unwrap_or_else(|error| {
            if error.status >= 500 {
                let cause = error.cause.as_ref().map(ToString::to_string).unwrap_or_default();
                tracing::error!(request_id, code = error.code, cause, "the request failed");
            } else {
                tracing::info!(
                    request_id,
                    status = error.status,
                    code = error.code,
                    field = error.field,
                    "the request was rejected"
                );
            }
            problem(&error, request_id)
        });
        let route = event.payload.route_key.as_deref().filter(|_| known).unwrap_or("none");
        self.metrics.put(
            &[("Route", route)],
            &[
                ("Latency", started.elapsed().as_secs_f64() * 1e3, Unit::Milliseconds),
                ("ReadUnits", units.read, Unit::Count),
                ("WriteUnits", units.write, Unit::Count),
            ],
            &[("requestId", request_id), ("status", &response.status_code.to_string())],
        );
        Ok(response)
    }
}

/// What a function answers for a route that the template gives it but its code does not know.
#[must_use]
pub fn unknown_route(request: &Request<'_>) -> ApiError {
    ApiError::not_found(UNKNOWN_ROUTE, format!("route {:?} not found", request.route()))
}
