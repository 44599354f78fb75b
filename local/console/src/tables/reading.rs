//! How the items that somebody looks at are read: by a query where a key is given, by a scan otherwise; a page at a time.

use std::time::Duration;

use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::Item;
use nextbasket_http::{ApiError, cursor};
use nextbasket_items::expression::{Condition, SortKey};
use nextbasket_items::find::check_index;
use nextbasket_items::key::{KeyAttribute, KeySchema, from_json, to_json};
use nextbasket_items::query::Query;
use nextbasket_items::scan::{Projection, Scan, ScanPage};
use nextbasket_items::segment::Segment;
use nextbasket_items::table::Table;
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::limit::Limiter;
use nextbasket_job_engine::{Refusal, WorkError};
use serde::Deserialize;
use serde_json::Value;

use super::{item_json, refused};
use crate::parts::ConsoleParts;

/// How long DynamoDB may take for one page. Calls wait while a table is throttled, and somebody waits for the answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Which items are asked for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    index: Option<String>,
    key: Option<WantedKey>,
    /// A condition in the expression language.
    r#where: Option<String>,
    pub(super) limit: Option<u32>,
    cursor: Option<String>,
    /// The greatest sort key first; only of a query.
    #[serde(default)]
    descending: bool,
    #[serde(default)]
    consistent: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedKey {
    hash: Value,
    range: Option<WantedRange>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedRange {
    op: RangeOperator,
    values: Vec<Value>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum RangeOperator {
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    LessOrEqual,
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = ">=")]
    GreaterOrEqual,
    Between,
    BeginsWith,
}

/// The items of a request, ready to be read.
pub(super) struct Reading {
    table: String,
    access: Access,
    /// What of the condition is decided here.
    rest: Option<Condition>,
    /// Whether items are read that are not asked for.
    pub(super) filters: bool,
    /// The attributes of a position.
    keys: Vec<String>,
    mean_bytes: u64,
    now: Timestamp,
    calls: Calls,
    limiter: Limiter,
    /// What its cursors are good for.
    list: String,
}

enum Access {
    Scan(Box<Scan>),
    Query(Box<Query>),
}

impl Reading {
    /// # Errors
    /// 400 for the field that does not fit the table.
    pub(super) fn new(
        console: &ConsoleParts,
        table: &Table,
        wanted: &Wanted,
        counts_only: bool,
    ) -> Result<Self, ApiError> {
        let now = console.clock.now();
        let index = wanted.index.as_deref().filter(|name| !name.is_empty());
        let index = index.map(|name| table.index(name)).transpose();
        let index =
            index.map_err(|problem| ApiError::invalid("index", format!("is not known: {problem}")))?;
        let keys = index.map_or(&table.keys, |index| &index.keys);
        let text = wanted.r#where.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let filter = text.map(Condition::parse).transpose();
        let filter =
            filter.map_err(|error| ApiError::invalid("where", format!("is no condition: {error}")))?;
        if let Some(index) = index {
            check_index(index, filter.as_ref(), wanted.consistent).map_err(of_refusal)?;
        }
        let keyed = wanted.key.as_ref().map(|key| key.condition(keys)).transpose()?;
        let condition = match (keyed, filter) {
            (Some(keyed), Some(filter)) => Some(keyed.and(filter)),
            (keyed, filter) => keyed.or(filter),
        };
        let keyed = condition.as_ref().and_then(|condition| condition.keyed(keys, now));
        let rest = keyed.as_ref().and_then(|keyed| keyed.rest.clone());
        let projection = if counts_only && rest.is_none() { Projection::Count } else { Projection::Whole };
        let on_index = index.map(|index| index.name.as_str());
        let (access, filters) = if let Some(keyed) = &keyed {
            let query = Query::new(&table.name, keyed, projection, now)
                .on_index(on_index)
                .consistent(wanted.consistent)
                .ascending(!wanted.descending);
            (Access::Query(Box::new(query)), keyed.filter.is_some() || rest.is_some())
        } else if wanted.descending {
            let problem = "requires a key: a scan has no order";
            return Err(ApiError::invalid("descending", problem));
        } else {
            let scan = Scan::new(&table.name, condition.as_ref(), projection, now)
                .on_index(on_index)
                .consistent(wanted.consistent);
            (Access::Scan(Box::new(scan)), condition.is_some())
        };
        let mut names: Vec<String> = table.keys.names().chain(keys.names()).map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        Ok(Self {
            table: table.name.clone(),
            access,
            rest,
            filters,
            keys: names,
            mean_bytes: index.map_or_else(|| table.mean_bytes(), |index| index.mean_bytes()),
            now,
            calls: Calls::of_client(&console.dynamodb, console.random.clone()),
            limiter: Limiter::new(None),
            list: format!(
                "{}\0{:?}\0{:?}\0{text:?}\0{}",
                table.name, wanted.index, wanted.key, wanted.descending
            ),
        })
    }

