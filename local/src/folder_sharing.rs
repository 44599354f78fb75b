//! One data folder, any number of commands: the first one opens it, and the others attach to that process. When it has
//! ended or was killed, one of the others opens the folder in its place, at the same addresses.
//!
//! Calls that are under way at that moment fail as with any broken connection, and their senders retry them. Nothing
//! takes over from a server: it was started to keep running, and whoever stopped it wants the folder closed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use nextbasket_machine::access::read_key_file;
use nextbasket_machine::dynamodb::{patient, sdk_config};
use nextbasket_machine::folder::{
    ClientRegistration, FolderError, FolderHost, FolderState, MissingFolder, Role, folder_state, has_clients,
    last_server,
};
use nextbasket_machine::{AccessKey, MachineError};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::Failure;
use crate::local_deployment::{DeploymentOptions, LocalDeployment};
use crate::stdio::errln;

/// How often a command checks whether the process that has the folder open still runs.
const POLL: Duration = Duration::from_millis(200);

/// How long a command waits for a folder whose process is starting or about to end: many may come and go at once.
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);

/// How long a server waits for a command to end.
pub(crate) const SERVER_PATIENCE: Duration = Duration::from_secs(20);

/// How many attempts are made to open a folder at the previous addresses: those of a killed process become free a
/// moment after its lock.
const MAX_TRIES: u32 = 25;

/// What a command does if the data folder does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// Commands that read, or change what exists: there is nothing to do, and nothing is created.
    Fail,
    /// Commands that fill a folder.
    Create,
    /// Commands with `--dry-run`: they run in memory.
    InMemory,
}

impl IfMissing {
    /// For a command that fills a folder.
    #[must_use]
    pub fn filled(dry_run: bool) -> Self {
        if dry_run { Self::InMemory } else { Self::Create }
    }
}

/// This process's registration at a folder that another process has open.
pub struct Attachment {
    data: PathBuf,
    /// The process that had the folder open when this one joined.
    pub(crate) server: FolderHost,
    key: AccessKey,
    succession: Arc<Mutex<Succession>>,
    watching: Option<JoinHandle<()>>,
    _client: ClientRegistration,
}

/// What happened to the folder after its process ended.
enum Succession {
    /// The process has not ended, or another process took its place.
    None,
    /// This process has the folder open now.
    Here(Box<LocalDeployment>),
    /// The folder cannot be reached any more.
    Lost(String),
}

impl Attachment {
    /// Joins the process that has the folder open. `None` if there is none, or it is about to end.
    pub async fn join(data: &Path) -> Result<Option<Self>, Failure> {
        let FolderState::Open(server) = folder_state(data)? else { return Ok(None) };
        if TcpStream::connect(server.http).await.is_err() {
            // Left by a process that was killed, while the next one is opening the folder.
            return Ok(None);
        }
        let client = ClientRegistration::join(data)?;
        let started = Instant::now();
        let server = loop {
            // Only now does that process know of this one: it may have begun to end before.
            match folder_state(data)? {
                FolderState::Open(now) if same(&now, &server) => match now.role {
                    // What is written here must be as safe as anywhere else, so wait until bulk loading has ended.
                    Role::Command { bulk_loading: true, .. } if started.elapsed() < COMMAND_PATIENCE => {
                        tokio::time::sleep(POLL / 4).await;
                    }
                    _ => break now,
                },
                _ => return Ok(None),
            }
        };
        let key = read_key_file(data)?;
        let succession = Arc::new(Mutex::new(Succession::None));
        let is_command = matches!(server.role, Role::Command { .. });
        let watching =
            is_command.then(|| tokio::spawn(succeed(data.to_owned(), server.clone(), succession.clone())));
        Ok(Some(Self { data: data.to_owned(), server, key, succession, watching, _client: client }))
    }

    /// Whether a server has the folder open, rather than another command.
    #[must_use]
    pub fn to_server(&self) -> bool {
        matches!(self.server.role, Role::Server { .. })
    }

    pub(crate) fn key(&self) -> &AccessKey {
        &self.key
    }

