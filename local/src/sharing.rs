//! One data folder, any number of commands: the first one opens it, and the others work through that one. When it has
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
    Client, FolderError, Holder, Missing, Role, Server, has_clients, holder, last_server,
};
use nextbasket_machine::{AccessKey, MachineError};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::Failure;
use crate::out::errln;
use crate::place::Absent;
use crate::system::{Settings, System};

/// How often a command checks whether the process that has the folder open still runs.
const LOOK: Duration = Duration::from_millis(200);

/// How long a command waits for a folder whose process is starting or about to end: many may come and go at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a server waits for a command to end.
pub(crate) const SERVER_PATIENCE: Duration = Duration::from_secs(20);

/// How many attempts are made to open a folder at the previous addresses: those of a killed process become free a
/// moment after its lock.
const TRIES: u32 = 25;

/// This process's registration at a folder that another process has open.
pub struct Attached {
    data: PathBuf,
    /// The process that had the folder open when this one joined.
    pub(crate) server: Server,
    key: AccessKey,
    succession: Arc<Mutex<Succession>>,
    watching: Option<JoinHandle<()>>,
    _client: Client,
}

/// What happened to the folder after its process ended.
enum Succession {
    /// The process has not ended, or another process took its place.
    None,
    /// This process has the folder open now.
    Here(Box<System>),
    /// The folder cannot be reached any more.
    Lost(String),
}

