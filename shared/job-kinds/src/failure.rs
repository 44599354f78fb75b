//! How an invocation of a job's functions fails, by names that the state machine can tell apart.

use lambda_runtime::Diagnostic;
use nextbasket_job_engine::JobError;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionFailure {
    /// The same call may succeed later.
    #[error("{0}")]
    Transient(String),
    #[error("{0}")]
    Lasting(String),
    /// The job is not to be worked on as it stands: it has to be planned again.
    #[error("{0}")]
    Stopped(String),
    /// Every batch would meet this error: the job is ending.
    #[error("{0}")]
    Systemic(String),
}

impl From<JobError> for FunctionFailure {
    fn from(error: JobError) -> Self {
        let reason = error.to_string();
        if error.is_transient() { Self::Transient(reason) } else { Self::Lasting(reason) }
    }
}

impl From<FunctionFailure> for Diagnostic {
    fn from(failure: FunctionFailure) -> Self {
        let name = match failure {
            FunctionFailure::Transient(_) => "Job.Transient",
            FunctionFailure::Lasting(_) => "Job.Lasting",
            FunctionFailure::Stopped(_) => "Job.Stopped",
            FunctionFailure::Systemic(_) => "Job.Systemic",
        };
        Self { error_type: name.to_owned(), error_message: failure.to_string() }
    }
}
