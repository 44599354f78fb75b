//! Over a deployed stack nothing is written unless the operator says so: the API's functions run here, with the
//! operator's credentials, and would write all that these may.

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nextbasket_http::{ApiError, respond};
use nextbasket_machine::{HttpFunction, handler};
use serde::Deserialize;

/// The function, which answers 403 to requests that write.
pub(crate) fn read_only(function: HttpFunction) -> HttpFunction {
    handler(move |event: lambda_runtime::LambdaEvent<ApiGatewayV2httpRequest>| {
        let refused = (!only_reads(&event.payload)).then(|| refusal(&event.context.request_id));
        let function = function.clone();
        async move {
            match refused {
                Some(refusal) => Ok(refusal),
                None => function(event).await,
            }
        }
    })
}

fn refusal(request_id: &str) -> ApiGatewayV2httpResponse {
    let detail = "this console only reads: start it with --writable to change products, purchases and models, and to \
                  submit jobs";
    respond::problem(&ApiError::new(403, "read_only", detail), request_id)
}

/// Asking for a cart's recommendations and for a job's estimate writes nothing.
fn only_reads(request: &ApiGatewayV2httpRequest) -> bool {
    let route = request.route_key.as_deref().unwrap_or_default();
    match route {
        "POST /recommendations" => true,
        "POST /jobs" => is_dry_run(request),
        route => route.starts_with("GET "),
    }
}

fn is_dry_run(request: &ApiGatewayV2httpRequest) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Asked {
        #[serde(default)]
        dry_run: bool,
    }
    let body = request.body.as_deref().unwrap_or_default();
    let decoded = if request.is_base64_encoded { STANDARD.decode(body).ok() } else { Some(body.into()) };
    let asked = decoded.and_then(|body| serde_json::from_slice::<Asked>(&body).ok());
    asked.is_some_and(|asked| asked.dry_run)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(route: &str, body: &str) -> ApiGatewayV2httpRequest {
        let mut request = ApiGatewayV2httpRequest::default();
        request.route_key = Some(route.to_owned());
        request.body = Some(body.to_owned());
        request
    }

    #[test]
    fn reads_carts_and_estimates_are_answered_and_nothing_else() {
        for (route, body) in [
            ("GET /products", ""),
            ("GET /jobs/{jobId}", ""),
            ("POST /recommendations", "{}"),
            ("POST /jobs", r#"{"kind":"train","dryRun":true}"#),
        ] {
            assert!(only_reads(&request(route, body)), "{route} {body}");
        }
        let mut encoded = request("POST /jobs", &STANDARD.encode(r#"{"dryRun":true}"#));
        encoded.is_base64_encoded = true;
        assert!(only_reads(&encoded));
        for (route, body) in [
            ("POST /jobs", r#"{"kind":"train"}"#),
            ("POST /jobs", r#"{"dryRun":false}"#),
            ("POST /jobs", r#"{"dryRun":true,"dryRun":false}"#),
            ("POST /jobs", "dryRun"),
            ("POST /purchases", r#"{"dryRun":true}"#),
            ("PUT /products/{productId}", ""),
            ("PUT /models/current", ""),
            ("DELETE /users/{userId}", ""),
            ("", ""),
        ] {
            assert!(!only_reads(&request(route, body)), "{route} {body}");
        }
    }
}
