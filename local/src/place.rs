//! Where a command works: on a machine of its own, or through the process that has the folder open.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use nextbasket_machine::AccessKey;
use nextbasket_machine::folder::{Role, has_clients};
use nextbasket_tables::Tables;

use crate::Failure;
use crate::sharing::{self, Attached, Opened};
use crate::system::{Followed, System, table_names};

/// How often a command that loads in bulk checks whether others have joined.
const LOOK: Duration = Duration::from_millis(100);

/// What a command does if the data folder does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// Commands that read, or change what exists: there is nothing to do, and nothing is created.
    Refuse,
    /// Commands that fill a folder: they create it.
    Make,
    /// Commands with `--dry-run`: they run in memory.
    InMemory,
}

impl Absent {
    /// For a command that fills a folder, unless it is a dry run.
    #[must_use]
    pub fn filled(dry_run: bool) -> Self {
        if dry_run { Self::InMemory } else { Self::Make }
    }
}

/// Where a command works.
pub enum Place {
    /// Another process has the folder open; the command works through it.
    Attached {
        /// This process's registration there.
        attached: Box<Attached>,
        /// Its tables.
        tables: Tables,
    },
    /// No other process had it open: this process runs the system while its work takes, for other commands as well.
    Own {
        /// The running system.
        system: Box<System>,
        /// The data folder.
        data: PathBuf,
    },
}

/// Which other processes work on a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// None.
    Nobody,
    /// Other commands, which work on their own jobs only.
    Commands,
    /// A server that works on all jobs, or the state machine of AWS.
    Workers,
}

impl Place {
    /// Finds the process that has the folder open, or starts a system on it.
    ///
    /// # Errors
    /// [`Failure`] if the folder cannot be used.
    pub async fn open(data: &Path, absent: Absent) -> Result<Self, Failure> {
        match sharing::join_or_open(data, absent).await.map_err(|failure| failure.of_folder(data))? {
            Opened::Attached(attached) => {
                let config = attached.config(attached.server.dynamodb);
                let tables = Tables::new(Client::new(&config), table_names()?);
                Ok(Self::Attached { attached, tables })
            }
            Opened::Own(system) => Ok(Self::Own { system, data: data.to_owned() }),
        }
    }

    /// The HTTP API's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Attached { attached, .. } => attached.server.http,
            Self::Own { system, .. } => system.address(),
        }
    }

    /// The access key of its endpoints, which also vouches for its jobs.
    #[must_use]
    pub fn key(&self) -> &AccessKey {
        match self {
            Self::Attached { attached, .. } => attached.key(),
            Self::Own { system, .. } => system.machine().key(),
        }
    }

    /// The tables.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        match self {
            Self::Attached { tables, .. } => tables,
            Self::Own { system, .. } => system.tables(),
        }
    }

    /// Whether a server has the folder open: its stream mappings run.
    #[must_use]
    pub fn has_server(&self) -> bool {
        matches!(self, Self::Attached { attached, .. } if attached.to_server())
    }

    /// Which other processes work on the folder.
    #[must_use]
    pub fn company(&self) -> Company {
        match self {
            Self::Attached { attached, .. } => match attached.server.role {
                Role::Server { works_on_jobs: true } => Company::Workers,
                _ => Company::Commands,
            },
            // If that is unknown, assume that there are others.
            Self::Own { data, .. } if has_clients(data).unwrap_or(true) => Company::Commands,
            Self::Own { .. } => Company::Nobody,
        }
    }

    /// Starts to update the histories from the streams, on a machine of the command's own. A server does that itself.
    ///
    /// # Errors
    /// [`Failure`] if a stream cannot be read.
    pub async fn follow(&mut self) -> Result<(), Failure> {
        match self {
            Self::Attached { .. } => Ok(()),
            Self::Own { system, .. } => system.follow().await,
        }
    }

    /// Waits, after [`follow`](Self::follow), until all histories include all purchases, also those of an earlier
    /// command that was killed.
    ///
    /// # Errors
    /// [`Failure`] if a stream cannot be read, or a history cannot be written.
    pub async fn catch_up(&self, progress: impl Fn(Followed)) -> Result<(), Failure> {
        match self {
            Self::Attached { .. } => Ok(()),
            Self::Own { system, .. } => system.drain(progress).await,
        }
    }

    /// Does the work while the machine, if it is the command's own and no other process uses the folder, skips the
    /// wait for the disk at each write. What is written then survives a kill of the process, but not a power failure.
    ///
    /// # Errors
    /// [`Failure`] if the database reports an error.
    pub async fn in_bulk<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let Self::Own { system, data } = self else { return Ok(work.await) };
        let (mut on, mut looks) = (false, tokio::time::interval(LOOK));
        tokio::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = looks.tick() => on = sharing::bulk_loading(system, data, on)?,
            }
        };
        if on {
            sharing::end_bulk_loading(system)?;
        }
        Ok(done)
    }

    /// Stops what the command started, and returns the result of the command. If the command failed and the process
    /// that had the folder open has ended, that end is reported as the cause.
    ///
    /// # Errors
    /// The [`Failure`] of the command, or of a folder that cannot be closed cleanly.
    pub async fn finish<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        match self {
            Self::Attached { attached, .. } => {
                let left = attached.leave().await;
                match (result, left) {
                    (Ok(done), left) => left.map(|_| done),
                    (Err(failure), Ok(None)) => Err(failure),
                    (Err(failure @ (Failure::Other(_) | Failure::Table(_))), Ok(Some(gone))) => {
                        Err(Failure::Other(format!("{failure}\n{gone}")))
                    }
                    (Err(failure), _) => Err(failure),
                }
            }
            Self::Own { system, data } => {
                let stopped = system.stop().await;
                let done = result.map_err(|failure| failure.of_folder(&data))?;
                stopped.map(|()| done)
            }
        }
    }
}
