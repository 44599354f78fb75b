//! Keeps each user's history: consumes the stream of the purchases table.
//!
//! A batch of records tells only whose purchases changed. For each of those users the history is folded anew from
//! the purchases themselves, so a record that is told twice, late or out of order does no harm, and neither does a
//! second consumer. A user whose history cannot be brought up to date is reported by their earliest record
//! (partial batch answer); the others are not held up, neither by them nor by a user who buys without a pause. A
//! damaged purchase, or a damaged record key, is skipped and counted: a retry would not repair it.

use std::collections::HashMap;

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use futures::StreamExt;
use lambda_runtime::LambdaEvent;
use nextbasket_domain::{Clock, UserId};
use nextbasket_dynamodb::capacity::metered;
use nextbasket_tables::damaged::log_skipped;
use nextbasket_tables::history::HistoryTable;
use nextbasket_tables::purchases::PurchasesTable;
use nextbasket_tables::{TableError, Tables, purchases};
use nextbasket_telemetry::{Metrics, Unit};

/// How many histories are refreshed at the same time.
const CONCURRENCY: usize = 16;

/// What the function keeps between invocations.
#[derive(Debug, Clone)]
pub struct State {
    purchases: PurchasesTable,
    history: HistoryTable,
    metrics: Metrics,
    clock: Clock,
}

impl State {
    pub fn new(metrics: Metrics, tables: &Tables, clock: Clock) -> Result<Self, lambda_runtime::Error> {
        Ok(Self { purchases: tables.purchases()?, history: tables.history()?, metrics, clock })
    }

    /// Opens the connection before the first batch, while the sandbox has a full CPU. A failure is left to the first
    /// batch to report.
    pub async fn warm_up(&self) {
        if let Ok(nobody) = UserId::parse("-") {
            let _ = self.history.baskets(&nobody).await;
        }
    }
}

/// The records of one user in a batch.
struct ChangedUser {
    user: UserId,
    /// The sequence number of the first of them, to be reported if the user fails.
    first: String,
    /// When the last of them was written, in milliseconds since 1970.
    latest: i64,
}

/// Refreshes the history of every user of the batch.
pub async fn handle(
    state: &State,
    event: LambdaEvent<Event>,
) -> Result<DynamoDbEventResponse, lambda_runtime::Error> {
    let (users, nameless) = changed_users(&event.payload.records);
    let mut failed = Vec::new();
    let (results, units) = metered(
        futures::stream::iter(users)
            .map(|changed_user| async {
                let result = state.history.refresh(&changed_user.user, &state.purchases).await;
                (changed_user, result)
            })
            .buffer_unordered(CONCURRENCY)
            .collect::<Vec<_>>(),
    )
    .await;
    let (mut changed, mut damaged) = (0.0, nameless);
    let mut freshness = 0;
    for (changed_user, result) in results {
        match result {
            Ok(refreshed) => {
                log_skipped(&refreshed.damaged);
                damaged += refreshed.damaged.len();
                if refreshed.changed {
                    changed += 1.0;
                    freshness = freshness.max(state.clock.now().as_millis() - changed_user.latest);
                }
            }
            Err(error) => {
                log_failure(&changed_user.first, &error);
                failed.push(changed_user.first);
            }
        }
    }
    let mut metrics = vec![
        ("HistoriesChanged", changed, Unit::Count),
        ("UsersFailed", count(failed.len()), Unit::Count),
        ("DamagedPurchases", count(damaged), Unit::Count),
        ("ReadUnits", units.read, Unit::Count),
        ("WriteUnits", units.write, Unit::Count),
    ];
    if changed > 0.0 {
        // A batch told again changes nothing and says nothing about how fresh histories are.
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of one batch")]
        metrics.push(("Freshness", freshness as f64, Unit::Milliseconds));
    }
    let request = [("requestId", event.context.request_id.as_str())];
    state.metrics.put(&[("Consumer", "purchase-history")], &metrics, &request);
    let mut response = DynamoDbEventResponse::default();
    response.batch_item_failures = failed
        .into_iter()
        .map(|sequence_number| {
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = Some(sequence_number);
            failure
        })
        .collect();
    Ok(response)
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

fn log_failure(sequence_number: &str, error: &TableError) {
    tracing::error!(sequence_number, error = error as &dyn std::error::Error, "a history was not refreshed");
}

/// The users of the batch, each with their first record, and the number of records without a valid user id.
fn changed_users(records: &[EventRecord]) -> (Vec<ChangedUser>, usize) {
    let mut users: Vec<ChangedUser> = Vec::new();
    let mut indexes: HashMap<UserId, usize> = HashMap::new();
    let mut nameless = 0;
    for record in records {
        let sequence_number = record.change.sequence_number.clone().unwrap_or_default();
        let Some(user) = purchases::user_of_keys(&record.change.keys) else {
            tracing::error!(sequence_number, "a record without a valid user id was skipped");
            nameless += 1;
            continue;
        };
        let written = record.change.approximate_creation_date_time.timestamp_millis();
        let index = *indexes.entry(user.clone()).or_insert(users.len());
        match users.get_mut(index) {
            Some(changed_user) => changed_user.latest = changed_user.latest.max(written),
            None => users.push(ChangedUser { user, first: sequence_number, latest: written }),
        }
    }
    (users, nameless)
}
