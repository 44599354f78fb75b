#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{self, ChildStdin, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

/// Sends the signals whose names it reads to its group. If it reads no more without having been told `done`, the group
/// ends: with SIGTERM, and after `$1` seconds with SIGKILL, or with SIGKILL at once if these are 0.
const GUARD: &str = r#"
trap '' HUP INT QUIT TERM
while read -r word; do
    case "$word" in
    done) exit 0 ;;
    *) kill -s "$word" 0 ;;
    esac
done
if [ "$1" != 0 ]; then
    kill -s TERM 0
    sleep "$1" || sleep 1
fi
kill -s KILL 0
"#;

/// A command with all the processes that it starts. When this is dropped, they are killed, unless
/// [`ended`](Self::ended) was called.
#[derive(Debug)]
#[must_use]
pub struct ProcessGroup {
    /// The command itself.
    pub child: Child,
    guard: Guard,
}

#[derive(Debug)]
struct Guard {
    shell: process::Child,
    pipe: Option<ChildStdin>,
}

impl ProcessGroup {
    /// Starts the command. If this process ends without an order to the group, the group gets SIGTERM, and after the
    /// grace SIGKILL; without a grace SIGKILL at once.
    ///
    /// # Errors
    /// The system's error if the command cannot be started, or `/bin/sh` cannot.
    pub fn spawn(mut command: Command, grace: Duration) -> io::Result<Self> {
        let guard = Guard::start(grace)?;
        let group = i32::try_from(guard.shell.id()).map_err(io::Error::other)?;
        let child = command.process_group(group).kill_on_drop(true).spawn()?;
        Ok(Self { child, guard })
    }

    /// Sends a signal, such as `TERM`, to the command and all that it has started.
    ///
    /// # Errors
    /// The system's error if the group has no guard any more.
    pub fn signal(&mut self, name: &str) -> io::Result<()> {
        self.guard.write(name)
    }

    /// The command has ended, and what it has left behind may go on.
    pub fn ended(mut self) {
        self.guard.end("done");
    }

    /// Kills the command and all that it has started.
    pub fn kill(mut self) {
        self.guard.end("KILL");
    }
}

impl Guard {
    fn start(grace: Duration) -> io::Result<Self> {
        let seconds = if grace.is_zero() { "0".to_owned() } else { grace.as_secs_f64().to_string() };
        let mut shell = process::Command::new("/bin/sh")
            .args(["-c", GUARD, "nextbasket-guard", &seconds])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }

    fn write(&mut self, word: &str) -> io::Result<()> {
        match &mut self.pipe {
            Some(pipe) => pipe.write_all(format!("{word}\n").as_bytes()),
            None => Ok(()),
        }
    }

    /// The guard's last word. It ends at once, so this waits no longer than it takes to start a process.
    fn end(&mut self, word: &str) {
        if self.pipe.is_some() {
            // A guard that is gone has been killed with its group.
            let _gone = self.write(word);
            self.pipe = None;
            let _ended = self.shell.wait();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end("KILL");
    }
}
