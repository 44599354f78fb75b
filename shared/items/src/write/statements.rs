//! Updates as PartiQL statements: 25 a call, at the price of single ones.
//!
//! An item that DynamoDB refuses so, for whatever reason, is asked for once more as an update of its own, whose
//! answer counts; without the permission for statements all are.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementErrorCodeEnum as Code, BatchStatementRequest, ReturnConsumedCapacity,
};
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::WorkError;
use nextbasket_job_engine::limit::Limiter;

use crate::expression::partiql::{Statement, quoted, quoted_attribute};
use crate::expression::{Change, Condition};
use crate::key::KeySchema;
use crate::write::update::Update;
use crate::write::{WriteOutcome, Written, one_by_one};
use nextbasket_dynamodb::capacity::Consuming;
use nextbasket_job_engine::calls::{Backoff, CallError, Calls};

/// The maximum number of statements in one call.
const MOST: usize = 25;
/// The maximum length of a statement, in characters.
const LONGEST: usize = 8192;

/// A change of items of a table that meet a condition, as statements.
#[derive(Debug)]
pub struct Statements {
    table: String,
    keys: KeySchema,
    text: String,
    /// Of the change, before the key's.
    before: Vec<AttributeValue>,
    /// Of the condition, behind the key's.
    behind: Vec<AttributeValue>,
    alone: Update,
    denied: AtomicBool,
}

/// What is still to be done of a group.
struct OpenStatement {
    place: usize,
    key: Item,
}

impl Statements {
    /// `None` if statements would not say the same as `alone`.
    #[must_use]
    pub fn new(
        table: &str,
        keys: &KeySchema,
        condition: Option<&Condition>,
        change: &Change,
        now: Timestamp,
        alone: Update,
    ) -> Option<Self> {
        let changed = change.statement(now)?;
        let mut text = format!("UPDATE {}{} WHERE ", quoted(table)?, changed.text);
        for (at, name) in keys.names().enumerate() {
            let join = if at > 0 { " AND " } else { "" };
            text.push_str(&format!("{join}{} = ?", quoted_attribute(name)?));
        }
        let mut wanted = Statement::default();
        if let Some(condition) = condition {
            wanted = condition.statement(keys.names(), now)?;
            text.push_str(&format!(" AND ({})", wanted.text));
        }
        (text.chars().count() <= LONGEST).then(|| Self {
            table: table.to_owned(),
            keys: keys.clone(),
            text,
            before: changed.parameters,
            behind: wanted.parameters,
            alone,
            denied: AtomicBool::new(false),
        })
    }

    /// How many items go into one call.
    #[must_use]
    pub fn group(&self) -> usize {
        if self.denied.load(Ordering::Relaxed) { 1 } else { MOST }
    }

    /// Changes the items of these keys: see [`WriteGroup::write`](super::WriteGroup::write).
    pub async fn write(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        group: Vec<Item>,
    ) -> Result<Written, CallError> {
        let mut became: Vec<Option<WriteOutcome>> = vec![None; group.len()];
        let mut units = 0.0;
        let mut open: Vec<OpenStatement> =
            group.into_iter().enumerate().map(|(place, key)| OpenStatement { place, key }).collect();
        let mut alone = Vec::new();
        let mut backoff = Backoff::default();
        while !open.is_empty() {
            if self.denied.load(Ordering::Relaxed) {
                alone.append(&mut open);
                break;
            }
            let codes = match self.execute(calls, limiter, &open).await {
                Ok((codes, spent)) => {
                    units += spent;
                    codes
                }
                Err(CallError::Refused(_)) => {
                    alone.append(&mut open);
                    break;
                }
                Err(CallError::Failed(WorkError::Systemic(reason))) if reason.contains("AccessDenied") => {
                    self.denied.store(true, Ordering::Relaxed);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let (mut throttled, mut unanswered) = (false, false);
            let mut again = Vec::new();
            for (one, code) in open.into_iter().zip(codes) {
                match code {
                    None => set(&mut became, one.place, WriteOutcome::Changed),
                    Some(Code::ConditionalCheckFailed) => set(&mut became, one.place, WriteOutcome::Skipped),
                    Some(
                        Code::ThrottlingError
                        | Code::ProvisionedThroughputExceeded
                        | Code::RequestLimitExceeded,
                    ) => {
                        throttled = true;
                        again.push(one);
                    }
                    Some(Code::InternalServerError | Code::TransactionConflict) => {
                        unanswered = true;
                        again.push(one);
                    }
                    Some(_) => alone.push(one),
                }
            }
            open = again;
            if throttled {
                calls.throttled(limiter, &mut backoff).await?;
            } else if unanswered {
                let reason = "statements met internal errors or transactions".to_owned();
                let error = TableError::Unavailable { table: self.table.clone(), reason };
                calls.unanswered(&mut backoff, error).await?;
            }
        }
        let (places, keys): (Vec<usize>, Vec<Item>) =
            alone.into_iter().map(|one| (one.place, one.key)).unzip();
        let (rest, spent) = one_by_one(keys, |key| self.alone.write(calls, limiter, key)).await?;
        for (place, one) in places.into_iter().zip(rest) {
            set(&mut became, place, one);
        }
        // Each has become something by now.
        Ok((became.into_iter().map(|one| one.unwrap_or(WriteOutcome::Skipped)).collect(), units + spent))
    }

    /// One call: the error's code of each statement, if it had one.
    async fn execute(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        open: &[OpenStatement],
    ) -> Result<(Vec<Option<Code>>, f64), CallError> {
        let statements: Option<Vec<BatchStatementRequest>> =
            open.iter().map(|one| self.statement(&one.key)).collect();
        let statements = statements.unwrap_or_default();
        let send = || {
            calls
                .client
                .batch_execute_statement()
                .set_statements(Some(statements.clone()))
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        };
        let (output, units) = calls.call(&self.table, limiter, None, send, Consuming::units).await?;
        let code = |response: &aws_sdk_dynamodb::types::BatchStatementResponse| {
            let error = response.error()?;
            Some(error.code().cloned().unwrap_or(Code::ValidationError))
        };
        let mut codes: Vec<Option<Code>> = output.responses().iter().map(code).collect();
        // One that is not answered is asked for alone.
        codes.resize(open.len(), Some(Code::ValidationError));
        Ok((codes, units))
    }

    fn statement(&self, key: &Item) -> Option<BatchStatementRequest> {
        let mut parameters = self.before.clone();
        for name in self.keys.names() {
            parameters.push(key.get(name)?.clone());
        }
        parameters.extend(self.behind.iter().cloned());
        BatchStatementRequest::builder().statement(&self.text).set_parameters(Some(parameters)).build().ok()
    }
}

fn set(became: &mut [Option<WriteOutcome>], place: usize, one: WriteOutcome) {
    if let Some(found) = became.get_mut(place) {
        *found = Some(one);
    }
}
