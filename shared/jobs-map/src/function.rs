//! A batch through a Lambda function.
//!
//! A call is `{"jobId", "batch", "fence", "call", "format", "header"?, "records": [...]}` with records as texts, without
//! their line ends; the answer is `{"records": [...]}` with texts, or values that are written as JSON. A batch that is
//! larger than a call, since it is all records of a time or a feature, is several calls, one after the other.

use std::time::Duration;

use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::{Client, config};
use nextbasket_job_engine::error::is_systemic;
use nextbasket_job_engine::{Work, WorkError};
use nextbasket_sdk_errors::sentence;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::batch_attempt::{AttemptOutcome, BatchAttempt, stopped};
use crate::batch_input::RecordStream;
use crate::batch_output::BatchOutputWriter;
use crate::records::{RecordFormat, trimmed};

/// The most bytes of a call, below Lambda's 6 MB.
const MAX_PAYLOAD: usize = 5_500_000;
/// The first pause when Lambda asks for a slower pace; it doubles, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(20);

enum CallFailure {
    /// The function's own failure: the attempt has failed, and the batch may be tried again.
    Function(String),
    Batch(WorkError),
}

impl From<WorkError> for CallFailure {
    fn from(error: WorkError) -> Self {
        Self::Batch(error)
    }
}

#[derive(Deserialize)]
struct FunctionAnswer {
    records: Vec<Value>,
}

/// A call in the making.
struct FunctionCall {
    format: RecordFormat,
    header: Option<String>,
    records: Vec<Value>,
    /// Of the payload, as JSON.
    bytes: usize,
    /// Of the records as they are.
    plain: u64,
    number: u32,
}

pub(crate) async fn run(
    work: &Work,
    attempt: &BatchAttempt<'_>,
    lambda: &Client,
    function: &str,
    batch_bytes: u64,
    mut stream: RecordStream,
) -> Result<AttemptOutcome, WorkError> {
    let caller = FunctionCaller { work, attempt, lambda, function };
    let calling = caller.all(batch_bytes, &mut stream);
    tokio::select! {
        biased;
        ended = calling => match ended {
            Err(CallFailure::Function(reason)) => Ok(AttemptOutcome::Failed(reason)),
            Err(CallFailure::Batch(error)) => Err(error),
            Ok(done) => Ok(done),
        },
        () = stopped(work) => Ok(AttemptOutcome::Stopped),
    }
}

struct FunctionCaller<'a> {
    work: &'a Work,
    attempt: &'a BatchAttempt<'a>,
    lambda: &'a Client,
    function: &'a str,
}