    /// A configuration for clients of an address of that process. If it is a command, they wait for its successor.
    pub(crate) fn config(&self, address: SocketAddr) -> SdkConfig {
        let config = sdk_config(&format!("http://{address}"), &self.key);
        if self.to_server() { config } else { patient(&config) }
    }

    /// Ends the registration, and returns why the folder cannot be reached any more, if that is so.
    pub async fn leave(mut self) -> Result<Option<Failure>, Failure> {
        if let Some(watching) = self.watching.take() {
            watching.abort();
            let _aborted = watching.await;
        }
        let succession = std::mem::replace(&mut *locked(&self.succession), Succession::None);
        match succession {
            Succession::Here(deployment) => {
                deployment.stop().await?;
                return Ok(None);
            }
            Succession::Lost(why) => return Ok(Some(gone(&self.server, Some(&why)))),
            Succession::None => {}
        }
        match folder_state(&self.data)? {
            FolderState::Open(now) if same(&now, &self.server) => Ok(None),
            _ => Ok(Some(gone(&self.server, None))),
        }
    }
}

/// The failure of commands that worked through a process that has ended.
fn gone(server: &FolderHost, why: Option<&str>) -> Failure {
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    Failure::Other(format!(
        "{server}, which had the data folder open, has ended{why}; run the command again: what was written is kept, \
         and jobs resume from their checkpoints"
    ))
}

/// Whether clients of one of them can work through the other.
fn same(one: &FolderHost, other: &FolderHost) -> bool {
    (one.dynamodb, one.s3) == (other.dynamodb, other.s3)
}

fn locked(succession: &Mutex<Succession>) -> MutexGuard<'_, Succession> {
    succession.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the folder at the same addresses once no process has it open any more.
async fn succeed(data: PathBuf, before: FolderHost, succession: Arc<Mutex<Succession>>) {
    let mut tries = 0;
    loop {
        tokio::time::sleep(POLL).await;
        match folder_state(&data) {
            Ok(FolderState::Open(now)) if !same(&now, &before) => {
                *locked(&succession) = Succession::Lost(format!("now it is {now}"));
                return;
            }
            Ok(FolderState::Closed) => {}
            Ok(FolderState::Open(_) | FolderState::Changing) | Err(_) => continue,
        }
        let options = DeploymentOptions {
            missing: MissingFolder::Fail,
            ..DeploymentOptions::on_any_port(Some(data.clone()))
        };
        match open(at(&before, options)).await {
            Ok(deployment) => {
                errln!("{before} has ended; this process has the data folder open now.");
                *locked(&succession) = Succession::Here(Box::new(deployment));
                return;
            }
            Err(failure) if is_in_use(&failure) => {}
            Err(failure) => {
                tries += 1;
                if tries >= MAX_TRIES {
                    *locked(&succession) = Succession::Lost(failure.to_string());
                    return;
                }
            }
        }
    }
}

/// The options, with the addresses of another process wherever they do not name one.
fn at(before: &FolderHost, options: DeploymentOptions) -> DeploymentOptions {
    let or = |asked: SocketAddr, before: SocketAddr| if asked.port() == 0 { before } else { asked };
    DeploymentOptions {
        listen: or(options.listen, before.http),
        dynamodb_listen: or(options.dynamodb_listen, before.dynamodb),
        s3_listen: before.s3.map_or(options.s3_listen, |s3| or(options.s3_listen, s3)),
        ..options
    }
}

/// Starts a deployment, if possible at the addresses of the previous process, for those who work through that.
pub(crate) async fn start<F>(
    options: &DeploymentOptions,
    start: impl Fn(DeploymentOptions) -> F,
) -> Result<LocalDeployment, Failure>
where
    F: Future<Output = Result<LocalDeployment, Failure>>,
{
    let data = options.data.as_deref().filter(|data| data.exists());
    let before = data.filter(|data| has_clients(data).unwrap_or(false)).and_then(last_server);
    for _ in 0..MAX_TRIES {
        let Some(before) = &before else { break };
        match start(at(before, options.clone())).await {
            Err(failure) if !is_in_use(&failure) => tokio::time::sleep(POLL / 4).await,
            result => return result,
        }
    }
    start(options.clone()).await
}

