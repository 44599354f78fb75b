//! A signed call to a service, sent again if the service is busy.

use std::env;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::xml::Element;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(20);

const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A service of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Service {
    /// In host names and signatures.
    name: &'static str,
    /// As in `AWS_ENDPOINT_URL_NAME`.
    variable: &'static str,
    /// Of the query protocol.
    version: &'static str,
}

pub(crate) const CLOUDFORMATION: Service =
    Service { name: "cloudformation", variable: "CLOUDFORMATION", version: "2010-05-15" };
pub(crate) const CLOUDWATCH: Service =
    Service { name: "monitoring", variable: "CLOUDWATCH", version: "2010-08-01" };
pub(crate) const STEP_FUNCTIONS: Service = Service { name: "states", variable: "SFN", version: "" };

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The service refuses it.
    #[error("{service} refuses {operation}: {code}: {message}")]
    Refused { service: &'static str, operation: String, code: String, message: String },
    /// It does not answer, is busy, or its answer is not of the expected form.
    #[error("{service} does not answer {operation}: {reason}")]
    Unavailable { service: &'static str, operation: String, reason: String },
}

/// Calls with the operator's credentials.
#[derive(Debug)]
pub(crate) struct Api {
    config: SdkConfig,
    connector: Connector,
    /// The endpoint of all services that the environment gives none of its own.
    endpoint: Option<String>,
}

struct Prepared {
    service: Service,
    operation: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

enum Attempted {
    Answered(String),
    Refused {
        code: String,
        message: String,
    },
    /// To be tried again.
    Busy(String),
}

impl Api {
    /// With the region and the credentials of this configuration.
    pub(crate) fn new(config: SdkConfig) -> Self {
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build();
        let mut connector = Connector::builder().connector_settings(settings);
        connector.set_sleep_impl(config.sleep_impl());
        let crypto = tls::rustls_provider::CryptoMode::Ring;
        let connector = connector.tls_provider(tls::Provider::Rustls(crypto)).build();
        Self { config, connector, endpoint: variable("AWS_ENDPOINT_URL") }
    }

    /// Whether the environment names another endpoint of this service than AWS's.
    pub(crate) fn has_endpoint(&self, service: Service) -> bool {
        self.endpoint_of(service).is_some()
    }

    /// A call of the query protocol: the answer's root.
    pub(super) async fn query(
        &self,
        service: Service,
        operation: &str,
        parameters: &[(String, String)],
    ) -> Result<Element, CallError> {
        let mut body = format!("Action={operation}&Version={}", service.version);
        for (name, value) in parameters {
            body.push_str(&format!("&{name}={}", utf8_percent_encode(value, UNRESERVED)));
        }
        let headers = vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())];
        let prepared = Prepared { service, operation: operation.to_owned(), headers, body };
        let answer = self.call(&prepared).await?;
        Element::parse(&answer).ok_or_else(|| prepared.unavailable(&"its answer is not XML"))
    }

    /// A call of the JSON protocol; `target` is the API's name before the operation's.
    pub(super) async fn json(
        &self,
        service: Service,
        target: &str,
        operation: &str,
        body: &Value,
    ) -> Result<Value, CallError> {
        let headers = vec![
            ("content-type", "application/x-amz-json-1.0".to_owned()),
            ("x-amz-target", format!("{target}.{operation}")),
        ];
        let prepared = Prepared { service, operation: operation.to_owned(), headers, body: body.to_string() };
        let answer = self.call(&prepared).await?;
        serde_json::from_str(&answer).map_err(|_| prepared.unavailable(&"its answer is not JSON"))
    }

    async fn call(&self, prepared: &Prepared) -> Result<String, CallError> {
        let mut pause = FIRST_PAUSE;
        let mut reason = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            match self.attempt(prepared).await? {
                Attempted::Answered(answer) => return Ok(answer),
                Attempted::Refused { code, message } => {
                    let (service, operation) = (prepared.service.variable, prepared.operation.clone());
                    return Err(CallError::Refused { service, operation, code, message });
                }
                Attempted::Busy(why) => reason = why,
            }
        }
        Err(prepared.unavailable(&reason))
    }

    async fn attempt(&self, prepared: &Prepared) -> Result<Attempted, CallError> {
        let request = self.signed(prepared).await?;
        let response = match self.connector.call(request).await {
            Ok(response) => response,
            Err(error) => return Ok(Attempted::Busy(nextbasket_sdk_errors::causes(&error))),
        };
        let status = response.status().as_u16();
        let body = match ByteStream::new(response.into_body()).collect().await {
            Ok(body) => String::from_utf8_lossy(&body.into_bytes()).into_owned(),
            Err(error) => return Ok(Attempted::Busy(error.to_string())),
        };
        if (200..300).contains(&status) {
            return Ok(Attempted::Answered(body));
        }
        let (code, message) = refusal(&body);
        let is_busy = status >= 500 || status == 429 || code.contains("Throttl");
        Ok(if is_busy {
            Attempted::Busy(format!("{status} {code} {message}"))
        } else {
            Attempted::Refused { code, message }
        })
    }

    async fn signed(&self, prepared: &Prepared) -> Result<HttpRequest, CallError> {
        let region = self.config.region().map(ToString::to_string).unwrap_or_default();
        let url = self.url(prepared.service, &region);
        let provider = self.config.credentials_provider();
        let provider = provider.ok_or_else(|| prepared.unavailable(&"there are no credentials"))?;
        let credentials = provider.provide_credentials().await.map_err(|e| prepared.unavailable(&e))?;
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name(prepared.service.name)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|e| prepared.unavailable(&e))?
            .into();
        let headers = prepared.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let body = SignableBody::Bytes(prepared.body.as_bytes());
        let signable = SignableRequest::new("POST", &url, headers.clone(), body);
        let signed = signable.and_then(|signable| sign(signable, &parameters));
        let (instructions, _) = signed.map_err(|e| prepared.unavailable(&e))?.into_parts();
        let mut request = headers
            .fold(http::Request::post(&url), |request, (name, value)| request.header(name, value))
            .body(SdkBody::from(prepared.body.as_str()))
            .map_err(|e| prepared.unavailable(&e))?;
        instructions.apply_to_request_http1x(&mut request);
        HttpRequest::try_from(request).map_err(|e| prepared.unavailable(&e))
    }

    fn url(&self, service: Service, region: &str) -> String {
        self.endpoint_of(service).unwrap_or_else(|| {
            let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://{}.{region}.{suffix}/", service.name)
        })
    }

    fn endpoint_of(&self, service: Service) -> Option<String> {
        let own = variable(&format!("AWS_ENDPOINT_URL_{}", service.variable));
        let endpoint = own.or_else(|| self.endpoint.clone())?;
        Some(format!("{}/", endpoint.trim_end_matches('/')))
    }
}

impl Prepared {
    fn unavailable(&self, reason: &dyn std::fmt::Display) -> CallError {
        let (service, operation) = (self.service.variable, self.operation.clone());
        CallError::Unavailable { service, operation, reason: reason.to_string() }
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Code and message of a refusal, in XML or JSON.
fn refusal(body: &str) -> (String, String) {
    if let Some(error) = Element::parse(body).as_ref().and_then(|root| root.find("Error")) {
        let text = |name| error.text_of(name).unwrap_or_default().to_owned();
        return (text("Code"), text("Message"));
    }
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    let code = text("__type");
    let message = [text("message"), text("Message")].concat();
    (code.rsplit_once('#').map_or(code, |(_, code)| code).to_owned(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_in_both_protocols() {
        let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack x does not exist</Message></Error></ErrorResponse>";
        assert_eq!(refusal(xml), ("ValidationError".to_owned(), "Stack x does not exist".to_owned()));
        let json = r#"{"__type":"com.amazonaws.states#ExecutionAlreadyExists","message":"it runs"}"#;
        assert_eq!(refusal(json), ("ExecutionAlreadyExists".to_owned(), "it runs".to_owned()));
        assert_eq!(refusal("busy"), (String::new(), String::new()));
    }
}
