//! The page's files, which are part of the binary, and the headers that keep the page to itself.
//!
//! The policy allows nothing but the page's own files and calls: no inline script or style, no frame around it, no form,
//! no other origin. Browsers ask each time whether a file has changed, since a new version of the command has the same
//! addresses.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::Console;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Sent with every answer of the console.
const PROTECTION: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static [u8],
}

const INDEX: Asset = Asset {
    name: "index.html",
    media_type: "text/html; charset=utf-8",
    content: include_bytes!("../assets/index.html"),
};

const FILES: [Asset; 3] = [
    Asset {
        name: "console.js",
        media_type: "text/javascript; charset=utf-8",
        content: include_bytes!("../assets/console.js"),
    },
    Asset {
        name: "console.css",
        media_type: "text/css; charset=utf-8",
        content: include_bytes!("../assets/console.css"),
    },
    Asset { name: "icon.svg", media_type: "image/svg+xml", content: include_bytes!("../assets/icon.svg") },
];

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/console/") }))
        .route("/console", get(|| async { Redirect::temporary("/console/") }))
        .route("/console/", get(|headers: HeaderMap| async move { answer(&INDEX, &headers) }))
        .route("/console/{name}", get(file))
        .fallback(|| async { not_found() })
}

async fn file(State(_): State<Console>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    FILES.iter().find(|file| file.name == name).map_or_else(not_found, |file| answer(file, &headers))
}

fn answer(asset: &Asset, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", nextbasket_domain::digest(asset.content, 16));
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|value| value.split(',')).any(|given| given.trim() == tag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, asset.media_type)], asset.content).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "Not found. The console is at /console/.\n").into_response()
}

/// Adds the headers that every answer of the console has.
pub(crate) async fn protect(mut response: Response) -> Response {
    for (name, value) in PROTECTION {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
