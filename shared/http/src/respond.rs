//! JSON answers and problem details.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use serde::Serialize;

use crate::ApiError;

/// What a function gives to API Gateway.
pub type ApiResponse = ApiGatewayV2httpResponse;

/// An answer with a JSON body.
pub fn json(status: u16, body: &impl Serialize) -> Result<ApiResponse, ApiError> {
    let body = serde_json::to_string(body).map_err(ApiError::internal)?;
    Ok(response(status, "application/json", Some(body)))
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct ListPage<T> {
    pub items: Vec<T>,
    /// Where the list continues, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// An answer without a body.
#[must_use]
pub fn no_content(status: u16) -> ApiResponse {
    response(status, "", None)
}

fn response(status: u16, content_type: &'static str, body: Option<String>) -> ApiResponse {
    let mut headers = HeaderMap::new();
    if body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    // Every answer depends on the caller and on the latest purchase.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let mut response = ApiResponse::default();
    response.status_code = status.into();
    response.headers = headers;
    response.body = body.map(Body::Text);
    response
}

/// The members of RFC 9457 that we use, and ours: `code`, `field` and `requestId`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProblemDetails<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    request_id: &'a str,
}

/// The error as problem details.
pub(crate) fn problem(error: &ApiError, request_id: &str) -> ApiResponse {
    let status = http::StatusCode::from_u16(error.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let problem = ProblemDetails {
        r#type: format!("urn:nextbasket:problem:{}", error.code),
        title: status.canonical_reason().unwrap_or("Error"),
        status: error.status,
        detail: &error.detail,
        code: error.code,
        field: error.field.as_deref(),
        request_id,
    };
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let mut response = response(error.status, "application/problem+json", Some(body));
    if let Some(seconds) = error.retry_after {
        response.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
