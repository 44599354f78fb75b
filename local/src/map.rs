//! `map`: files' records or a table's items, batch by batch, through a command or a Lambda function.

use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Failure;
use crate::cli::parameters::Parameters;
use crate::cli::{MapFormat, MapRecords};
use crate::dump::place;
use crate::jobs::run::{RunOptions, as_option, run as run_job};

/// Options that are not called as their parameters.
const OPTIONS: [(&str, &str); 4] =
    [("input.files", "INPUT"), ("output", "--to"), ("batchItems", "--batch-size"), ("readUnits", "--rcu")];

/// What the job came to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mapped {
    output: String,
    manifest: String,
    bytes: u64,
    records: u64,
    batches: u64,
    done: u64,
    failed: u64,
    failures: Vec<FailedBatch>,
}

#[derive(Debug, Deserialize)]
struct FailedBatch {
    name: String,
    reason: String,
}

/// Runs the job and says what it came to.
///
/// # Errors
/// [`Failure`] if the options, the input or the target cannot be used, or a batch has failed for good.
pub async fn run(options: &MapRecords) -> Result<(), Failure> {
    let running = &options.running;
    let parameters = parameters(options)?;
    let how = running.options();
    let workers = options.width.map_or(how.workers, |width| width.max(how.workers));
    let how = RunOptions { workers, estimate_first: false, ..how };
    let ended = run_job(&running.target, "map", parameters, &how).await;
    let Some(ended) = ended.map_err(|failure| as_option(failure, &OPTIONS))? else { return Ok(()) };
    let mapped: Mapped = ended.result_as()?;
    ended.say(running.json, || summary(&mapped, ended.refused.as_deref()));
    if mapped.failed > 0 {
        let Mapped { failed, batches, manifest, .. } = &mapped;
        return Err(Failure::Other(format!(
            "{failed} of {batches} batches failed; {manifest} names them all"
        )));
    }
    Ok(())
}

fn parameters(options: &MapRecords) -> Result<Value, Failure> {
    let mut input = Parameters::default();
    if let Some(files) = &options.input {
        input = input.with("files", place(files)?);
        let format = options.format.or_else(|| MapFormat::of_name(files)).ok_or_else(|| {
            Failure::Usage(format!("--format is missing: the name {files} does not say what is in it"))
        })?;
        input = input.with("format", format.parameter());
    }
    if let Some(table) = &options.table {
        input = input
            .with("table", table.as_str())
            .with("form", options.plain.then_some("plain"))
            .with("where", options.condition.clone());
    }
    let mut parameters = Parameters::default()
        .with("input", input.json())
        .with("output", place(&options.to)?)
        .with("width", options.width.unwrap_or(options.running.options().workers))
        .with("retries", options.retries)
        .with("timeout", options.timeout.as_secs().max(1))
        .with("batchItems", options.batch_size)
        .with("readUnits", options.rcu)
        .with("function", options.function.clone());
    if let Some(command) = &options.command {
        // A worker of a server runs it where this command was called.
        let folder = std::env::current_dir().map_err(Failure::other)?;
        parameters = parameters.with("command", json!(["sh", "-c", command])).with("folder", json!(folder));
    }
    Ok(parameters.json())
}

fn summary(mapped: &Mapped, refused: Option<&Path>) -> String {
    let Mapped { output, bytes, records, batches, done, failed, failures, .. } = mapped;
    let mut text = format!("Processed {records} records in {done} of {batches} batches.");
    let _ = write!(text, "\nOutput: {output}, {bytes} bytes.");
    if let Some(refused) = refused {
        let _ = write!(text, "\nRefused records, with the reasons: {}", refused.display());
    }
    if *failed > 0 {
        let _ = write!(text, "\nFailed, and not in the output:");
    }
    for FailedBatch { name, reason } in failures {
        let reason =
            reason.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(reason);
        let _ = write!(text, "\n  {name}: {reason}");
    }
    if failures.len() as u64 != *failed {
        let _ = write!(text, "\n  …");
    }
    text
}
