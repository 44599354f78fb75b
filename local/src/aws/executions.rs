//! Jobs as executions of the stack's state machine.

use std::sync::Arc;

use jobs_api::driver::Starter;
use nextbasket_http::ApiError;
use nextbasket_job_engine::JobId;
use serde_json::json;

use super::api::{Api, CallError, STEP_FUNCTIONS};

/// Starts an execution of this state machine for each job, named by the job's id, as the deployed function does.
pub(crate) fn starter(api: Arc<Api>, state_machine: String) -> Starter {
    Starter::new(move |id: JobId| {
        let (api, state_machine) = (api.clone(), state_machine.clone());
        Box::pin(async move {
            let input = json!({ "jobId": id }).to_string();
            let body = json!({ "stateMachineArn": state_machine, "name": id, "input": input });
            match api.json(STEP_FUNCTIONS, "AWSStepFunctions", "StartExecution", &body).await {
                Ok(_) => Ok(()),
                // It has ended, or continues as another execution.
                Err(CallError::Refused { code, .. }) if code == "ExecutionAlreadyExists" => Ok(()),
                Err(error @ CallError::Refused { .. }) => Err(ApiError::internal(error)),
                Err(error @ CallError::Unavailable { .. }) => Err(ApiError::unavailable(error)),
            }
        })
    })
}