impl Attached {
    /// Joins the process that has the folder open. `None` if there is none, or it is about to end.
    ///
    /// # Errors
    /// [`Failure`] if the folder cannot be read.
    pub async fn join(data: &Path) -> Result<Option<Self>, Failure> {
        let Holder::Ready(server) = holder(data)? else { return Ok(None) };
        if TcpStream::connect(server.http).await.is_err() {
            // Left by a process that was killed, while the next one is opening the folder.
            return Ok(None);
        }
        let client = Client::join(data)?;
        let begun = Instant::now();
        let server = loop {
            // Only now does that process know of this one: it may have begun to end before.
            match holder(data)? {
                Holder::Ready(now) if same(&now, &server) => match now.role {
                    // What is written here must be as safe as anywhere else, so wait until bulk loading has ended.
                    Role::Command { bulk_loading: true, .. } if begun.elapsed() < PATIENCE => {
                        tokio::time::sleep(LOOK / 4).await;
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
    ///
    /// # Errors
    /// [`Failure`] if this process took over the folder and cannot close it cleanly.
    pub async fn leave(mut self) -> Result<Option<Failure>, Failure> {
        if let Some(watching) = self.watching.take() {
            watching.abort();
            let _aborted = watching.await;
        }
        let succession = std::mem::replace(&mut *locked(&self.succession), Succession::None);
        match succession {
            Succession::Here(system) => {
                system.stop().await?;
                return Ok(None);
            }
            Succession::Lost(why) => return Ok(Some(gone(&self.server, Some(&why)))),
            Succession::None => {}
        }
        match holder(&self.data)? {
            Holder::Ready(now) if same(&now, &self.server) => Ok(None),
            _ => Ok(Some(gone(&self.server, None))),
        }
    }
}

/// The failure of commands that worked through a process that has ended.
fn gone(server: &Server, why: Option<&str>) -> Failure {
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    Failure::Other(format!(
        "{server}, which had the data folder open, has ended{why}; run the command again: what was written stays, \
         and jobs go on from their checkpoints"
    ))
}

/// Whether clients of one of them can work through the other.
fn same(one: &Server, other: &Server) -> bool {
    (one.dynamodb, one.s3) == (other.dynamodb, other.s3)
}

fn locked(succession: &Mutex<Succession>) -> MutexGuard<'_, Succession> {
    succession.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the folder at the same addresses once no process has it open any more.
async fn succeed(data: PathBuf, before: Server, succession: Arc<Mutex<Succession>>) {
    let mut tries = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        match holder(&data) {
            Ok(Holder::Ready(now)) if !same(&now, &before) => {
                *locked(&succession) = Succession::Lost(format!("now it is {now}"));
                return;
            }
            Ok(Holder::Nobody) => {}
            Ok(Holder::Ready(_) | Holder::Changing) | Err(_) => continue,
        }
        let settings = Settings { missing: Missing::Refuse, ..Settings::on_any_port(Some(data.clone())) };
        match open(at(&before, settings)).await {
            Ok(system) => {
                errln!("{before} has ended; this process has the data folder open now.");
                *locked(&succession) = Succession::Here(Box::new(system));
                return;
            }
            Err(failure) if is_in_use(&failure) => {}
            Err(failure) => {
                tries += 1;
                if tries >= TRIES {
                    *locked(&succession) = Succession::Lost(failure.to_string());
                    return;
                }
            }
        }
    }
}

/// The settings, with the addresses of another process wherever they do not name one.
fn at(before: &Server, settings: Settings) -> Settings {
    let or = |asked: SocketAddr, before: SocketAddr| if asked.port() == 0 { before } else { asked };
    Settings {
        listen: or(settings.listen, before.http),
        dynamodb_listen: or(settings.dynamodb_listen, before.dynamodb),
        s3_listen: before.s3.map_or(settings.s3_listen, |s3| or(settings.s3_listen, s3)),
        ..settings
    }
}

/// Starts a system, if possible at the addresses of the previous process, for those who work through that.
pub(crate) async fn start<F>(settings: &Settings, start: impl Fn(Settings) -> F) -> Result<System, Failure>
where
    F: Future<Output = Result<System, Failure>>,
{
    let data = settings.data.as_deref().filter(|data| data.exists());
    let before = data.filter(|data| has_clients(data).unwrap_or(false)).and_then(last_server);
    for _ in 0..TRIES {
        let Some(before) = &before else { break };
        match start(at(before, settings.clone())).await {
            Err(failure) if !is_in_use(&failure) => tokio::time::sleep(LOOK / 4).await,
            result => return result,
        }
    }
    start(settings.clone()).await
}

/// Opens a folder for a command, and for others that join meanwhile.
async fn open(settings: Settings) -> Result<System, Failure> {
    let system = System::start_without_mappings(settings).await?;
    announce(&system, false);
    Ok(system)
}

/// Tells other commands where to find this one.
fn announce(system: &System, bulk_loading: bool) -> bool {
    let announced = system.announce(Role::Command { name: name(), bulk_loading });
    if let Err(failure) = &announced {
        // Without this, other commands cannot join, but this one works: on a full disk one can still read.
        tracing::warn!(error = %failure, "other commands have to wait until this one has ended");
    }
    announced.is_ok()
}

/// The name of this command, as it was called.
fn name() -> String {
    std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_else(|| "demo".to_owned())
}

/// Either a registration at a folder that another process has open, or the folder opened here.
pub(crate) enum Opened {
    Attached(Box<Attached>),
    Own(Box<System>),
}

/// Joins the process that has the folder open, or opens it.
pub(crate) async fn join_or_open(data: &Path, absent: Absent) -> Result<Opened, Failure> {
    let in_memory = absent == Absent::InMemory && !data.exists();
    let missing = if absent == Absent::Make { Missing::Make } else { Missing::Refuse };
    let join = || async {
        if let Some(attached) = Attached::join(data).await? {
            return Ok(Opened::Attached(Box::new(attached)));
        }
        if holder(data)? != Holder::Nobody {
            // Checking again costs less than trying to open.
            return Err(FolderError::InUse { path: data.to_owned(), server: None }.into());
        }
        let settings = Settings { missing, ..Settings::on_any_port((!in_memory).then(|| data.to_owned())) };
        start(&settings, open).await.map(Box::new).map(Opened::Own)
    };
    until_free(PATIENCE, join).await
}

/// Tries to open a folder, within this time, while another process is about to open or to close it.
pub(crate) async fn until_free<T, F>(patience: Duration, open: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let begun = Instant::now();
    loop {
        match open().await {
            Err(failure) if is_in_use(&failure) && begun.elapsed() < patience => {
                tokio::time::sleep(LOOK / 4).await;
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
pub(crate) fn bulk_loading(system: &System, data: &Path, on: bool) -> Result<bool, Failure> {
    let others = has_clients(data)?;
    match (on, others) {
        // A process that joins after this reads that it has to wait.
        (false, false) if announce(system, true) => {
            if has_clients(data)? {
                announce(system, false);
                return Ok(false);
            }
            system.machine().dynamodb().set_bulk_loading(true).map_err(Failure::other)?;
            Ok(true)
        }
        (true, true) => end_bulk_loading(system).map(|()| false),
        (on, _) => Ok(on),
    }
}

/// Turns bulk loading off; then everything is on the disk.
pub(crate) fn end_bulk_loading(system: &System) -> Result<(), Failure> {
    system.machine().dynamodb().set_bulk_loading(false).map_err(Failure::other)?;
    announce(system, false);
    Ok(())
}
