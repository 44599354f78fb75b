//! `map`: files' records or a table's items, batch by batch, through a command or a Lambda function.

use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Failure;
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
    let mut input = Map::new();
    if let Some(files) = &options.input {
        input.insert("files".to_owned(), json!(place(files)?));
        let format = options.format.or_else(|| MapFormat::of_name(files)).ok_or_else(|| {
            Failure::Usage(format!("--format is missing: the name {files} does not say what is in it"))
        })?;
        input.insert("format".to_owned(), json!(format.parameter()));
    }
    if let Some(table) = &options.table {
        input.insert("table".to_owned(), json!(table));
        if options.plain {
            input.insert("form".to_owned(), json!("plain"));
        }
        if let Some(condition) = &options.condition {
            input.insert("where".to_owned(), json!(condition));
        }
    }
    let mut parameters = json!({
        "input": input,
        "output": place(&options.to)?,
        "width": options.width.unwrap_or(options.running.options().workers),
        "retries": options.retries,
        "timeout": options.timeout.as_secs().max(1),
    });
    let mut set = |name: &str, value: Option<Value>| {
        if let (Some(all), Some(value)) = (parameters.as_object_mut(), value) {
            all.insert(name.to_owned(), value);
        }
    };
    set("batchItems", options.batch_size.map(Value::from));
    set("readUnits", options.rcu.map(Value::from));
    set("function", options.function.as_ref().map(|name| json!(name)));
    if let Some(command) = &options.command {
        // A worker of a server runs it where this command was called.
        let folder = std::env::current_dir().map_err(Failure::other)?;
        set("command", Some(json!(["sh", "-c", command])));
        set("folder", Some(json!(folder)));
    }
    Ok(parameters)
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
