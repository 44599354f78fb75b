//! Why a command ends, in a sentence that says what to do, and its exit code.

use std::path::{Path, PathBuf};

use nextbasket_job_engine::{Job, JobError, JobState};
use nextbasket_jobs_train::NoPurchases;
use nextbasket_machine::MachineError;
use nextbasket_machine::access::KeyError;
use nextbasket_machine::dynamodb::FULL_DISK;
use nextbasket_machine::folder::FolderError;
use nextbasket_machine::gateway::GatewayError;
use nextbasket_machine::streams::StreamError;
use nextbasket_tables::TableError;

use crate::signals::TerminationSignal;

/// The operating system's message for a full disk. Callers put the file's name before it.
const NO_SPACE: &str = "No space left on device";

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command was used wrongly: exit code 2.
    #[error("{0}")]
    Usage(String),
    #[error("{}", with_advice(&format_args!("{path}: {source}")))]
    File { path: String, source: std::io::Error },
    #[error("{}", with_advice(.0))]
    Machine(#[from] MachineError),
    #[error("{}", with_advice(.0))]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error("{}", with_advice(.0))]
    Stream(#[from] StreamError),
    #[error("{}", with_advice(.0))]
    Table(#[from] TableError),
    #[error("{0}: run `nextbasket import FILE --data DIR` first")]
    NoPurchases(#[from] NoPurchases),
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
    /// The command was asked to stop, and it has: 130 after Ctrl-C, 143 after SIGTERM.
    #[error("{message}")]
    Stopped {
        by: TerminationSignal,
        /// What is left to do, and how to resume it.
        message: String,
    },
    #[error(
        "the disk of the data folder {} is full: make room there and run the command again; what was written before is kept",
        .folder.display()
    )]
    FolderFull { folder: PathBuf },
    #[error("{}", with_advice(.0))]
    Other(String),
}

impl Failure {
    /// Adds the file's path to the system's error.
    pub(crate) fn of_file(path: &Path) -> impl Fn(std::io::Error) -> Self + '_ {
        move |source| Self::File { path: path.display().to_string(), source }
    }

    /// Any error that no caller distinguishes.
    pub fn other(error: impl std::fmt::Display) -> Self {
        Self::Other(error.to_string())
    }

    /// The result of a command without an end of its own: SIGTERM is its normal end, and Ctrl-C still has its exit code.
    ///
    /// # Errors
    /// [`Failure::Stopped`] after Ctrl-C.
    pub fn of_endless(by: TerminationSignal) -> Result<(), Self> {
        match by {
            TerminationSignal::Interrupt => Err(Self::Stopped { by, message: String::new() }),
            TerminationSignal::Terminate => Ok(()),
        }
    }

    /// 2 for invalid arguments or parameters and for a missing data folder, 3 if another holder has the lock, 4 if the
    /// lock was lost, 130 after Ctrl-C, 143 after SIGTERM, the exit code of the command that `lock run` ran, 1 for
    /// everything else.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Folder(FolderError::Missing { .. })
            | Self::Machine(MachineError::Folder(FolderError::Missing { .. })) => 2,
            Self::Busy(_) => 3,
            Self::LockLost(_) => 4,
            Self::Command(code) => *code,
            Self::Stopped { by, .. } => by.exit_code(),
            _ => 1,
        }
    }

    /// Names the folder that the command worked on, if its disk is full.
    #[must_use]
    pub fn of_folder(self, folder: &Path) -> Self {
        let may_be_full =
            matches!(self, Self::Machine(_) | Self::Table(_) | Self::Stream(_) | Self::Other(_));
        if may_be_full && self.to_string().contains(FULL_DISK) {
            Self::FolderFull { folder: folder.to_owned() }
        } else {
            self
        }
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Refused(refusal) => Self::Usage(refusal.to_string()),
            JobError::UnknownKind(_) | JobError::Differs(_) => Self::Usage(error.to_string()),
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

/// The failure of a command whose job has failed or was cancelled.
pub(crate) fn job_failure(job: &Job) -> Result<(), Failure> {
    match job.state {
        JobState::Failed => {
            let failure = job.failure.as_deref().unwrap_or("no reason was given");
            Err(Failure::Other(format!("job {} has failed: {failure}", job.job_id)))
        }
        JobState::Cancelled => Err(Failure::Other(format!("job {} was cancelled", job.job_id))),
        _ => Ok(()),
    }
}

/// The advice about a full disk, after the part that names it.
fn with_advice(error: &impl std::fmt::Display) -> String {
    let words = error.to_string();
    let room = if words.contains(FULL_DISK) {
        "the disk of the database is full: make room where it runs"
    } else if words.contains(NO_SPACE) {
        "the disk is full: make room there"
    } else {
        return words;
    };
    format!("{words}; {room} and run the command again, what was written before is kept")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_the_one_that_is_full() {
        let full = || std::io::Error::from_raw_os_error(28);
        let output = Failure::File { path: "/mnt/out.jsonl".to_owned(), source: full() };
        let said = output.of_folder(Path::new("shop")).to_string();
        assert!(said.starts_with("/mnt/out.jsonl: No space left on device"), "{said}");
        assert!(said.contains("make room there") && !said.contains("data folder"), "{said}");

        let of_job =
            Failure::other("job x has failed: /mnt/dump/part-1.gz: No space left on device (os error 28)");
        let said = of_job.of_folder(Path::new("shop")).to_string();
        assert!(said.contains("/mnt/dump/part-1.gz") && !said.contains("data folder"), "{said}");

        let of_table = || Failure::other("table t: unavailable: database or disk is full");
        assert!(of_table().to_string().contains("the disk of the database is full"));
        let said = of_table().of_folder(Path::new("shop")).to_string();
        assert!(said.starts_with("the disk of the data folder shop is full"), "{said}");
    }

    #[test]
    fn whoever_is_stopped_ends_as_shells_have_it() {
        let stopped = |by| Failure::Stopped { by, message: String::new() }.exit_code();
        assert_eq!(
            (stopped(TerminationSignal::Interrupt), stopped(TerminationSignal::Terminate)),
            (130, 143)
        );
    }
}