/// Opens a folder for a command, and for others that join meanwhile.
async fn open(options: DeploymentOptions) -> Result<LocalDeployment, Failure> {
    let deployment = LocalDeployment::start_without_mappings(options).await?;
    announce(&deployment, false);
    Ok(deployment)
}

/// Tells other commands where to find this one.
fn announce(deployment: &LocalDeployment, bulk_loading: bool) -> bool {
    let announced = deployment.announce(Role::Command { name: command_name(), bulk_loading });
    if let Err(failure) = &announced {
        // Without this, other commands cannot join, but this one works: on a full disk one can still read.
        tracing::warn!(error = %failure, "other commands cannot attach and wait until this one has ended");
    }
    announced.is_ok()
}

fn command_name() -> String {
    std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_else(|| "demo".to_owned())
}

/// Either a registration at a folder that another process has open, or the folder opened here.
pub(crate) enum Opened {
    Attached(Box<Attachment>),
    Own(Box<LocalDeployment>),
}

/// Joins the process that has the folder open, or opens it.
pub(crate) async fn join_or_open(data: &Path, if_missing: IfMissing) -> Result<Opened, Failure> {
    let in_memory = if_missing == IfMissing::InMemory && !data.exists();
    let missing = if if_missing == IfMissing::Create { MissingFolder::Create } else { MissingFolder::Fail };
    let join = || async {
        if let Some(attached) = Attachment::join(data).await? {
            return Ok(Opened::Attached(Box::new(attached)));
        }
        if folder_state(data)? != FolderState::Closed {
            // Checking again costs less than trying to open.
            return Err(FolderError::InUse { path: data.to_owned(), server: None }.into());
        }
        let options = DeploymentOptions {
            missing,
            ..DeploymentOptions::on_any_port((!in_memory).then(|| data.to_owned()))
        };
        start(&options, open).await.map(Box::new).map(Opened::Own)
    };
    until_free(COMMAND_PATIENCE, join).await
}

/// Tries to open a folder, within this time, while another process is about to open or to close it.
pub(crate) async fn until_free<T, F>(patience: Duration, open: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let started = Instant::now();
    loop {
        match open().await {
            Err(failure) if is_in_use(&failure) && started.elapsed() < patience => {
                tokio::time::sleep(POLL / 4).await;
            }
            opened => return opened,
        }
    }
}

/// Whether another process has the folder open, and it is not a server.
fn is_in_use(failure: &Failure) -> bool {
    let (Failure::Folder(error) | Failure::Machine(MachineError::Folder(error))) = failure else {
        return false;
    };
    match error {
        FolderError::InUse { server, .. } => {
            !server.as_deref().is_some_and(|server| matches!(server.role, Role::Server { .. }))
        }
        _ => false,
    }
}

/// Turns bulk loading on while no other process works on the folder, and off as soon as one does. Returns whether it
/// is on.
pub(crate) fn bulk_loading(deployment: &LocalDeployment, data: &Path, on: bool) -> Result<bool, Failure> {
    let others = has_clients(data)?;
    match (on, others) {
        // A process that joins after this reads that it has to wait.
        (false, false) if announce(deployment, true) => {
            if has_clients(data)? {
                announce(deployment, false);
                return Ok(false);
            }
            deployment.machine().dynamodb().set_bulk_loading(true).map_err(Failure::other)?;
            Ok(true)
        }
        (true, true) => end_bulk_loading(deployment).map(|()| false),
        (on, _) => Ok(on),
    }
}

/// Turns bulk loading off; then everything is on the disk.
pub(crate) fn end_bulk_loading(deployment: &LocalDeployment) -> Result<(), Failure> {
    deployment.machine().dynamodb().set_bulk_loading(false).map_err(Failure::other)?;
    announce(deployment, false);
    Ok(())
}
