//! Planted bugs: requests that faulty code would send, or its mistakes with answers. Schedules have to find each of
//! them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_types::body::SdkBody;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::Scenario;
use crate::endpoints::{Answer, Call};
use crate::transport::answer;

/// A bug, named after what the code does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bug {
    /// A history is put without checking that it is still what was read.
    HistoryUnguarded,
    /// A user's first history is put without checking that they were not erased meanwhile.
    ErasureForgotten,
    /// A purchase overwrites another one of the same id.
    PurchaseOverwritten,
    /// A worker that has lost its claim still saves its checkpoint.
    CheckpointUnguarded,
    /// A transaction has no token, and its checkpoint no number: sent again, it is applied again.
    TransactionRepeated,
    /// Items that come back unprocessed are forgotten.
    UnprocessedForgotten,
    /// A page is treated as the last one although it says that there are more.
    LastPageForgotten,
    /// An upload replaces an existing object.
    UploadUnconditional,
    /// A lock is acquired although another process holds it.
    LockUnguarded,
    /// What a lock protects is written with a stale fencing token.
    FenceIgnored,
    /// Some writes are acknowledged and never made.
    WriteNotMade,
    /// Purchases are read from a replica that lags behind.
    StaleRead,
    /// A stream's batch is acknowledged although one of its records was lost.
    RecordLost,
    /// An object is acknowledged and never stored.
    ObjectNotStored,
}

impl Bug {
    #[must_use]
    pub fn scenario(self) -> Scenario {
        match self {
            Self::HistoryUnguarded
            | Self::PurchaseOverwritten
            | Self::WriteNotMade
            | Self::StaleRead
            | Self::RecordLost => Scenario::Purchases,
            Self::ErasureForgotten => Scenario::Erasure,
            Self::CheckpointUnguarded | Self::TransactionRepeated => Scenario::Update,
            Self::UnprocessedForgotten => Scenario::Copy,
            Self::LastPageForgotten => Scenario::Count,
            Self::UploadUnconditional => Scenario::Uploads,
            Self::LockUnguarded | Self::FenceIgnored => Scenario::Locks,
            Self::ObjectNotStored => Scenario::Dump,
        }
    }

    /// Changes the request to what faulty code would send.
    fn rewrite(self, operation: &str, event: &mut Value) {
        match (self, operation) {
            (Self::HistoryUnguarded, "PutItem") if of_table(event, "history") => unguard(event),
            (Self::HistoryUnguarded, "TransactWriteItems") => {
                for item in event["TransactItems"].as_array_mut().into_iter().flatten() {
                    if let Some(put) = item.get_mut("Put").filter(|put| of_table(put, "history")) {
                        unguard(put);
                    }
                }
            }
            (Self::ErasureForgotten, "TransactWriteItems") => {
                if let Some(items) = event["TransactItems"].as_array_mut() {
                    items.retain(|item| !of_table(&item["ConditionCheck"], "purchases"));
                }
            }
            (Self::PurchaseOverwritten, "PutItem") if of_table(event, "purchases") => unguard(event),
            (Self::CheckpointUnguarded | Self::TransactionRepeated, "TransactWriteItems") => {
                if self == Self::TransactionRepeated {
                    remove(event, "ClientRequestToken");
                }
                for item in event["TransactItems"].as_array_mut().into_iter().flatten() {
                    let update = &mut item["Update"];
                    let condition = update["ConditionExpression"].as_str().unwrap_or_default().to_owned();
                    if !condition.contains("#lease_") {
                        continue;
                    }
                    if self == Self::TransactionRepeated {
                        let guard = condition.split(" AND (attribute_not_exists(#known)").next();
                        update["ConditionExpression"] = guard.unwrap_or_default().into();
                        forget(update, |name| matches!(name, "#known" | ":known"));
                    } else {
                        remove(update, "ConditionExpression");
                        forget(update, |name| name.contains("lease_") || matches!(name, "#known" | ":known"));
                    }
                }
            }
            (Self::LockUnguarded, "UpdateItem") if event["Key"]["pk"]["S"] == "lock" => unguard(event),
            (Self::FenceIgnored, "TransactWriteItems") => {
                for item in event["TransactItems"].as_array_mut().into_iter().flatten() {
                    if let Some(check) = item.get_mut("ConditionCheck") {
                        forget(check, |_| true);
                        check["ConditionExpression"] = "attribute_exists(pk)".into();
                    }
                }
            }
            _ => {}
        }
    }
}

