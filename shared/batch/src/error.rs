//! What ends a batch, and what ends a job.

use nextbasket_dynamodb::TableError;
use nextbasket_locks::Lost;

use crate::objects::ObjectError;

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
    #[error("the claim on the batch is lost: {0}")]
    Lost(Lost),
    /// A transaction was refused because of its items: the codes, one for each item, in order (`None`: this item was
    /// not the reason). Nothing was written, the checkpoint neither.
    #[error("the transaction was refused: {0:?}")]
    Refused(Vec<Option<String>>),
}

/// Codes that every further call would meet as well.
const SYSTEMIC: [&str; 8] = [
    "AccessDeniedException",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "KMSAccessDeniedException",
    "MissingAuthenticationTokenException",
    "NoSuchBucket",
    "ResourceNotFoundException",
    "UnrecognizedClientException",
];

/// Whether every further call would meet an error of this code as well.
#[must_use]
pub fn is_systemic(code: &str) -> bool {
    SYSTEMIC.contains(&code) || code == "AccessDenied"
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
        match &error {
            ObjectError::Refused { code, .. } if is_systemic(code) => Self::Systemic(error.to_string()),
            error if error.is_transient() => Self::Transient(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// The error of planning a job, as a batch would report it: transient errors stay transient.
impl From<JobError> for WorkError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Table(error) => error.into(),
            JobError::Object(error) => error.into(),
            JobError::Unavailable(reason) => Self::Transient(reason),
            // The error would be the same in every batch.
            JobError::Failed(reason) => Self::Systemic(reason),
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

/// Why a job cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// There is no job of this id.
    #[error("there is no job {0}")]
    Unknown(String),
    /// There is no kind of this name.
    #[error("there is no kind of job called {0}")]
    UnknownKind(String),
    /// The job names something that needs a voucher, and has no valid one.
    #[error(
        "job {job} names {field}, which is for jobs that a process at this machine has submitted, and nobody vouches \
         for this one: {}",
        if *.is_final {
            "submit it again from the command line"
        } else {
            "if you trust it, `nextbasket jobs work` with --vouch works on it"
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
    /// The job is not accepted.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its own work says that it has failed.
    #[error("{0}")]
    Failed(String),
    /// A file or service that it needs does not answer now, and may later.
    #[error("{0}")]
    Unavailable(String),
    /// The operations table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The bucket of plans and results.
    #[error(transparent)]
    Object(#[from] ObjectError),
}

impl JobError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Table(error) => error.is_transient(),
            Self::Object(error) => error.is_transient(),
            Self::Unavailable(_) => true,
            _ => false,
        }
    }
}
