//! A child process with all the processes that it starts.

use std::io;
use std::process::{self, Stdio};

use tokio::process::{Child, Command};

/// A child in a process group of its own. When it is dropped before [`ended`](Self::ended) was called, the whole group is
/// killed: a command whose batch was stopped or lost goes with everything that it started.
pub(crate) struct ProcessGroup {
    pub child: Child,
    id: Option<u32>,
}

impl ProcessGroup {
    /// Starts the command with pipes to and from it.
    pub(crate) fn spawn(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        command.process_group(0);
        let child = command.kill_on_drop(true).spawn()?;
        let id = child.id();
        Ok(Self { child, id })
    }

    pub(crate) fn ended(mut self) {
        self.id = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        // The group's id is the child's. The shell's own `kill` is on every machine that has commands to run.
        let killed = process::Command::new("/bin/sh")
            .args(["-c", "kill -KILL \"-$0\"", &id.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if let Err(error) = killed {
            tracing::warn!(%error, group = id, "a command's processes may go on");
        }
    }
}
