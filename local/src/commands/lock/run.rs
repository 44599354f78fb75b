//! A command under a lock.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use nextbasket_locks::{Keeper, Lease, LeaseError, Lost};
use nextbasket_processes::ProcessGroup;
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::Failure;
use crate::signals::pass_on;
use crate::stdio::errln;

/// The exit codes of shells for a command that cannot be run, and for one that does not exist.
const NOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Added to a signal's number, as shells do.
const SIGNALLED: i32 = 128;

/// Runs the command until it ends, or ends it when the lock is lost.
pub(super) async fn under(
    name: &str,
    lease: Lease,
    command: &[OsString],
    grace: Duration,
) -> Result<(), Failure> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let _passed_on = pass_on();
    let mut signals = PassedOnSignals::listen()?;
    let mut started = Command::new(program);
    started
        .args(arguments)
        .env("NEXTBASKET_LOCK_NAME", name)
        .env("NEXTBASKET_LOCK_OWNER", lease.owner())
        .env("NEXTBASKET_LOCK_FENCE", lease.fence().to_string());
    // If this process is killed, the lease ends two thirds of its length later at the earliest: it is renewed after a
    // third. The command must have ended by then.
    let spawned = ProcessGroup::spawn(started, grace.min(lease.length() / 3));
    let mut group = match spawned {
        Ok(group) => group,
        Err(error) => {
            lease.release().await.map_err(Failure::other)?;
            errln!("nextbasket: {}: {error}", program.display());
            let is_missing = error.kind() == std::io::ErrorKind::NotFound;
            return Err(Failure::Command(if is_missing { NOT_FOUND } else { NOT_RUN }));
        }
    };
    let keeper = lease.keep();
    match supervise(&mut group, &keeper, &mut signals).await? {
        CommandEnd::Exited(status) => {
            group.ended();
            release(name, keeper, status).await?;
            exit_code(status)
        }
        CommandEnd::LockLost(lost) => {
            errln!("nextbasket: lock {name} was lost: {lost}. Stopping the command.");
            end(group, grace).await?;
            Err(Failure::LockLost(format!("the command was stopped because lock {name} was lost: {lost}")))
        }
    }
}

enum CommandEnd {
    Exited(ExitStatus),
    LockLost(Lost),
}

/// Waits for the command, passing signals on, or for the loss of the lock.
async fn supervise(
    group: &mut ProcessGroup,
    keeper: &Keeper,
    signals: &mut PassedOnSignals,
) -> Result<CommandEnd, Failure> {
    loop {
        tokio::select! {
            biased;
            status = group.child.wait() => return Ok(CommandEnd::Exited(status.map_err(Failure::other)?)),
            lost = keeper.lost() => return Ok(CommandEnd::LockLost(lost)),
            name = signals.next() => send(group, name),
        }
    }
}

/// Asks the whole group to end, and makes it end after the grace.
async fn end(mut group: ProcessGroup, grace: Duration) -> Result<(), Failure> {
    send(&mut group, "TERM");
    if timeout(grace, group.child.wait()).await.is_err() {
        // In case its guard is gone: at least the command itself.
        let _gone = group.child.start_kill();
        group.child.wait().await.map_err(Failure::other)?;
    }
    // What the command has started may have stayed behind.
    group.kill();
    Ok(())
}

/// Releases the lock of a command that has ended.
///
/// # Errors
/// [`Failure::LockLost`] if it was lost while the command ran: another one may have run at the same time.
async fn release(name: &str, keeper: Keeper, status: ExitStatus) -> Result<(), Failure> {
    match keeper.release().await {
        Ok(()) => Ok(()),
        Err(LeaseError::Lost(lost)) => Err(Failure::LockLost(format!(
            "lock {name} was lost while the command ran: {lost}. The command ended by itself ({status}), but another \
             holder may have run at the same time"
        ))),
        Err(error @ LeaseError::Table(_)) => {
            // The command has ended; nobody is harmed.
            errln!("nextbasket: lock {name} was not released and will expire with its lease: {error}");
            Ok(())
        }
    }
}

/// Sends a signal to a process group.
fn send(group: &mut ProcessGroup, signal: &str) {
    if let Err(error) = group.signal(signal) {
        errln!("nextbasket: could not send SIG{signal} to the command: {error}");
    }
}

/// The command's exit code as that of this process.
fn exit_code(status: ExitStatus) -> Result<(), Failure> {
    let code = status.code().or(status.signal().map(|signal| SIGNALLED + signal)).unwrap_or(1);
    match u8::try_from(code).unwrap_or(1) {
        0 => Ok(()),
        code => Err(Failure::Command(code)),
    }
}

struct PassedOnSignals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    quit: Signal,
}

impl PassedOnSignals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::other);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            quit: listen(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "INT",
            _ = self.terminate.recv() => "TERM",
            _ = self.hangup.recv() => "HUP",
            _ = self.quit.recv() => "QUIT",
        }
    }
}
