//! How an invocation of a job's functions fails, by names that the state machine can tell apart.

use lambda_runtime::Diagnostic;
use nextbasket_job_engine::JobError;

/// Why an invocation has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
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

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        let reason = error.to_string();
        if error.is_transient() { Self::Transient(reason) } else { Self::Lasting(reason) }
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        let name = match failure {
            Failure::Transient(_) => "Job.Transient",
            Failure::Lasting(_) => "Job.Lasting",
            Failure::Stopped(_) => "Job.Stopped",
            Failure::Systemic(_) => "Job.Systemic",
        };
        Self { error_type: name.to_owned(), error_message: failure.to_string() }
    }
}
