//! A state machine of Step Functions: each job is an execution of its own, named by the job's id.

use std::env;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::{DisplayErrorContext, SdkError};
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use nextbasket_dynamodb::config::{Patience, lambda_config};
use nextbasket_http::ApiError;
use nextbasket_job_engine::JobId;
use serde_json::json;

#[derive(Debug, Clone)]
pub struct StateMachine {
    pub client: Client,
    pub arn: String,
}

impl StateMachine {
    /// The state machine that `STATE_MACHINE_ARN` names, if it names one; at the endpoint of `AWS_ENDPOINT_URL_SFN`.
    pub(super) fn from_env() -> Option<Self> {
        let arn = env::var("STATE_MACHINE_ARN").ok().filter(|arn| !arn.is_empty())?;
        Some(Self { client: Client::new(&lambda_config("AWS_ENDPOINT_URL_SFN", Patience::ANSWER)), arn })
    }

    pub(super) async fn start(&self, id: &JobId) -> Result<(), ApiError> {
        let input = json!({ "jobId": id }).to_string();
        let start = self.client.start_execution().state_machine_arn(&self.arn).name(id.as_str()).input(input);
        match start.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) => match error.err() {
                // It has ended, or continues as another execution.
                StartExecutionError::ExecutionAlreadyExists(_) => Ok(()),
                known if error.raw().status().as_u16() >= 500 || is_throttle(known) => {
                    Err(ApiError::unavailable(DisplayErrorContext(error.into_err()).to_string()))
                }
                _ => Err(ApiError::internal(DisplayErrorContext(error.into_err()).to_string())),
            },
            Err(error) => Err(ApiError::unavailable(DisplayErrorContext(error).to_string())),
        }
    }
}

fn is_throttle(error: &StartExecutionError) -> bool {
    matches!(error.meta().code(), Some("ThrottlingException" | "ExecutionLimitExceeded"))
}
