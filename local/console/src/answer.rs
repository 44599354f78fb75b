//! JSON bodies and answers, and errors as problem details, in the form of the public API.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use nextbasket_http::request::{MAX_BODY_BYTES, parse_json};
use nextbasket_http::{ApiError, ApiResponse, respond};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::parts::ConsoleParts;

/// What a handler answers: JSON with 200, or a problem.
pub type Answer<T> = Result<Json<T>, Problem>;

/// An error, answered as problem details (RFC 9457). Its cause goes to the log.
#[derive(Debug)]
pub struct Problem(pub ApiError);

impl<E: Into<ApiError>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.0.status() >= 500 {
            let cause = std::error::Error::source(&self.0).map(ToString::to_string).unwrap_or_default();
            tracing::error!(code = self.0.code(), cause, "a request of the console failed");
        }
        http_response(respond::problem(&self.0, &nextbasket_domain::digest(self.0.to_string(), 8)))
    }
}

/// A JSON body, or an answer of one.
pub struct Json<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        read_json(request.into_body(), MAX_BODY_BYTES).await.map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => json_response(StatusCode::OK, body),
            Err(error) => Problem(ApiError::internal(error)).into_response(),
        }
    }
}

/// A JSON body of at most `max_bytes`.
///
/// # Errors
/// As [`parse_json`]; 400 if the body does not arrive.
pub async fn read_json<T: DeserializeOwned>(body: Body, max_bytes: usize) -> Result<T, Problem> {
    let body = Limited::new(body, max_bytes).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            ApiError::body_too_large(max_bytes)
        } else {
            ApiError::invalid_json("the body did not arrive")
        }
    })?;
    Ok(parse_json(&body.to_bytes(), max_bytes)?)
}

impl ConsoleParts {
    /// # Errors
    /// 403 `read_only` unless the console was started with `--writable`.
    pub fn require_writable(&self) -> Result<(), Problem> {
        if self.writable {
            return Ok(());
        }
        let detail = "this console only reads: start it with --writable to change items and locks";
        Err(Problem(ApiError::new(403, "read_only", detail)))
    }

    /// What went wrong with a job, as the public API says it.
    pub fn job_problem(&self, error: nextbasket_job_engine::JobError) -> Problem {
        Problem(jobs_api::problem::of_job(&self.engine, error))
    }
}

pub(crate) async fn unknown_route(method: Method, uri: Uri) -> Problem {
    Problem(ApiError::not_found("route_not_found", format!("route \"{method} {}\" not found", uri.path())))
}

pub(crate) async fn unknown_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("route {} does not know the method {method}", uri.path());
    Problem(ApiError::new(405, "method_not_allowed", detail))
}

fn json_response(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn http_response(answer: ApiResponse) -> Response {
    let body: Option<Vec<u8>> = answer.body.map(|body| body.to_vec());
    let mut response = Response::new(body.map(Body::from).unwrap_or_default());
    let status = u16::try_from(answer.status_code).ok();
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = answer.headers;
    response
}
