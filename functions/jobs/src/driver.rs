//! Who works on a job that was accepted.

use std::env;
use std::sync::Arc;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::{DisplayErrorContext, SdkError};
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use nextbasket_batch::JobId;
use nextbasket_dynamodb::config::{Patience, lambda_config};
use nextbasket_http::ApiError;
use serde_json::json;
use tokio::sync::Notify;

/// Who works on a job that was accepted.
#[derive(Debug, Clone)]
pub enum Driver {
    /// A state machine: each job is an execution of its own, named by the job's id.
    StateMachine {
        /// Step Functions.
        client: Client,
        /// The state machine's ARN.
        arn: String,
    },
    /// Workers that look for jobs by themselves. Those of this process are told that there is one.
    Workers(Arc<Notify>),
}

impl Driver {
    /// The state machine that `STATE_MACHINE_ARN` names, at the endpoint of `AWS_ENDPOINT_URL_SFN` if it names one.
    /// Without a state machine, the workers of other processes.
    #[must_use]
    pub fn from_env() -> Self {
        match env::var("STATE_MACHINE_ARN") {
            Ok(arn) if !arn.is_empty() => {
                let client = Client::new(&lambda_config("AWS_ENDPOINT_URL_SFN", Patience::ANSWER));
                Self::StateMachine { client, arn }
            }
            _ => Self::Workers(Arc::default()),
        }
    }

    /// Sees to it that somebody works on the job. Once it has been, nothing more happens.
    ///
    /// # Errors
    /// 503 if Step Functions does not answer, 500 if it refuses.
    pub async fn begin(&self, id: &JobId) -> Result<(), ApiError> {
        let (client, arn) = match self {
            Self::StateMachine { client, arn } => (client, arn),
            Self::Workers(changed) => {
                changed.notify_one();
                return Ok(());
            }
        };
        let input = json!({ "jobId": id }).to_string();
        let start = client.start_execution().state_machine_arn(arn).name(id.as_str()).input(input);
        match start.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) => match error.err() {
                // It has ended, or goes on as another execution.
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
