//! A client of the HTTP API.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::Failure;

/// Characters of a path segment or query value that need no escape.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The pause before a request without an answer is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Escapes an id for a path or a query.
#[must_use]
pub fn escape(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

#[derive(Debug, Clone)]
pub struct ApiClient {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    patience: Duration,
}

impl ApiClient {
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), address, patience: Duration::ZERO }
    }

    /// Retries for up to this time, for a server that another process may take over.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sends a request, and returns the JSON of a 2xx answer.
    ///
    /// # Errors
    /// [`Failure::Answer`] with the problem's detail for any other status; [`Failure::Other`] without an answer.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let body = Bytes::from(body.map(Value::to_string).unwrap_or_default());
        let started = Instant::now();
        let response = loop {
            let request = Request::builder()
                .method(&method)
                .uri(format!("http://{}{path}", self.address))
                .header("content-type", "application/json")
                .body(Full::new(body.clone()))
                .map_err(Failure::other)?;
            match self.client.request(request).await {
                Ok(response) => break response,
                // Nothing was sent yet, or it may be sent twice.
                Err(error)
                    if (error.is_connect() || method.is_safe()) && started.elapsed() < self.patience =>
                {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Err(error) => {
                    return Err(Failure::Other(format!(
                        "no answer from http://{}: {error}. Does the server still run?",
                        self.address
                    )));
                }
            }
        };
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(Failure::other)?.to_bytes();
        let answer = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).map_err(Failure::other)?
        };
        if status.is_success() { Ok(answer) } else { Err(problem(status, &answer)) }
    }

    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::GET, path, None).await
    }
}

fn problem(status: StatusCode, answer: &Value) -> Failure {
    let detail = ["detail", "message"].iter().find_map(|name| answer.get(name)?.as_str());
    Failure::Answer(detail.map_or_else(|| format!("the server answered {status}"), str::to_owned))
}
