//! A batch through a command of this machine.

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use nextbasket_batch::{Work, WorkError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::group::Group;
use crate::output::{Output, Writer};
use crate::source::Stream;
use crate::work::{Attempt, Ended, stopped};

/// How much is read of a command's output at a time.
const READ: usize = 64 * 1024;
/// How much of what it says on standard error is told.
const TOLD: usize = 1_000;
const TOLD_LINES: usize = 5;

/// Runs the command on the batch's records: standard input, standard output.
pub(crate) async fn run(
    work: &Work,
    attempt: &Attempt<'_>,
    argv: &[String],
    folder: Option<&Path>,
    mut stream: Stream,
) -> Result<Ended, WorkError> {
    let [program, arguments @ ..] = argv else { return Err(WorkError::Failed("no command".to_owned())) };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("NEXTBASKET_JOB", work.job().job_id.as_str())
        .env("NEXTBASKET_BATCH", work.task().batch.to_string())
        .env("NEXTBASKET_ATTEMPT", attempt.number.to_string());
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let unstartable = |error| WorkError::Systemic(format!("{program} cannot be started: {error}"));
    let mut group = Group::spawn(command).map_err(unstartable)?;
    let running = async {
        let result = converse(&mut group, &mut stream, Writer::new(work, attempt.name)).await;
        let status = group.child.wait().await.map_err(|error| WorkError::Transient(error.to_string()));
        Ok::<_, WorkError>((result?, status?))
    };
    let result = tokio::select! {
        result = running => result,
        () = tokio::time::sleep(attempt.timeout) => {
            return Ok(Ended::Failed(format!("the command did not end within {} s", attempt.timeout.as_secs())));
        }
        () = stopped(work) => return Ok(Ended::Stopped),
    };
    let ((output, said), status) = result?;
    group.ended();
    if status.success() {
        return Ok(Ended::Done(output, stream.records()));
    }
    Ok(Ended::Failed(format!("the command {}{}", fate(status), told(&said))))
}

/// Feeds the command while its output is taken: it may want to write before it reads on.
async fn converse(
    group: &mut Group,
    stream: &mut Stream,
    writer: Writer,
) -> Result<(Output, Vec<u8>), WorkError> {
    let child = &mut group.child;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        let Some(mut stdin) = stdin else { return Ok(()) };
        let mut piece = Some(stream.header().clone());
        while let Some(bytes) = piece {
            match stdin.write_all(&bytes).await {
                Ok(()) => {}
                // It has read all that it wants, and its exit code says how that went.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(WorkError::Transient(format!("the command's input: {error}"))),
            }
            piece = stream.next().await?;
        }
        Ok(())
    };
    let ((), output, said) = tokio::try_join!(feed, collect(stdout, writer), listen(stderr))?;
    Ok((output, said))
}

async fn collect(from: Option<impl AsyncRead + Unpin>, mut writer: Writer) -> Result<Output, WorkError> {
    let mut buffer = vec![0; READ];
    if let Some(mut from) = from {
        loop {
            let read = from.read(&mut buffer).await;
            let read =
                read.map_err(|error| WorkError::Transient(format!("the command's output: {error}")))?;
            if read == 0 {
                break;
            }
            writer.push(buffer.get(..read).unwrap_or_default()).await?;
        }
    }
    writer.finish().await
}

/// Keeps the beginning and drops the rest.
async fn listen(from: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, WorkError> {
    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
    if let Some(mut from) = from {
        while let Ok(read) = from.read(&mut buffer).await
            && read > 0
        {
            let room = TOLD.saturating_sub(said.len());
            said.extend_from_slice(buffer.get(..read.min(room)).unwrap_or_default());
        }
    }
    Ok(said)
}

fn fate(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("was ended by signal {signal}");
    }
    match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => "ended".to_owned(),
    }
}

fn told(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<&str> =
        said.lines().map(str::trim_end).filter(|line| !line.is_empty()).take(TOLD_LINES).collect();
    if lines.is_empty() { String::new() } else { format!(": {}", lines.join(" | ")) }
}

/// How often it is looked whether to stop.
pub(crate) const LOOK: Duration = Duration::from_millis(200);