impl FunctionCaller<'_> {
    async fn all(&self, batch_bytes: u64, stream: &mut RecordStream) -> Result<AttemptOutcome, CallFailure> {
        let header = text(trimmed(stream.header()))?;
        let header = Some(header).filter(|header| !header.is_empty());
        let mut call = FunctionCall {
            format: stream.format(),
            header,
            records: Vec::new(),
            bytes: 0,
            plain: 0,
            number: 0,
        };
        let mut writer = BatchOutputWriter::new(self.work, self.attempt.name);
        let mut splitter = stream.splitter();
        let mut record = Vec::new();
        while let Some(piece) = stream.next().await? {
            let mut rest = piece.as_ref();
            while let Some(end) = splitter.end_of_held(rest).map_err(|problem| stream.wrong(problem))? {
                let (head, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                record.extend_from_slice(head);
                rest = tail;
                self.add(&mut call, &record, batch_bytes, &mut writer).await?;
                record.clear();
            }
            record.extend_from_slice(rest);
        }
        self.add(&mut call, &record, batch_bytes, &mut writer).await?;
        self.send(&mut call, &mut writer).await?;
        Ok(AttemptOutcome::Done(writer.finish().await?, stream.records()))
    }

    /// Adds a record, after a call with those before it if there is no room.
    async fn add(
        &self,
        call: &mut FunctionCall,
        record: &[u8],
        batch_bytes: u64,
        writer: &mut BatchOutputWriter,
    ) -> Result<(), CallFailure> {
        let mut record = trimmed(record);
        // Blank lines are part of the record that follows them.
        while let [b'\r' | b'\n', rest @ ..] = record {
            record = rest;
        }
        if record.is_empty() {
            return Ok(());
        }
        let value = Value::String(text(record)?);
        let bytes = value.to_string().len() + 1;
        let plain = u64::try_from(record.len()).unwrap_or(u64::MAX);
        let room = call.header.as_ref().map_or(0, String::len) * 6 + 1_000;
        if bytes + room > MAX_PAYLOAD {
            let problem = format!(
                "a record of {plain} bytes is too large for a call, which takes {MAX_PAYLOAD} bytes of JSON"
            );
            return Err(WorkError::Failed(problem).into());
        }
        if call.bytes + bytes + room > MAX_PAYLOAD || (call.plain + plain > batch_bytes && call.plain > 0) {
            self.send(call, writer).await?;
        }
        call.bytes += bytes;
        call.plain += plain;
        call.records.push(value);
        Ok(())
    }

    /// Makes the call and writes what it answers.
    async fn send(&self, call: &mut FunctionCall, writer: &mut BatchOutputWriter) -> Result<(), CallFailure> {
        if call.records.is_empty() {
            return Ok(());
        }
        let task = self.work.task();
        let mut payload = json!({
            "jobId": task.job_id,
            "batch": task.batch,
            "fence": self.work.fence(),
            "call": call.number,
            "format": call.format.name(),
            "records": std::mem::take(&mut call.records),
        });
        if let (Some(header), Some(payload)) = (&call.header, payload.as_object_mut()) {
            payload.insert("header".to_owned(), Value::String(header.clone()));
        }
        (call.bytes, call.plain) = (0, 0);
        call.number += 1;
        let answer = self.invoke(payload.to_string().into_bytes()).await?;
        for record in answer.records {
            let mut line = match record {
                Value::String(text) => text,
                value => value.to_string(),
            };
            line.push('\n');
            writer.push(line.as_bytes()).await?;
        }
        Ok(())
    }

    async fn invoke(&self, payload: Vec<u8>) -> Result<FunctionAnswer, CallFailure> {
        let mut pauses = 0;
        let output = loop {
            let sent = self
                .lambda
                .invoke()
                .function_name(self.function)
                .payload(Blob::new(payload.clone()))
                .customize()
                .config_override(call_config(self.attempt.timeout))
                .send();
            match sent.await {
                Ok(output) => break output,
                Err(error) if is_throttle(&error) => {
                    tokio::time::sleep(self.pause(pauses)).await;
                    pauses += 1;
                }
                Err(SdkError::TimeoutError(_)) => {
                    let seconds = self.attempt.timeout.as_secs();
                    return Err(CallFailure::Function(format!(
                        "the function did not answer within {seconds} s. Make batches smaller, or set a longer timeout."
                    )));
                }
                Err(error) => return Err(self.failed(&error).into()),
            }
        };
        let content = output.payload.map(Blob::into_inner).unwrap_or_default();
        if let Some(kind) = output.function_error {
            let reason = format!("the function failed ({kind}): {}", error_message(&content));
            return Err(CallFailure::Function(reason));
        }
        serde_json::from_slice(&content).map_err(|error| {
            CallFailure::Function(format!("the function's answer is not {{\"records\": [...]}}: {error}"))
        })
    }

    fn failed(&self, error: &SdkError<InvokeError>) -> WorkError {
        let function = self.function;
        let code = error.code().unwrap_or_default().to_owned();
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        let why = match error.as_service_error().and(error.message()) {
            Some(message) => format!("{code}: {message}"),
            None => sentence(error),
        };
        let reason = format!("calling function {function:?} failed: {why}");
        if is_systemic(&code) {
            WorkError::Systemic(reason)
        } else if (400..500).contains(&status) {
            WorkError::Failed(reason)
        } else {
            WorkError::Transient(reason)
        }
    }

    fn pause(&self, pauses: u32) -> Duration {
        let most = FIRST_PAUSE.saturating_mul(1 << pauses.min(10)).min(MAX_PAUSE);
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.work.site().random.draw() % (most + 1))
    }
}

/// A call takes as long as the function does, and is not made again by the SDK: that is counted here.
fn call_config(timeout: Duration) -> config::Builder {
    let timeouts =
        TimeoutConfig::builder().operation_attempt_timeout(timeout).operation_timeout(timeout).build();
    config::Config::builder().timeout_config(timeouts).retry_config(RetryConfig::disabled())
}

fn is_throttle(error: &SdkError<InvokeError>) -> bool {
    matches!(error.code(), Some("TooManyRequestsException" | "EC2ThrottledException" | "ThrottlingException"))
}

fn text(record: &[u8]) -> Result<String, WorkError> {
    let text = std::str::from_utf8(record);
    text.map(str::to_owned).map_err(|_| {
        WorkError::Failed("a record is not UTF-8, which calls of functions have to be".to_owned())
    })
}

/// `errorMessage`, or what there is.
fn error_message(content: &[u8]) -> String {
    let error: Option<Map<String, Value>> = serde_json::from_slice(content).ok();
    let message = error.as_ref().and_then(|error| error.get("errorMessage")).and_then(Value::as_str);
    let whole =
        || String::from_utf8_lossy(content.get(..content.len().min(500)).unwrap_or_default()).into_owned();
    message.map_or_else(whole, str::to_owned)
}
