//! The items of one partition key, page by page.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::capacity::Consuming;
use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::WorkError;
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::limit::Limiter;

use crate::expression::{KeyedCondition, Placeholders};
use crate::scan::{Projection, ScanPage};

/// How the items of one partition key are read, in the order of their sort keys.
#[derive(Debug, Clone)]
pub struct Query {
    table: String,
    index: Option<String>,
    key: String,
    filter: Option<String>,
    projection: Option<String>,
    names: Option<HashMap<String, String>>,
    values: Option<HashMap<String, AttributeValue>>,
    ascending: bool,
    consistent: bool,
}

impl Query {
    /// A query for what is `wanted`. What of the condition only whoever has the items can decide is not in it:
    /// [`KeyedCondition::rest`].
    #[must_use]
    pub fn new(table: &str, condition: &KeyedCondition, wanted: Projection<'_>, now: Timestamp) -> Self {
        let mut placeholders = Placeholders::at(now);
        let key = condition.key.write(&mut placeholders);
        let filter = condition.filter.as_ref().map(|filter| filter.write(&mut placeholders));
        let projection = wanted.write(&mut placeholders);
        Self {
            table: table.to_owned(),
            index: None,
            key,
            filter,
            projection,
            names: placeholders.names(),
            values: placeholders.values(),
            ascending: true,
            consistent: false,
        }
    }

    /// Asks an index of the table in place of the table.
    #[must_use]
    pub fn on_index(mut self, index: Option<&str>) -> Self {
        self.index = index.map(str::to_owned);
        self
    }

    /// Whether the smallest sort key comes first.
    #[must_use]
    pub fn ascending(mut self, ascending: bool) -> Self {
        self.ascending = ascending;
        self
    }

    /// Whether it reads strongly consistent, at twice the price.
    #[must_use]
    pub fn consistent(mut self, consistent: bool) -> Self {
        self.consistent = consistent;
        self
    }

    /// Reads the page that begins behind `start`, of at most `limit` items before the filter.
    ///
    /// # Errors
    /// [`CallError`]; with [`WorkError::Systemic`] if DynamoDB refuses the request.
    pub async fn page(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        limit: Option<u32>,
        start: Option<&Item>,
    ) -> Result<ScanPage, CallError> {
        let send = || {
            let request = calls
                .client
                .query()
                .table_name(&self.table)
                .set_index_name(self.index.clone())
                .key_condition_expression(&self.key)
                .set_filter_expression(self.filter.clone())
                .set_projection_expression(self.projection.clone())
                .set_expression_attribute_names(self.names.clone())
                .set_expression_attribute_values(self.values.clone())
                .scan_index_forward(self.ascending)
                .set_limit(limit.and_then(|limit| i32::try_from(limit).ok()))
                .set_exclusive_start_key(start.cloned())
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            // An index that is read eventually consistent does not take the parameter.
            if self.consistent { request.consistent_read(true) } else { request }.send()
        };
        let (output, units) = calls.call(&self.table, limiter, None, send, Consuming::units).await.map_err(
            |error| match error {
                CallError::Refused(refused) => {
                    let problem = format!("table \"{}\" cannot be queried: {}", self.table, refused.reason());
                    WorkError::Systemic(problem).into()
                }
                error => error,
            },
        )?;
        Ok(ScanPage {
            matched: u64::try_from(output.count).unwrap_or(0),
            scanned: u64::try_from(output.scanned_count).unwrap_or(0),
            items: output.items.unwrap_or_default(),
            next: output.last_evaluated_key,
            units,
        })
    }
}
