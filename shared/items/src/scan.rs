//! A segment of a table, page by page: as values, or as the text that DynamoDB sends.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::scan::ScanError;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, Select};
use bytes::Bytes;
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::WorkError;
use nextbasket_job_engine::limit::Limiter;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::expression::{Condition, Placeholders};
use crate::kept_answer::KeptAnswer;
use crate::key::from_json;
use crate::segment::Segment;
use nextbasket_dynamodb::capacity::Consuming;
use nextbasket_job_engine::calls::{CallError, Calls};

/// The most bytes of a page: DynamoDB ends it there.
const PAGE_BYTES: f64 = 1_048_576.0;
/// The bytes of a read unit, strongly consistent.
const UNIT_BYTES: f64 = 4096.0;

/// What of the items is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projection<'a> {
    /// How many they are.
    Count,
    /// These attributes.
    Attributes(&'a [&'a str]),
    /// All of them.
    Whole,
}

impl Projection<'_> {
    /// DynamoDB's projection expression; `None` unless attributes are named.
    pub(crate) fn write(self, placeholders: &mut Placeholders) -> Option<String> {
        match self {
            Self::Attributes(names) => {
                let mut names: Vec<String> = names.iter().map(|name| placeholders.name(name)).collect();
                // An attribute may be wanted twice, as a key and for the split.
                names.sort_unstable();
                names.dedup();
                Some(names.join(", "))
            }
            Self::Count | Self::Whole => None,
        }
    }
}

/// How a table is read.
#[derive(Debug, Clone)]
pub struct Scan {
    table: String,
    index: Option<String>,
    filter: Option<String>,
    projection: Option<String>,
    names: Option<HashMap<String, String>>,
    values: Option<HashMap<String, AttributeValue>>,
    select: Option<Select>,
    consistent: bool,
    limit: Option<u32>,
    mean_bytes: u64,
}

/// A page of a scan: items as values, or as the text that DynamoDB sends.
#[derive(Debug)]
pub struct ScanPage<T = Item> {
    /// What was asked for of the items that meet the condition.
    pub items: Vec<T>,
    /// How many meet the condition.
    pub matched: u64,
    /// How many were looked at.
    pub scanned: u64,
    /// Where the next page begins, if there is one.
    pub next: Option<Item>,
    /// What it consumed.
    pub units: f64,
}

/// The answer to `Scan`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScanAnswer<'a> {
    #[serde(borrow, default)]
    items: Vec<&'a RawValue>,
    #[serde(default)]
    count: u64,
    #[serde(default)]
    scanned_count: u64,
    last_evaluated_key: Option<Value>,
    consumed_capacity: Option<Consumed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Consumed {
    #[serde(default)]
    capacity_units: f64,
}

impl ScanPage<Bytes> {
    fn read(text: &Bytes) -> Result<Self, String> {
        let answer: ScanAnswer<'_> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let next = match &answer.last_evaluated_key {
            Some(key) => Some(from_json(key).ok_or_else(|| "LastEvaluatedKey is not a key".to_owned())?),
            None => None,
        };
        Ok(Self {
            items: answer.items.iter().map(|item| text.slice_ref(item.get().as_bytes())).collect(),
            matched: answer.count,
            scanned: answer.scanned_count,
            next,
            units: answer.consumed_capacity.map_or(0.0, |consumed| consumed.capacity_units),
        })
    }
}

impl Scan {
    /// A scan for what is `wanted` of the items that meet the condition; `now` is what `now()` stands for in it.
    #[must_use]
    pub fn new(table: &str, condition: Option<&Condition>, wanted: Projection<'_>, now: Timestamp) -> Self {
        let mut placeholders = Placeholders::at(now);
        let filter = condition.map(|condition| condition.write(&mut placeholders));
        let projection = wanted.write(&mut placeholders);
        Self {
            table: table.to_owned(),
            index: None,
            filter,
            projection,
            names: placeholders.names(),
            values: placeholders.values(),
            select: (wanted == Projection::Count).then_some(Select::Count),
            consistent: false,
            limit: None,
            mean_bytes: 0,
        }
    }

    /// Reads an index of the table in place of the table.
    #[must_use]
    pub fn on_index(mut self, index: Option<&str>) -> Self {
        self.index = index.map(str::to_owned);
        self
    }

    /// Whether it reads strongly consistent, at twice the price.
    #[must_use]
    pub fn consistent(mut self, consistent: bool) -> Self {
        self.consistent = consistent;
        self
    }

