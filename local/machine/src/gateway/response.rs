//! A function's answer as an HTTP response.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body as EventBody;
use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderValue, StatusCode};

use crate::invoke::MAX_PAYLOAD_BYTES;

/// Why an answer is no HTTP response. The gateway answers 500 in its place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResponseError {
    #[error("statusCode {0} is not an HTTP status")]
    Status(i64),
    #[error("isBase64Encoded is true, but the body is not valid base64: {0}")]
    Base64(#[from] base64::DecodeError),
    #[error("a cookie is not a valid header value")]
    Cookie,
    /// As Lambda says it.
    #[error("response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes)")]
    TooLarge,
    #[error(transparent)]
    Form(#[from] serde_json::Error),
}

pub(crate) fn http(answer: ApiGatewayV2httpResponse) -> Result<Response, ResponseError> {
    let bytes = match &answer.body {
        Some(EventBody::Text(text)) => text.len(),
        Some(EventBody::Binary(bytes)) => bytes.len(),
        _ => 0,
    };
    // Escapes make a text six times as long at most.
    if bytes > MAX_PAYLOAD_BYTES / 8 && serde_json::to_vec(&answer)?.len() > MAX_PAYLOAD_BYTES {
        return Err(ResponseError::TooLarge);
    }
    let status = u16::try_from(answer.status_code)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok())
        .ok_or(ResponseError::Status(answer.status_code))?;
    let body = match answer.body {
        Some(EventBody::Text(text)) if answer.is_base64_encoded => STANDARD.decode(text)?,
        Some(EventBody::Text(text)) => text.into_bytes(),
        Some(EventBody::Binary(bytes)) => bytes,
        _ => Vec::new(),
    };
    let has_body = !body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let single = answer.headers.clone();
    *headers = answer.headers;
    for name in answer.multi_value_headers.keys() {
        if single.contains_key(name) {
            continue;
        }
        for value in answer.multi_value_headers.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    for cookie in answer.cookies {
        headers.append(SET_COOKIE, HeaderValue::try_from(cookie).map_err(|_| ResponseError::Cookie)?);
    }
    if has_body && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    Ok(response)
}
