//! JSON answers and problem details.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use serde::Serialize;

use crate::ApiError;

/// What a function gives to API Gateway.
pub type ApiResponse = ApiGatewayV2httpResponse;

const JSON: &str = "application/json";

/// An answer with a JSON body.
pub fn json(status: u16, body: &impl Serialize) -> Result<ApiResponse, ApiError> {
    let body = serde_json::to_string(body).map_err(ApiError::internal)?;
    Ok(response(status, JSON, Some(body)))
}

/// The most bytes of a list's items, as they are in a function's answer: a text with quotes and backslashes escaped.
/// Lambda ends at 6 MB with everything around them.
pub const MAX_LIST_BYTES: usize = 5_000_000;

/// A page of a list. It ends before the items have more than [`MAX_LIST_BYTES`], though never before the first.
///
/// `end` is the cursor to where the list continues after all of `items`, if it does; `after` makes the one to where it
/// continues after an item.
pub fn list<T: Serialize>(
    items: &[T],
    end: Option<String>,
    after: impl FnOnce(&T) -> Result<String, ApiError>,
) -> Result<ApiResponse, ApiError> {
    let mut body = String::from("{\"items\":[");
    let mut bytes = 0;
    let mut cursor = end;
    let mut before = None;
    for item in items {
        let json = serde_json::to_string(item).map_err(ApiError::internal)?;
        bytes += json.len() + json.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        if let Some(before) = before {
            if bytes > MAX_LIST_BYTES {
                cursor = Some(after(before)?);
                break;
            }
            body.push(',');
        }
        body.push_str(&json);
        before = Some(item);
    }
    body.push(']');
    if let Some(cursor) = cursor {
        body.push_str(",\"cursor\":");
        body.push_str(&serde_json::to_string(&cursor).map_err(ApiError::internal)?);
    }
    body.push('}');
    Ok(response(200, JSON, Some(body)))
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
#[must_use]
pub fn problem(error: &ApiError, request_id: &str) -> ApiResponse {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn body(response: &ApiResponse) -> Value {
        let Some(Body::Text(text)) = &response.body else { return Value::Null };
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_page_that_fits_is_whole_and_keeps_its_cursor() {
        let never = |_: &i32| Err(ApiError::invalid_cursor());
        assert_eq!(body(&list(&[], None, never).unwrap()), json!({ "items": [] }));
        let page = list(&[1, 2], Some("next\"".to_owned()), never).unwrap();
        assert_eq!(body(&page), json!({ "items": [1, 2], "cursor": "next\"" }));
        assert_eq!(page.status_code, 200);
    }

    #[test]
    fn a_page_ends_before_what_lambda_answers() {
        // Each backslash is two characters in the body, and four in the function's answer.
        let items: Vec<(usize, String)> = (0..100).map(|n| (n, "\\".repeat(60_000))).collect();
        let mut found = 0;
        while found < items.len() {
            let after = |last: &(usize, String)| Ok(last.0.to_string());
            let page = list(&items[found..], None, after).unwrap();
            assert!(serde_json::to_vec(&page).unwrap().len() < 6_000_000);
            let page = body(&page);
            let shown = page["items"].as_array().unwrap().len();
            found += shown;
            assert!(shown > 0);
            assert_eq!(page.get("cursor").is_some(), found < items.len());
        }
        let large = [(0, "x".repeat(MAX_LIST_BYTES)), (1, String::new())];
        let page = body(&list(&large, None, |last| Ok(last.0.to_string())).unwrap());
        assert_eq!((page["items"].as_array().unwrap().len(), &page["cursor"]), (1, &json!("0")));
    }
}