    /// Where the request's cursor points to.
    ///
    /// # Errors
    /// 400 `invalid_cursor` if it was made for another request.
    pub(super) fn start(&self, wanted: &Wanted) -> Result<Option<Item>, ApiError> {
        let Some(text) = &wanted.cursor else { return Ok(None) };
        let position: String = cursor::decode(&self.list, text)?;
        let position = serde_json::from_str(&position).ok().as_ref().and_then(from_json);
        position.map(Some).ok_or_else(ApiError::invalid_cursor)
    }

    pub(super) fn cursor(&self, position: &Item) -> Result<String, ApiError> {
        cursor::encode(&self.list, to_json(position).to_string())
    }

    /// The position behind this item.
    pub(super) fn position(&self, item: &Item) -> Item {
        self.keys.iter().filter_map(|name| Some((name.clone(), item.get(name)?.clone()))).collect()
    }

    /// Whether DynamoDB leaves a part of the condition to whoever has the items.
    pub(super) fn has_rest(&self) -> bool {
        self.rest.is_some()
    }

    pub(super) fn holds(&self, item: &Item) -> bool {
        self.rest.as_ref().is_none_or(|rest| rest.holds(item, self.now))
    }

    /// The next page, of at most `limit` items before the condition; `None` if DynamoDB does not answer in time.
    ///
    /// # Errors
    /// 409 `table_refused` with what DynamoDB says, or 503.
    pub(super) async fn page(
        &self,
        limit: Option<u32>,
        start: Option<&Item>,
    ) -> Result<Option<ScanPage>, ApiError> {
        let page = async {
            match &self.access {
                Access::Query(query) => query.page(&self.calls, &self.limiter, limit, start).await,
                Access::Scan(scan) => {
                    let scan = scan.as_ref().clone().pages_of(limit, self.mean_bytes);
                    scan.page(&self.calls, &self.limiter, Segment { number: 0, of: 1 }, start).await
                }
            }
        };
        match tokio::time::timeout(PATIENCE, page).await {
            Ok(page) => page.map(Some).map_err(|error| self.problem(error)),
            Err(_) => Ok(None),
        }
    }

    /// No page in time.
    pub(super) fn unanswered(&self) -> ApiError {
        let reason = format!("table {} is throttled, or does not answer", self.table);
        ApiError::unavailable(std::io::Error::other(reason))
    }

    fn problem(&self, error: CallError) -> ApiError {
        match error {
            CallError::Refused(reason) => refused(&self.table, &reason.reason()),
            CallError::Failed(WorkError::Systemic(reason) | WorkError::Failed(reason)) => {
                ApiError::conflict("table_refused", reason)
            }
            CallError::Failed(error) => ApiError::unavailable(error),
            CallError::Stopped => self.unanswered(),
        }
    }
}

impl WantedKey {
    fn condition(&self, keys: &KeySchema) -> Result<Condition, ApiError> {
        let hash = key_value("key.hash", &self.hash, &keys.partition)?;
        let sort = match (&self.range, &keys.sort) {
            (None, _) => None,
            (Some(range), Some(key)) => Some(range.sort_key(key)?),
            (Some(_), None) => {
                return Err(ApiError::invalid("key.range", "is not accepted: there is no sort key"));
            }
        };
        Ok(Condition::on_keys(keys, hash, sort))
    }
}

impl WantedRange {
    fn sort_key(&self, key: &KeyAttribute) -> Result<SortKey, ApiError> {
        let mut values = Vec::new();
        for value in &self.values {
            values.push(key_value("key.range.values", value, key)?);
        }
        let mut values = values.into_iter();
        let (first, second, third) = (values.next(), values.next(), values.next());
        let one = |make: fn(_) -> SortKey| match (first.clone(), &second) {
            (Some(value), None) => Ok(make(value)),
            _ => Err(ApiError::invalid("key.range.values", "must be one value")),
        };
        match self.op {
            RangeOperator::Equal => one(SortKey::Equal),
            RangeOperator::Less => one(SortKey::Less),
            RangeOperator::LessOrEqual => one(SortKey::LessOrEqual),
            RangeOperator::Greater => one(SortKey::Greater),
            RangeOperator::GreaterOrEqual => one(SortKey::GreaterOrEqual),
            RangeOperator::BeginsWith if key.kind == nextbasket_items::key::KeyKind::N => {
                Err(ApiError::invalid("key.range.op", "must not be beginsWith for a number"))
            }
            RangeOperator::BeginsWith => one(SortKey::BeginsWith),
            RangeOperator::Between => match (first, second, third) {
                (Some(from), Some(to), None) => Ok(SortKey::Between(from, to)),
                _ => Err(ApiError::invalid("key.range.values", "must be two values: from and to")),
            },
        }
    }
}

fn key_value(
    field: &str,
    json: &Value,
    key: &KeyAttribute,
) -> Result<aws_sdk_dynamodb::types::AttributeValue, ApiError> {
    let value = item_json::value(field, json)?;
    match key.problem_of(&value) {
        None => Ok(value),
        Some(problem) => Err(ApiError::invalid(field, format!("{problem}: it is the key {:?}", key.name))),
    }
}

fn of_refusal(refusal: Refusal) -> ApiError {
    ApiError::invalid(refusal.field, refusal.problem)
}
