//! A batch through a command of this machine.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nextbasket_job_engine::{Work, WorkError};
use nextbasket_processes::ProcessGroup;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::batch_attempt::{AttemptOutcome, BatchAttempt, stopped};
use crate::batch_input::RecordStream;
use crate::batch_output::{BatchOutput, BatchOutputWriter};

/// How much is read of a command's output at a time.
const READ: usize = 64 * 1024;
/// How much of a command's standard error is reported, in bytes and in lines.
const MAX_STDERR: usize = 1_000;
const MAX_STDERR_LINES: usize = 5;

/// Runs the command on the batch's records: standard input, standard output.
pub(crate) async fn run(
    work: &Work,
    attempt: &BatchAttempt<'_>,
    argv: &[String],
    folder: Option<&Path>,
    mut stream: RecordStream,
) -> Result<AttemptOutcome, WorkError> {
    let [program, arguments @ ..] = argv else {
        return Err(WorkError::Failed("the job names no command".to_owned()));
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("NEXTBASKET_JOB", work.job().job_id.as_str())
        .env("NEXTBASKET_BATCH", work.task().batch.to_string())
        .env("NEXTBASKET_ATTEMPT", attempt.number.to_string());
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let unstartable = |error| {
        WorkError::Systemic(format!(
            "command {program:?} cannot be started: {error}. Check its name, and that workers can run it."
        ))
    };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A batch whose worker is gone is soon somebody else's, so the command is not given time.
    let mut group = ProcessGroup::spawn(command, Duration::ZERO).map_err(unstartable)?;
    let running = async {
        let result = exchange(&mut group, &mut stream, BatchOutputWriter::new(work, attempt.name)).await;
        let status = group.child.wait().await.map_err(|error| WorkError::Transient(error.to_string()));
        Ok::<_, WorkError>((result?, status?))
    };
    let result = tokio::select! {
        result = running => result,
        () = tokio::time::sleep(attempt.timeout) => {
            return Ok(AttemptOutcome::Failed(format!(
                "the command did not end within {} s. Make batches smaller, or set a longer timeout.",
                attempt.timeout.as_secs()
            )));
        }
        () = stopped(work) => return Ok(AttemptOutcome::Stopped),
    };
    let ((output, stderr), status) = result?;
    group.ended();
    if status.success() {
        return Ok(AttemptOutcome::Done(output, stream.records()));
    }
    Ok(AttemptOutcome::Failed(format!("the command {}{}", exit_of(status), stderr_lines(&stderr))))
}

/// Feeds the command while its output is taken: it may want to write before it reads on.
async fn exchange(
    group: &mut ProcessGroup,
    stream: &mut RecordStream,
    writer: BatchOutputWriter,
) -> Result<(BatchOutput, Vec<u8>), WorkError> {
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
                Err(error) => {
                    return Err(WorkError::Transient(format!("writing to the command failed: {error}")));
                }
            }
            piece = stream.next().await?;
        }
        Ok(())
    };
    let ((), output, text) = tokio::try_join!(feed, collect_output(stdout, writer), collect_stderr(stderr))?;
    Ok((output, text))
}

async fn collect_output(
    from: Option<impl AsyncRead + Unpin>,
    mut writer: BatchOutputWriter,
) -> Result<BatchOutput, WorkError> {
    let mut buffer = vec![0; READ];
    if let Some(mut from) = from {
        loop {
            let read = from.read(&mut buffer).await;
            let read = read
                .map_err(|error| WorkError::Transient(format!("reading from the command failed: {error}")))?;
            if read == 0 {
                break;
            }
            writer.push(buffer.get(..read).unwrap_or_default()).await?;
        }
    }
    writer.finish().await
}

/// Keeps the beginning and drops the rest.
async fn collect_stderr(from: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, WorkError> {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    if let Some(mut from) = from {
        while let Ok(read) = from.read(&mut buffer).await
            && read > 0
        {
            let room = MAX_STDERR.saturating_sub(text.len());
            text.extend_from_slice(buffer.get(..read.min(room)).unwrap_or_default());
        }
    }
    Ok(text)
}

fn exit_of(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("was ended by signal {signal}");
    }
    match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => "ended".to_owned(),
    }
}

fn stderr_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> =
        text.lines().map(str::trim_end).filter(|line| !line.is_empty()).take(MAX_STDERR_LINES).collect();
    if lines.is_empty() { String::new() } else { format!(": {}", lines.join(" | ")) }
}
