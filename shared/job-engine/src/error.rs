//! What ends a batch, and what ends a job.

use aws_sdk_dynamodb::error::BuildError;
use nextbasket_dynamodb::TableError;
use nextbasket_locks::Lost;
use nextbasket_objects::{ErrorClass, ObjectError};

/// Why a job is not accepted: the field and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Refusal {
    /// The field of the request, such as `parameters.where`.
    pub field: String,
    /// What is wrong, in words that fit behind the field's name.
    pub problem: String,
}

impl Refusal {
    /// The refusal of a field of the parameters.
    pub fn parameter(field: &str, problem: impl Into<String>) -> Self {
        let field = if field == "." { "parameters".to_owned() } else { format!("parameters.{field}") };
        Self { field, problem: problem.into() }
    }
}

/// Why a batch is not done.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// It would fail in every batch (no permission, no such table): the job stops at once.
    #[error("{0}")]
    Systemic(String),
    /// It may succeed later: the batch is tried again from its checkpoint.
    #[error("{0}")]
    Transient(String),
    /// It fails for good; whether the job goes on is a matter of the stage's tolerance.
    #[error("{0}")]
    Failed(String),
    /// Another worker has the batch now; what this one did since its last checkpoint does not count.
    #[error("the claim on the batch was lost: {0}")]
    Lost(Lost),
    /// A transaction was refused because of its items: the codes, one for each item, in order (`None`: this item was
    /// not the reason). Nothing was written, the checkpoint neither.
    #[error("the transaction was refused: {0:?}")]
    Refused(Vec<Option<String>>),
}

/// Codes that every further call would meet as well.
const SYSTEMIC: [&str; 8] = [
    // Of a statement in a batch; other answers name the exception.
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "KMSAccessDeniedException",
    "MissingAuthenticationTokenException",
    "ResourceNotFoundException",
    "UnrecognizedClientException",
];

/// Whether every further call would meet an error of this code as well.
#[must_use]
pub fn is_systemic(code: &str) -> bool {
    SYSTEMIC.contains(&code)
}

impl From<TableError> for WorkError {
    fn from(error: TableError) -> Self {
        let systemic = match &error {
            TableError::Refused { reason, .. } => reason.split(':').next().is_some_and(is_systemic),
            _ => false,
        };
        if systemic {
            Self::Systemic(error.to_string())
        } else if error.is_transient() {
            Self::Transient(error.to_string())
        } else {
            Self::Failed(error.to_string())
        }
    }
}

impl From<ObjectError> for WorkError {
    fn from(error: ObjectError) -> Self {
        let reason = match &error {
            ObjectError::Changed { .. } => format!("{error}. Submit the job again."),
            error => error.to_string(),
        };
        match error.class() {
            ErrorClass::Transient => Self::Transient(reason),
            ErrorClass::Permanent => Self::Failed(reason),
            ErrorClass::Systemic => Self::Systemic(reason),
        }
    }
}

/// What has no JSON fails every attempt.
impl From<serde_json::Error> for WorkError {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A request that the SDK cannot build fails every attempt.
impl From<BuildError> for WorkError {
    fn from(error: BuildError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The error of planning a job, as a batch would report it: transient errors stay transient.
impl From<JobError> for WorkError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Table(error) => error.into(),
            JobError::Object(error) if error.is_transient() => Self::Transient(error.to_string()),
            JobError::Unavailable(reason) => Self::Transient(reason),
            // The error would be the same in every batch.
            error @ (JobError::Failed(_) | JobError::Object(_)) => Self::Systemic(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

/// A batch's error, when it happens while its job is planned.
impl From<WorkError> for JobError {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Transient(reason) => Self::Unavailable(reason),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for JobError {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Why a job cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// There is no job of this id.
    #[error("job \"{0}\" not found")]
    Unknown(String),
    /// The id that a submission names is that of another job.
    #[error("job \"{0}\" exists, with another kind or other parameters. Give another id.")]
    Differs(String),
    /// There is no kind of this name.
    #[error("kind of job \"{0}\" not found")]
    UnknownKind(String),
    /// The job names something that needs a voucher, and has no valid one.
    #[error(
        "job \"{job}\" cannot use {field}: this is only accepted from the command line of this machine, and the job has \
         no valid voucher. {}",
        if *.is_final {
            "Submit it again from the command line."
        } else {
            "If you trust it, work on it with `nextbasket jobs work --vouch`."
        }
    )]
    Unvouched {
        /// The id of the job.
        job: String,
        /// The field that needs the voucher, such as `parameters.command`.
        field: String,
        /// Whether no other process could vouch for it either.
        is_final: bool,
    },
    /// The parameters of the job are rejected.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The job has failed.
    #[error("{0}")]
    Failed(String),
    /// A file or service that it needs is not available now, and may be later.
    #[error("{0}")]
    Unavailable(String),
    /// The operations table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The bucket of plans and results, or a file or object that the job reads or writes.
    #[error(transparent)]
    Object(#[from] ObjectError),
}

impl JobError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Table(error) => error.is_transient(),
            Self::Object(error) => error.is_transient(),
            Self::Unavailable(_) => true,
            _ => false,
        }
    }
}