    /// Pages have at most `limit` items; `mean_bytes` is the mean size of an item, or 0.
    #[must_use]
    pub fn pages_of(mut self, limit: Option<u32>, mean_bytes: u64) -> Self {
        self.limit = limit;
        self.mean_bytes = mean_bytes;
        self
    }

    /// Reads the page of a segment that begins behind `start`, on a task of its own so that pages of several batches are
    /// taken apart on several cores.
    ///
    /// # Errors
    /// [`CallError`]; with [`WorkError::Systemic`] if DynamoDB refuses the request: it would refuse every page's.
    pub async fn page(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        segment: Segment,
        start: Option<&Item>,
    ) -> Result<ScanPage, CallError> {
        let limit = self.limit_of_page(limiter);
        let send = || crate::spawned::spawned(self.request(calls, limit, segment, start).send());
        let expected = Some(self.expected_units(limit));
        let answer = calls.call(&self.table, limiter, expected, send, Consuming::units).await;
        let (output, units) = answer.map_err(|error| self.refused(error))?;
        Ok(ScanPage {
            matched: u64::try_from(output.count).unwrap_or(0),
            scanned: u64::try_from(output.scanned_count).unwrap_or(0),
            items: output.items.unwrap_or_default(),
            next: output.last_evaluated_key,
            units,
        })
    }

    /// As [`page`](Self::page), with the items as text: for whoever only passes them on, it costs a third.
    pub async fn text_page(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        segment: Segment,
        start: Option<&Item>,
    ) -> Result<ScanPage<Bytes>, CallError> {
        let limit = self.limit_of_page(limiter);
        let send = || {
            let kept = KeptAnswer::default();
            let request = self.request(calls, limit, segment, start).customize().interceptor(kept.clone());
            crate::spawned::spawned(async move {
                request.send().await?;
                Ok::<_, SdkError<ScanError>>(ScanPage::read(&kept.take()))
            })
        };
        let consumed = |page: &Result<ScanPage<Bytes>, String>| page.as_ref().map_or(0.0, |page| page.units);
        let expected = Some(self.expected_units(limit));
        let answer = calls.call(&self.table, limiter, expected, send, consumed).await;
        let (page, _) = answer.map_err(|error| self.refused(error))?;
        page.map_err(|problem| {
            WorkError::Transient(format!(
                "table \"{}\": the answer to a scan is invalid: {problem}",
                self.table
            ))
            .into()
        })
    }

    fn request(
        &self,
        calls: &Calls,
        limit: Option<u32>,
        segment: Segment,
        start: Option<&Item>,
    ) -> ScanFluentBuilder {
        let mut request = calls
            .client
            .scan()
            .table_name(&self.table)
            .set_index_name(self.index.clone())
            .set_filter_expression(self.filter.clone())
            .set_projection_expression(self.projection.clone())
            .set_expression_attribute_names(self.names.clone())
            .set_expression_attribute_values(self.values.clone())
            .set_select(self.select.clone())
            .set_limit(limit.and_then(|limit| i32::try_from(limit).ok()))
            .set_exclusive_start_key(start.cloned())
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if self.consistent {
            request = request.consistent_read(true);
        }
        if let (Ok(number), Ok(of)) = (i32::try_from(segment.number), i32::try_from(segment.of)) {
            request = request.segment(number).total_segments(of);
        }
        request
    }

    /// Whatever is wrong with the request is wrong with every page's.
    fn refused(&self, error: CallError) -> CallError {
        match error {
            CallError::Refused(refused) => {
                let problem = format!("table \"{}\" cannot be scanned: {}", self.table, refused.reason());
                WorkError::Systemic(problem).into()
            }
            error => error,
        }
    }

    fn limit_of_page(&self, limiter: &Limiter) -> Option<u32> {
        self.limit.or_else(|| self.limit_at(limiter.pace()))
    }

    /// So many items that a page consumes a second's units at most: a table with a low rate is not read in jerks.
    fn limit_at(&self, pace: Option<f64>) -> Option<u32> {
        let bytes = pace? * UNIT_BYTES * if self.consistent { 1.0 } else { 2.0 };
        if bytes >= PAGE_BYTES || self.mean_bytes == 0 {
            return None;
        }
        let items = (bytes / self.mean_bytes as f64).clamp(1.0, 1e6);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is from 1 to a million"
        )]
        Some(items as u32)
    }

    fn expected_units(&self, limit: Option<u32>) -> f64 {
        let bytes =
            limit.map_or(PAGE_BYTES, |limit| (f64::from(limit) * self.mean_bytes as f64).min(PAGE_BYTES));
        (bytes / UNIT_BYTES).max(1.0) * if self.consistent { 1.0 } else { 0.5 }
    }
}
