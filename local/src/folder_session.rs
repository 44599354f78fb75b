//! A command's work on a data folder: in a deployment of its own, or through the process that has the folder open.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use nextbasket_machine::AccessKey;
use nextbasket_machine::folder::{Role, has_clients};
use nextbasket_tables::Tables;

use crate::Failure;
use crate::folder_sharing::{self, Attachment, IfMissing, Opened};
use crate::local_deployment::{LocalDeployment, StreamProgress, table_names};

/// How often a command that loads in bulk checks whether others have joined.
const POLL: Duration = Duration::from_millis(100);

pub enum FolderSession {
    /// Another process has the folder open; the command works through it.
    Attached { attachment: Box<Attachment>, tables: Tables },
    /// No other process had it open: this process has, while its work takes, for other commands as well.
    Own { deployment: Box<LocalDeployment>, data: PathBuf },
}

/// Which other processes work on jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherProcesses {
    None,
    /// Other commands, which work on their own jobs only.
    Commands,
    /// A server that works on all jobs of its data folder.
    Server,
    /// On AWS and at other endpoints nobody knows.
    Unknown,
}

impl FolderSession {
    /// Attaches to the process that has the folder open, or opens it.
    pub async fn open(data: &Path, if_missing: IfMissing) -> Result<Self, Failure> {
        match folder_sharing::join_or_open(data, if_missing)
            .await
            .map_err(|failure| failure.of_folder(data))?
        {
            Opened::Attached(attachment) => {
                let config = attachment.config(attachment.server.dynamodb);
                let tables = Tables::new(Client::new(&config), table_names()?);
                Ok(Self::Attached { attachment, tables })
            }
            Opened::Own(deployment) => Ok(Self::Own { deployment, data: data.to_owned() }),
        }
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Attached { attachment, .. } => attachment.server.http,
            Self::Own { deployment, .. } => deployment.address(),
        }
    }

    /// The access key of its endpoints, which also vouches for its jobs.
    #[must_use]
    pub fn key(&self) -> &AccessKey {
        match self {
            Self::Attached { attachment, .. } => attachment.key(),
            Self::Own { deployment, .. } => deployment.machine().key(),
        }
    }

    #[must_use]
    pub fn tables(&self) -> &Tables {
        match self {
            Self::Attached { tables, .. } => tables,
            Self::Own { deployment, .. } => deployment.tables(),
        }
    }

    /// Whether a server has the folder open: its stream mappings run.
    #[must_use]
    pub fn has_server(&self) -> bool {
        matches!(self, Self::Attached { attachment, .. } if attachment.to_server())
    }

    #[must_use]
    pub fn other_processes(&self) -> OtherProcesses {
        match self {
            Self::Attached { attachment, .. } => match attachment.server.role {
                Role::Server { works_on_jobs: true } => OtherProcesses::Server,
                _ => OtherProcesses::Commands,
            },
            // If that is unknown, assume that there are others.
            Self::Own { data, .. } if has_clients(data).unwrap_or(true) => OtherProcesses::Commands,
            Self::Own { .. } => OtherProcesses::None,
        }
    }

    /// Starts to update the histories from the streams, in a deployment of the command's own. A server does that itself.
    pub async fn start_mappings(&mut self) -> Result<(), Failure> {
        match self {
            Self::Attached { .. } => Ok(()),
            Self::Own { deployment, .. } => deployment.start_mappings().await,
        }
    }

    /// Waits, after [`start_mappings`](Self::start_mappings), until all histories include all purchases, also those of an earlier
    /// command that was killed.
    pub async fn catch_up(&self, progress: impl Fn(StreamProgress)) -> Result<(), Failure> {
        match self {
            Self::Attached { .. } => Ok(()),
            Self::Own { deployment, .. } => deployment.drain(progress).await,
        }
    }

    /// Does the work while the database, if no other process uses the folder, does not wait for the disk at each
    /// write. What is written then survives a kill of the process, but not a power failure.
    pub async fn bulk_load<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let Self::Own { deployment, data } = self else { return Ok(work.await) };
        let (mut on, mut polls) = (false, tokio::time::interval(POLL));
        tokio::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = polls.tick() => on = folder_sharing::bulk_loading(deployment, data, on)?,
            }
        };
        if on {
            folder_sharing::end_bulk_loading(deployment)?;
        }
        Ok(done)
    }

    /// Stops what the command started, and returns the result of the command. If the command failed and the process
    /// that had the folder open has ended, that end is reported as the cause.
    ///
    /// # Errors
    /// The [`Failure`] of the command, or of a folder that cannot be closed cleanly.
    pub async fn close<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        match self {
            Self::Attached { attachment, .. } => {
                let left = attachment.leave().await;
                match (result, left) {
                    (Ok(done), left) => left.map(|_| done),
                    (Err(failure), Ok(None)) => Err(failure),
                    (Err(failure @ (Failure::Other(_) | Failure::Table(_))), Ok(Some(gone))) => {
                        Err(Failure::Other(format!("{failure}\n{gone}")))
                    }
                    (Err(failure), _) => Err(failure),
                }
            }
            Self::Own { deployment, data } => {
                let stopped = deployment.stop().await;
                let done = result.map_err(|failure| failure.of_folder(&data))?;
                stopped.map(|()| done)
            }
        }
    }
}
