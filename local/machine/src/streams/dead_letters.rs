//! What mappings gave up, in the documents that Lambda sends to an on-failure destination.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::record::Delivered;

/// Notes about given-up records: one JSON document a line in the data folder's `dead-letters.jsonl`, or in memory.
pub struct DeadLetters {
    file: Option<PathBuf>,
    /// Those in memory; with a file, what keeps lines whole.
    memory: Mutex<Vec<Value>>,
}

/// Why records were given up.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) enum DeadLetterCondition {
    RetryAttemptsExhausted,
    RecordAgeExceeded,
}

pub(crate) struct GivenUp<'a> {
    pub(crate) condition: DeadLetterCondition,
    pub(crate) function_arn: String,
    pub(crate) request_id: &'a str,
    pub(crate) invocations: u32,
    pub(crate) crashed: bool,
    pub(crate) stream_arn: &'a str,
    pub(crate) shard: &'a str,
    /// Never empty.
    pub(crate) records: &'a [Delivered],
}

/// A note that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("dead letters {path} cannot be written: {source}", path = .path.display())]
pub(crate) struct NotWritten {
    path: PathBuf,
    source: std::io::Error,
}

impl DeadLetters {
    pub(crate) fn open(folder: Option<&Path>) -> Self {
        DeadLetters { file: folder.map(|f| f.join("dead-letters.jsonl")), memory: Mutex::new(Vec::new()) }
    }

    /// All of them, oldest first.
    pub fn all(&self) -> std::io::Result<Vec<Value>> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = &self.file else { return Ok(memory.clone()) };
        match std::fs::read_to_string(file) {
            Ok(text) => Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }

    /// How many there are.
    pub fn count(&self) -> std::io::Result<u64> {
        let lines = match &self.file {
            None => self.memory.lock().unwrap_or_else(PoisonError::into_inner).len(),
            Some(file) => match std::fs::read(file) {
                Ok(text) => text.iter().filter(|&&byte| byte == b'\n').count(),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => 0,
                Err(e) => return Err(e),
            },
        };
        Ok(u64::try_from(lines).unwrap_or(u64::MAX))
    }

    /// Adds a note.
    pub(crate) fn add(&self, given_up: &GivenUp<'_>) -> Result<(), NotWritten> {
        let failed = |source| NotWritten { path: self.file.clone().unwrap_or_default(), source };
        self.write(given_up).map_err(failed)
    }

    fn write(&self, given_up: &GivenUp<'_>) -> std::io::Result<()> {
        let document = document(given_up);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.file {
            Some(path) => {
                let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
                let before = file.metadata()?.len();
                let written = file.write_all(format!("{document}\n").as_bytes());
                if written.is_err() {
                    // A partial line would corrupt the next one.
                    file.set_len(before)?;
                }
                written?;
                file.sync_data()
            }
            None => {
                memory.push(document);
                Ok(())
            }
        }
    }
}

fn document(given_up: &GivenUp<'_>) -> Value {
    let time = |time: SystemTime, format| DateTime::<Utc>::from(time).to_rfc3339_opts(format, true);
    let number = |record: Option<&Delivered>| record.map(|record| record.sequence.to_string());
    let arrival = |record: Option<&Delivered>| record.map(|record| time(record.written, SecondsFormat::Secs));
    let (first, last) = (given_up.records.first(), given_up.records.last());
    let response = if given_up.crashed {
        json!({ "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" })
    } else {
        json!({ "statusCode": 200, "executedVersion": "$LATEST" })
    };
    json!({
        "requestContext": {
            "requestId": given_up.request_id,
            "functionArn": given_up.function_arn,
            "condition": given_up.condition,
            "approximateInvokeCount": given_up.invocations,
        },
        "responseContext": response,
        "version": "1.0",
        "timestamp": time(SystemTime::now(), SecondsFormat::Millis),
        "DDBStreamBatchInfo": {
            "shardId": given_up.shard,
            "startSequenceNumber": number(first),
            "endSequenceNumber": number(last),
            "approximateArrivalOfFirstRecord": arrival(first),
            "approximateArrivalOfLastRecord": arrival(last),
            "batchSize": given_up.records.len(),
            "streamArn": given_up.stream_arn,
        },
    })
}
