//! A command under a lock.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use nextbasket_locks::{Keeper, Lease, Lost};
use tokio::process::{Child, Command};
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
    let spawned = Command::new(program)
        .args(arguments)
        .env("NEXTBASKET_LOCK_NAME", name)
        .env("NEXTBASKET_LOCK_OWNER", lease.owner())
        .env("NEXTBASKET_LOCK_FENCE", lease.fence().to_string())
        // A group of its own, so that what it starts ends with it.
        .process_group(0)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            lease.release().await.map_err(Failure::other)?;
            errln!("nextbasket: {}: {error}", program.display());
            let is_missing = error.kind() == std::io::ErrorKind::NotFound;
            return Err(Failure::Command(if is_missing { NOT_FOUND } else { NOT_RUN }));
        }
    };
    let keeper = lease.keep();
    match supervise(&mut child, &keeper, &mut signals).await? {
        CommandEnd::Exited(status) => {
            release(name, keeper).await;
            exit_code(status)
        }
        CommandEnd::LockLost(lost) => {
            errln!("nextbasket: lock {name} was lost: {lost}. Stopping the command.");
            end(&mut child, grace).await?;
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
    child: &mut Child,
    keeper: &Keeper,
    signals: &mut PassedOnSignals,
) -> Result<CommandEnd, Failure> {
    loop {
        let group = child.id();
        tokio::select! {
            biased;
            status = child.wait() => return Ok(CommandEnd::Exited(status.map_err(Failure::other)?)),
            lost = keeper.lost() => return Ok(CommandEnd::LockLost(lost)),
            name = signals.next() => send(group, name).await,
        }
    }
}

/// Asks the whole group to end, and makes it end after the grace.
async fn end(child: &mut Child, grace: Duration) -> Result<(), Failure> {
    let group = child.id();
    send(group, "TERM").await;
    let in_time = timeout(grace, child.wait()).await.is_ok();
    // What the command has started may have stayed behind.
    send(group, "KILL").await;
    if !in_time {
        // In case there is no `kill`: at least the command itself.
        let _gone = child.start_kill();
        child.wait().await.map_err(Failure::other)?;
    }
    Ok(())
}

async fn release(name: &str, keeper: Keeper) {
    if let Err(error) = keeper.release().await {
        // The command has ended; nobody is harmed.
        errln!("nextbasket: lock {name} was not released and will expire with its lease: {error}");
    }
}

/// Sends a signal to a process group.
async fn send(group: Option<u32>, signal: &str) {
    let Some(group) = group else { return };
    let kill = format!("kill -s {signal} -- -{group} 2>/dev/null");
    if let Err(error) = Command::new("/bin/sh").args(["-c", &kill]).status().await {
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
