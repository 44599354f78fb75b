//! Why a command ends, in a sentence that says what to do, and its exit code.

use std::process::ExitCode;

use nextbasket_importer::ImportError;
use nextbasket_machine::MachineError;
use nextbasket_machine::folder::FolderError;
use nextbasket_machine::gateway::GatewayError;
use nextbasket_machine::streams::StreamError;
use nextbasket_tables::TableError;
use nextbasket_training::TrainingError;

/// Why a command ends.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command was used wrongly: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file's content cannot be used.
    #[error("{path}: {source}")]
    Import {
        /// The file.
        path: String,
        /// Why.
        source: ImportError,
    },
    /// The machine does not start.
    #[error("{}", with_advice(.0))]
    Machine(#[from] MachineError),
    /// The data folder is not as it must be.
    #[error("{}", with_advice(.0))]
    Folder(#[from] FolderError),
    /// The HTTP API does not start.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// A stream mapping fails.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A table cannot be read or written.
    #[error("{}", with_advice(.0))]
    Table(#[from] TableError),
    /// There is no new model.
    #[error("{}", training_advice(.0))]
    Training(#[from] TrainingError),
    /// The API answered with an error.
    #[error("{0}")]
    Answer(String),
    /// Another holds the lock: exit code 3.
    #[error("{0}")]
    Busy(String),
    /// The lock is lost: exit code 4.
    #[error("{0}")]
    LockLost(String),
    /// A command that was run under a lock ended so: its exit code.
    #[error("the command ended with exit code {0}")]
    Command(u8),
    /// Anything else.
    #[error("{}", with_advice(.0))]
    Other(String),
}

impl Failure {
    /// Anything that no caller tells apart.
    pub fn other(error: impl std::fmt::Display) -> Self {
        Self::Other(error.to_string())
    }

    /// 2 for wrong use, 3 for a lock that another holds, 4 for one that is lost, a run command's own, 1 for everything
    /// else.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Busy(_) => 3,
            Self::LockLost(_) => 4,
            Self::Command(code) => *code,
            _ => 1,
        })
    }
}

impl From<nextbasket_batch::JobError> for Failure {
    fn from(error: nextbasket_batch::JobError) -> Self {
        match error {
            nextbasket_batch::JobError::Refused(refusal) => Self::Usage(refusal.to_string()),
            nextbasket_batch::JobError::UnknownKind(_) => Self::Usage(error.to_string()),
            other => Self::other(other),
        }
    }
}

impl From<nextbasket_tables::ConfigError> for Failure {
    fn from(error: nextbasket_tables::ConfigError) -> Self {
        Self::other(error)
    }
}

impl From<lambda_runtime::Error> for Failure {
    fn from(error: lambda_runtime::Error) -> Self {
        Self::other(error)
    }
}

/// That a disk is full arrives in many wrappings, all with the words of the database or of the system.
fn with_advice(error: &impl std::fmt::Display) -> String {
    let words = error.to_string();
    if words.contains("disk is full") || words.contains("No space left") {
        "the disk of the data folder is full: make room and run the command again; what was written before stays"
            .to_owned()
    } else {
        words
    }
}

fn training_advice(error: &TrainingError) -> String {
    match error {
        TrainingError::NoPurchases => {
            "there are no purchases to train on: run `nextbasket import FILE --data DIR` first".to_owned()
        }
        other => with_advice(other),
    }
}
