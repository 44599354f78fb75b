//! What the calls of one piece of work consumed, from ReturnConsumedCapacity.

use std::cell::Cell;
use std::future::Future;

use aws_sdk_dynamodb::operation::batch_execute_statement::BatchExecuteStatementOutput;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemOutput;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::put_item::PutItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsOutput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Capacity units as DynamoDB charged them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Units {
    /// Read units: half a unit for up to 4 KB read eventually consistent, one for strongly consistent.
    pub read: f64,
    /// Write units: one for up to 1 KB, index writes included.
    pub write: f64,
}

tokio::task_local! {
    static SPENT: Cell<Units>;
}

/// Runs the work and tells what its table calls consumed. Calls made on other tasks are not counted.
pub async fn metered<F: Future>(work: F) -> (F::Output, Units) {
    SPENT
        .scope(Cell::new(Units::default()), async {
            let output = work.await;
            (output, SPENT.with(Cell::get))
        })
        .await
}

fn add(read: f64, write: f64) {
    // Outside of `metered` nobody asks.
    let _ = SPENT.try_with(|spent| {
        let so_far = spent.get();
        spent.set(Units { read: so_far.read + read, write: so_far.write + write });
    });
}

/// The units of a request, of one table or several.
#[must_use]
pub fn units<'a>(consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) -> f64 {
    consumed.into_iter().filter_map(ConsumedCapacity::capacity_units).sum()
}

/// An answer that says what it consumed.
pub trait Consuming {
    fn units(&self) -> f64;
}

macro_rules! consuming {
    ($($output:ty),*) => {
        $(impl Consuming for $output {
            fn units(&self) -> f64 {
                units(self.consumed_capacity())
            }
        })*
    };
}

consuming!(
    BatchExecuteStatementOutput,
    BatchGetItemOutput,
    BatchWriteItemOutput,
    DeleteItemOutput,
    GetItemOutput,
    PutItemOutput,
    QueryOutput,
    ScanOutput,
    TransactWriteItemsOutput,
    UpdateItemOutput
);

/// Counts the units of a read.
pub fn read(units: f64) {
    add(units, 0.0);
}

/// Counts the units of a write.
pub fn write(units: f64) {
    add(0.0, units);
}
