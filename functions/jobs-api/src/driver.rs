//! Who works on a job that was accepted.

#[cfg(feature = "step-functions")]
mod state_machine;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use nextbasket_http::ApiError;
use nextbasket_job_engine::JobId;
use tokio::sync::Notify;

#[cfg(feature = "step-functions")]
pub use state_machine::StateMachine;

type Started = Pin<Box<dyn Future<Output = Result<(), ApiError>> + Send>>;

/// What makes sure that a job is worked on, given by the caller.
#[derive(Clone)]
pub struct Starter(Arc<dyn Fn(JobId) -> Started + Send + Sync>);

impl Starter {
    pub fn new(start: impl Fn(JobId) -> Started + Send + Sync + 'static) -> Self {
        Self(Arc::new(start))
    }
}

impl fmt::Debug for Starter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Starter")
    }
}

#[derive(Debug, Clone)]
pub enum Driver {
    /// A state machine on AWS.
    #[cfg(feature = "step-functions")]
    StateMachine(StateMachine),
    /// Workers that look for jobs by themselves. Those of this process are notified of a new one.
    Workers(Arc<Notify>),
    /// By the caller's own means.
    Starter(Starter),
}

impl Driver {
    /// The state machine of the environment; without one, the workers of other processes.
    #[cfg(feature = "step-functions")]
    pub fn from_env() -> Self {
        StateMachine::from_env().map_or_else(|| Self::Workers(Arc::default()), Self::StateMachine)
    }

    /// Makes sure that the job is worked on. A second call for the same job has no effect.
    ///
    /// # Errors
    /// 503 if Step Functions does not answer, 500 if it rejects the call.
    pub async fn start(&self, id: &JobId) -> Result<(), ApiError> {
        match self {
            #[cfg(feature = "step-functions")]
            Self::StateMachine(machine) => machine.start(id).await,
            Self::Starter(Starter(start)) => start(id.clone()).await,
            Self::Workers(submitted) => {
                tracing::debug!(job = %id, "left to the workers");
                submitted.notify_one();
                Ok(())
            }
        }
    }
}
