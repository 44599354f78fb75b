//! DynamoDB's protocol in front of the embedded database: authentication, operation, answer.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use dynoxide::Database;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use uuid::Uuid;

use super::consumed::Consumed;
use super::{FULL_DISK, operations};
use crate::access::{AccessKey, UnacceptedBody, Verdict, signed_body};
use crate::door::{Foreign, host_is_foreign, response};

/// The maximum size of a request, as on AWS.
const MAX_BYTES: usize = 16 * 1024 * 1024;

const AMZ_JSON: &str = "application/x-amz-json-1.0";
const JSON: &str = "application/json";
const TARGETS: [&str; 2] = ["DynamoDB_20120810.", "DynamoDBStreams_20120810."];
const NOT_FOUND: &str = "<UnknownOperationException/>\n";

pub(super) struct DynamoDbState {
    pub(super) database: Database,
    pub(super) key: AccessKey,
    pub(super) address: std::net::SocketAddr,
    pub(super) consumed: Consumed,
}

/// Answers one request. The database call blocks the current thread.
pub(super) async fn answer(front: Arc<DynamoDbState>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    if head.uri.path() != "/" || head.method != Method::POST {
        if host_is_foreign(&head, front.address) {
            return refusal(Foreign::Host);
        }
        if head.method != Method::GET || head.uri.path() != "/" {
            return respond(StatusCode::NOT_FOUND, None, NOT_FOUND.to_owned());
        }
        return respond(StatusCode::OK, None, "healthy: dynamodb.us-east-1.amazonaws.com ".to_owned());
    }
    let body = match signed_body(&head, body, &front.key, MAX_BYTES).await {
        Ok(body) => body,
        Err(UnacceptedBody::Unsigned(verdict)) => return unsigned(&head, &front, &verdict),
        Err(UnacceptedBody::TooLarge) => {
            return respond(StatusCode::PAYLOAD_TOO_LARGE, None, "length limit exceeded".to_owned());
        }
        Err(UnacceptedBody::NotArrived) => {
            return respond(StatusCode::REQUEST_TIMEOUT, None, "the body did not arrive".to_owned());
        }
    };
    match std::str::from_utf8(&body) {
        Ok(body) => operation(&front, &head, body),
        Err(_) => respond(StatusCode::BAD_REQUEST, None, "the body is not UTF-8".to_owned()),
    }
}

fn operation(front: &DynamoDbState, head: &Parts, body: &str) -> Response {
    let text =
        |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given = text(header::CONTENT_TYPE);
    let media = given.split(';').next().unwrap_or_default().trim();
    let amz_json = media.eq_ignore_ascii_case(AMZ_JSON);
    let nothing = body.is_empty() && given.is_empty();
    if !(amz_json || media.eq_ignore_ascii_case(JSON) || nothing) {
        return respond(StatusCode::NOT_FOUND, None, NOT_FOUND.to_owned());
    }
    let media = if amz_json { AMZ_JSON } else { JSON };
    let target = text(HeaderName::from_static("x-amz-target"));
    let asked = TARGETS.iter().find_map(|prefix| target.strip_prefix(prefix));
    let Some(operation) = asked.filter(|operation| operations::is_known(operation)) else {
        return error(StatusCode::BAD_REQUEST, media, "UnknownOperationException", None);
    };
    match operations::run(&front.database, operation, body) {
        Ok(json) => {
            front.consumed.count(operation, &json);
            respond(StatusCode::OK, Some(media), json)
        }
        Err(operations::Refused::Unreadable) => {
            error(StatusCode::BAD_REQUEST, media, "SerializationException", None)
        }
        Err(operations::Refused::By(refusal)) => {
            let mut status = StatusCode::from_u16(refusal.status_code()).unwrap_or(StatusCode::BAD_REQUEST);
            if status.is_server_error() && refusal.to_string().contains(FULL_DISK) {
                // Clients retry other errors of a server; waiting does not make room.
                status = StatusCode::INSUFFICIENT_STORAGE;
            }
            if status.is_server_error() {
                tracing::error!(operation, error = %refusal, "the local DynamoDB failed");
            }
            respond(status, Some(media), refusal.to_json())
        }
    }
}

/// AWS's answer to a request that is not signed, or not with the key.
fn unsigned(head: &Parts, front: &DynamoDbState, verdict: &Verdict) -> Response {
    let (name, message) = match verdict {
        Verdict::Incomplete if !head.headers.contains_key(header::AUTHORIZATION) => {
            ("MissingAuthenticationTokenException", "Request is missing Authentication Token")
        }
        Verdict::Incomplete => (
            "IncompleteSignatureException",
            "The Authorization header must have AWS4-HMAC-SHA256, Credential, SignedHeaders and Signature, and the \
             request an X-Amz-Date header.",
        ),
        Verdict::UnknownKey => (
            "UnrecognizedClientException",
            "The security token included in the request is invalid. The local endpoint takes the access key of its \
             data folder alone (the file access-key).",
        ),
        Verdict::Skewed => (
            "InvalidSignatureException",
            "Signature expired: the clocks of client and server are more than 15 minutes apart.",
        ),
        Verdict::Forged | Verdict::Good => (
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method.",
        ),
    };
    let foreign = host_is_foreign(head, front.address);
    let status = if foreign { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
    error(status, AMZ_JSON, name, Some(message))
}

/// The answer to a request that the door rejects.
pub(super) fn refusal(foreign: Foreign) -> Response {
    error(StatusCode::FORBIDDEN, AMZ_JSON, "AccessDeniedException", Some(foreign.reason()))
}

fn error(status: StatusCode, media: &'static str, name: &str, message: Option<&str>) -> Response {
    let kind = format!("com.amazon.coral.service#{name}");
    let body = match message {
        Some(message) => serde_json::json!({ "__type": kind, "message": message }),
        None => serde_json::json!({ "__type": kind }),
    };
    respond(status, Some(media), body.to_string())
}

fn respond(status: StatusCode, media: Option<&'static str>, body: String) -> Response {
    let checksum = crc32fast::hash(body.as_bytes());
    let mut response = response(status, media, body);
    let headers = response.headers_mut();
    headers.insert("x-amz-crc32", HeaderValue::from(checksum));
    // The ids have the same length as those of AWS.
    let id = [Uuid::new_v4(), Uuid::new_v4()].map(|id| id.simple().to_string().to_ascii_uppercase()).concat();
    if let Some(id) = id.get(..52).and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