fn of_table(event: &Value, name: &str) -> bool {
    event["TableName"].as_str().is_some_and(|table| table.contains(name))
}

fn remove(event: &mut Value, name: &str) {
    if let Some(fields) = event.as_object_mut() {
        fields.remove(name);
    }
}

/// Removes the condition, and the names and values that only it used.
fn unguard(event: &mut Value) {
    remove(event, "ConditionExpression");
    remove(event, "ReturnValuesOnConditionCheckFailure");
    let update = event["UpdateExpression"].as_str().unwrap_or_default().to_owned();
    let words: Vec<&str> =
        update.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '#' | ':'))).collect();
    forget(event, |name| !words.contains(&name));
}

fn forget(event: &mut Value, which: impl Fn(&str) -> bool) {
    for field in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
        if let Some(placeholders) = event.get_mut(field).and_then(Value::as_object_mut) {
            placeholders.retain(|name, _| !which(name));
            if placeholders.is_empty() {
                remove(event, field);
            }
        }
    }
}

/// The planted bug at work, if there is one.
#[derive(Debug, Default)]
pub struct Planted {
    bug: Option<Bug>,
    seen: AtomicU64,
    remembered: Mutex<HashMap<Vec<u8>, Answer>>,
}

impl Planted {
    #[must_use]
    pub fn new(bug: Option<Bug>) -> Self {
        Self { bug, ..Self::default() }
    }

    #[must_use]
    pub fn bug(&self) -> Option<Bug> {
        self.bug
    }

    /// True for every third of the calls that the bug applies to.
    fn third(&self) -> bool {
        self.seen.fetch_add(1, Ordering::Relaxed) % 3 == 1
    }

    /// The answer to a call that the bug never makes.
    pub(crate) fn instead(&self, operation: &str, call: &Call) -> Option<Answer> {
        match (self.bug?, operation) {
            (Bug::WriteNotMade, "PutItem") => {
                let event: Value = serde_json::from_slice(&call.body).ok()?;
                (of_table(&event, "purchases") && self.third()).then(|| answer(200, &json!({})))
            }
            (Bug::StaleRead, "Query") => {
                let known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
                known.get(call.body.as_ref()).filter(|_| self.third()).cloned()
            }
            (Bug::ObjectNotStored, _) if call.method == "PUT" && call.path.contains("/data/") => {
                self.third().then(|| Answer {
                    status: 200,
                    headers: vec![("etag".to_owned(), b"\"0\"".to_vec())],
                    body: Default::default(),
                    cut_off: false,
                })
            }
            _ => None,
        }
    }

    /// Changes an answer in the way that faulty code would misread it.
    pub(crate) fn change(&self, operation: &str, call: &Call, answer: &mut Answer) {
        let field = match (self.bug, operation) {
            (Some(Bug::UnprocessedForgotten), "BatchWriteItem") => "UnprocessedItems",
            (Some(Bug::LastPageForgotten), "Scan") => "LastEvaluatedKey",
            (Some(Bug::StaleRead), "Query") if answer.status == 200 => {
                let mut known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert(call.body.to_vec(), answer.clone());
                return;
            }
            _ => return,
        };
        if let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) {
            remove(&mut body, field);
            answer.headers.retain(|(name, _)| name != "content-length" && name != "x-amz-crc32");
            answer.body = body.to_string().into();
        }
    }
}

/// Rewrites requests before they are signed, as faulty code would have made them.
#[derive(Debug)]
pub(crate) struct Rewriting(pub(crate) Bug);

impl Intercept for Rewriting {
    fn name(&self) -> &'static str {
        "planted bug"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), aws_sdk_dynamodb::error::BoxError> {
        let request = context.request_mut();
        if self.0 == Bug::UploadUnconditional {
            request.headers_mut().remove("if-none-match");
            return Ok(());
        }
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let Some(mut event) = request.body().bytes().and_then(|b| serde_json::from_slice::<Value>(b).ok())
        else {
            return Ok(());
        };
        self.0.rewrite(&operation, &mut event);
        let body = event.to_string();
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body);
        Ok(())
    }
}
